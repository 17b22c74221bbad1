package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/models"
	document "github.com/mainspring-ml/mainspring/testenv/figures"
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
	total := time.Duration(document.ProcessorSeconds(unix.RUSAGE_SELF) * float64(time.Second))
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

// trip is what one client took to copy there and back.
type trip struct {
	up, down cost
	verify   cost // SHA-256 of the same files by all cores, which a bare client leaves to others
}

// round copies there and back, and removes what that left.
func (s *stage) round(ctx context.Context, up func() error, down func(fetched string) error) (t trip, err error) {
	fetched := filepath.Join(s.dir, "fetched")
	if err := os.Mkdir(fetched, 0o700); err != nil {
		return t, err
	}
	if t.up, err = s.timed(up); err != nil {
		return t, err
	}
	unix.Sync()
	if t.down, err = s.timed(func() error { return down(fetched) }); err != nil {
		return t, err
	}
	return t, s.empty(ctx, fetched)
}

func (s *stage) roundBare(ctx context.Context, w workload, up, down tuning, dir string) (trip, error) {
	t, err := s.round(ctx,
		func() error { return s.bare.upload(ctx, up, dir, "bare") },
		func(fetched string) error { return s.bare.download(ctx, down, w, "bare", fetched) })
	if err != nil {
		return t, err
	}
	t.verify, err = s.timed(func() error { return digests(dir) })
	return t, err
}

func (s *stage) roundOurs(ctx context.Context, dir string) (trip, error) {
	var tree models.Ref
	return s.round(ctx,
		func() error {
			var err error
			tree, err = artifact.PutTree(ctx, s.ours, dir, "tree")
			return err
		},
		func(fetched string) error {
			return artifact.GetTree(ctx, s.ours, tree, filepath.Join(fetched, "tree"))
		})
}

// digests computes the SHA-256 of a directory's files, one on each core at a
// time, as `sha256sum` under `xargs -P` does.
func digests(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for _, entry := range entries {
		group.Go(func() error {
			file, err := os.Open(filepath.Join(dir, entry.Name()))
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }() // only read from
			_, err = io.CopyBuffer(sha256.New(), struct{ io.Reader }{file}, make([]byte, 512<<10))
			return err
		})
	}
	return group.Wait()
}

// tune finds the bare client's best, in each direction.
func (s *stage) tune(ctx context.Context, w workload, dir string) (up, down tuning, err error) {
	var bestUp, bestDown time.Duration
	for _, t := range tunings(w) {
		took, err := s.roundBare(ctx, w, t, t, dir)
		if err != nil {
			return up, down, err
		}
		fmt.Fprintf(os.Stderr, "%s, bare client, %v: %.2f s up, %.2f s down\n", w.Name, t, took.up.wall.Seconds(), took.down.wall.Seconds())
		if bestUp == 0 || took.up.wall < bestUp {
			bestUp, up = took.up.wall, t
		}
		if bestDown == 0 || took.down.wall < bestDown {
			bestDown, down = took.down.wall, t
		}
	}
	return up, down, nil
}

// seen are the costs of all rounds.
type seen struct {
	bare, ours []trip
	mlflow     []cost
}

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
		bare, err := s.roundBare(ctx, w, f.Up.Best, f.Down.Best, dir)
		if err != nil {
			return f, err
		}
		ours, err := s.roundOurs(ctx, dir)
		if err != nil {
			return f, err
		}
		took, err := mlflow.log(dir)
		if err = errors.Join(err, s.empty(ctx, "")); err != nil {
			return f, err
		}
		all.bare, all.ours, all.mlflow = append(all.bare, bare), append(all.ours, ours), append(all.mlflow, cost{wall: took})
		fmt.Fprintf(os.Stderr, "%s: bare %.2f + %.2f s (and %.2f s for digests), mainspring %.2f + %.2f s, mlflow %.2f s\n", w.Name,
			bare.up.wall.Seconds(), bare.down.wall.Seconds(), bare.verify.wall.Seconds(), ours.up.wall.Seconds(), ours.down.wall.Seconds(), took.Seconds())
	}
	f.fill(all)
	return f, nil
}
