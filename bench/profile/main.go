// Command profile times what a preparation does to look at its rows: all data
// checks and the profile of both sides in one pass over a Parquet file.
//
//	go run ./bench/profile -data F.parquet -json
//	go run ./bench/profile -rivals -write docs/profile.md
//
// What is timed is opening the file, reading every row of every column with a
// usable type, the pass, looking for repeated values and rows, the judgement of
// all checks, and encoding the profile, in a process of its own. Peak memory is
// the whole process's, as the kernel counts it. Limits are taken from a pass
// before, which is not timed, so that every column is held against something: a
// range, a set of strings, a baseline. Without -data the file is flights-3m.parquet
// of the npm package vega-datasets. With -rivals other tools get the same file,
// one after the other.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

type options struct {
	data    string
	repeat  int
	rivals  bool
	output  figures.Output
	workers int
	// Of the process that profiles: what is already known of the file, empty for
	// nothing, and where to write the profile, empty for nowhere.
	child          bool
	baseline, save string
}

// command is what the figures of the document are made with.
const command = "go run ./bench/profile -rivals -write docs/profile.md"

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o := options{}
	flags := flag.NewFlagSet("profile", flag.ContinueOnError)
	flags.StringVar(&o.data, "data", "", "Parquet file; the default is fetched")
	flags.IntVar(&o.repeat, "repeat", 5, "runs, of which the fastest and the largest count")
	flags.IntVar(&o.workers, "workers", 2, "processors to use")
	flags.BoolVar(&o.rivals, "rivals", false, "run other tools on the file, in a Python environment in the user's cache")
	flags.BoolVar(&o.child, "child", false, "only profile the file; used by the command itself")
	flags.StringVar(&o.baseline, "baseline", "", "with -child: profile to hold the file against")
	flags.StringVar(&o.save, "save", "", "with -child: where to write the profile")
	o.output.Register(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.repeat < 1 || o.workers < 1 {
		return fmt.Errorf("-repeat and -workers must be 1 or more")
	}
	if o.child {
		return profileIn(ctx, o, out)
	}
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	return o.output.Print(out, command, r, r.text())
}

// report is the figures. The goals are for flights-3m.parquet on two cores.
type report struct {
	File        string   `json:"file"`
	SHA256      string   `json:"sha256"`
	Cores       int      `json:"cores"`
	GoalSeconds float64  `json:"goal_seconds"`
	GoalMiB     float64  `json:"goal_mib"`
	Ours        profiled `json:"ours"`
	Rivals      []rival  `json:"rivals,omitempty"`
}

const (
	goalSeconds = 0.6
	goalMiB     = 300
)

func measure(ctx context.Context, o options) (r report, err error) {
	var digest string
	if o.data, digest, err = dataFile(ctx, o.data); err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp("", "bench-profile-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: a temporary directory
	r = report{File: filepath.Base(o.data), SHA256: digest, Cores: o.workers, GoalSeconds: goalSeconds, GoalMiB: goalMiB}
	baseline := filepath.Join(dir, "baseline.json")
	if _, err := profileInChild(ctx, o, "-save", baseline); err != nil {
		return r, err
	}
	for i := range o.repeat {
		p, err := profileInChild(ctx, o, "-baseline", baseline)
		if err != nil {
			return r, err
		}
		peak := max(p.PeakMiB, r.Ours.PeakMiB)
		if i == 0 || p.Seconds < r.Ours.Seconds {
			r.Ours = p
		}
		r.Ours.PeakMiB = peak
	}
	if o.rivals {
		r.Rivals, err = runRivals(ctx, o, r.Ours)
	}
	return r, err
}

func profileInChild(ctx context.Context, o options, more ...string) (p profiled, err error) {
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	args := append([]string{"-child", "-data", o.data, "-workers", strconv.Itoa(o.workers)}, more...)
	child := exec.CommandContext(ctx, self, args...)
	child.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(o.workers))
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err != nil {
		return p, fmt.Errorf("profile %s: %w", o.data, err)
	}
	err = json.Unmarshal(out, &p)
	p.PeakMiB = figures.PeakMiB(child.ProcessState)
	return p, err
}
