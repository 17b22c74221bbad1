package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/models"
)

// cost is what one direction of a round took. CPU is the processor time of this
// process, which has the client, and the S3 server's.
type cost struct{ wall, cpu time.Duration }

func (s *stage) timed(run func() error) (cost, error) {
	start, before := time.Now(), s.cpu()
	err := run()
	return cost{time.Since(start), s.cpu() - before}, err
}

func (s *stage) cpu() time.Duration {
	var used unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &used) // with these arguments it can't fail
	total := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	for _, status := range s.stack.Status() {
		if status.Name == devstack.ServerS3 {
			total += processorTime(status.PID)
		}
	}
	return total
}

// processorTime of a process and its threads so far.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// After the name in brackets: state, parent, …, and from the 12th on the ticks
	// in user and kernel mode.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if err != nil || len(fields) < 13 {
		return 0
	}
	ticks := 0
	for _, field := range fields[11:13] {
		n, _ := strconv.Atoi(field) // the kernel writes numbers
		ticks += n
	}
	const perSecond = 100 // USER_HZ
	return time.Duration(ticks) * (time.Second / perSecond)
}

// round copies there and back, and removes what that left.
func (s *stage) round(ctx context.Context, up, down func(fetched string) error) (there, back cost, err error) {
	fetched := filepath.Join(s.dir, "fetched")
	if err := os.Mkdir(fetched, 0o700); err != nil {
		return there, back, err
	}
	if there, err = s.timed(func() error { return up(fetched) }); err != nil {
		return there, back, err
	}
	unix.Sync()
	if back, err = s.timed(func() error { return down(fetched) }); err != nil {
		return there, back, err
	}
	return there, back, s.empty(ctx, fetched)
}

func (s *stage) roundBare(ctx context.Context, w workload, up, down tuning, dir string) (there, back cost, err error) {
	return s.round(ctx,
		func(string) error { return s.bare.upload(ctx, up, dir, "bare") },
		func(fetched string) error { return s.bare.download(ctx, down, w, "bare", fetched) })
}

func (s *stage) roundOurs(ctx context.Context, dir string) (there, back cost, err error) {
	var tree models.Ref
	return s.round(ctx,
		func(string) error {
			var err error
			tree, err = artifact.PutTree(ctx, s.ours, dir, "tree")
			return err
		},
		func(fetched string) error {
			return artifact.GetTree(ctx, s.ours, tree, filepath.Join(fetched, "tree"))
		})
}

// tune finds the bare client's best, in each direction.
func (s *stage) tune(ctx context.Context, w workload, dir string) (up, down tuning, err error) {
	var bestUp, bestDown time.Duration
	for _, t := range tunings(w) {
		there, back, err := s.roundBare(ctx, w, t, t, dir)
		if err != nil {
			return up, down, err
		}
		fmt.Fprintf(os.Stderr, "%s, bare client, %v: %.2f s up, %.2f s down\n", w.Name, t, there.wall.Seconds(), back.wall.Seconds())
		if bestUp == 0 || there.wall < bestUp {
			bestUp, up = there.wall, t
		}
		if bestDown == 0 || back.wall < bestDown {
			bestDown, down = back.wall, t
		}
	}
	return up, down, nil
}

// seen are the costs of all rounds.
type seen struct{ bareUp, bareDown, oursUp, oursDown, mlflow []cost }

func (s *stage) measure(ctx context.Context, w workload, rounds int) (figures, error) {
	f := figures{workload: w}
	dir := filepath.Join(s.dir, "files")
	defer func() { _ = os.RemoveAll(dir) }() // the whole directory goes in the end
	err := w.write(dir)
	if err != nil {
		return f, err
	}
	if f.Up.Best, f.Down.Best, err = s.tune(ctx, w, dir); err != nil {
		return f, err
	}
	mlflow, err := s.startMLflow(ctx)
	if err != nil {
		return f, err
	}
	defer mlflow.stop()
	var all seen
	for range rounds {
		bareUp, bareDown, err := s.roundBare(ctx, w, f.Up.Best, f.Down.Best, dir)
		if err != nil {
			return f, err
		}
		oursUp, oursDown, err := s.roundOurs(ctx, dir)
		if err != nil {
			return f, err
		}
		took, err := mlflow.log(dir)
		if err = errors.Join(err, s.empty(ctx, "")); err != nil {
			return f, err
		}
		all.bareUp, all.bareDown = append(all.bareUp, bareUp), append(all.bareDown, bareDown)
		all.oursUp, all.oursDown = append(all.oursUp, oursUp), append(all.oursDown, oursDown)
		all.mlflow = append(all.mlflow, cost{wall: took})
		fmt.Fprintf(os.Stderr, "%s: bare %.2f + %.2f s, mainspring %.2f + %.2f s, mlflow %.2f s\n", w.Name,
			bareUp.wall.Seconds(), bareDown.wall.Seconds(), oursUp.wall.Seconds(), oursDown.wall.Seconds(), took.Seconds())
	}
	f.fill(all)
	return f, nil
}
