// Command monitor times the scoring of one block of live traffic: an inference
// log and its labels, as gateways write them, in; loss, slices, the histograms
// of all inputs and the estimated loss out.
//
//	go run ./bench/monitor -json
//	go run ./bench/monitor -evidently
//
// What is timed is one call of ScoreBlocks in a process of its own: listing and
// reading 5,000-row Parquet objects from a directory, taking the JSON of every
// request's inputs and outputs apart, joining the labels, and writing the
// block's evidence. Peak memory is the whole process's, as the kernel counts it.
// With -evidently, evidently's data drift and classification presets run on the
// same rows, which it gets as data frames in memory: reading them is not timed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

type options struct {
	rows, repeat int
	seed         uint64
	evidently    bool
	output       figures.Output
	scoreIn      string
}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "monitor:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.scoreIn != "" {
		return scoreIn(ctx, o.scoreIn, out)
	}
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	return o.output.Print(out, command, r, r.text())
}

// command is what the figures of a document are made with.
const command = "go run ./bench/monitor -evidently -write docs/monitoring.md"

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("monitor", flag.ContinueOnError)
	flags.IntVar(&o.rows, "rows", 1_000_000, "requests of the block")
	flags.IntVar(&o.repeat, "repeat", 3, "calls, of which the fastest and the largest count")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the traffic")
	o.output.Register(flags)
	flags.BoolVar(&o.evidently, "evidently", false, "compare with evidently "+evidentlyVersion+", installed into the user's cache")
	flags.StringVar(&o.scoreIn, "score-in", "", "only score the log in this directory; used by the command itself")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.rows < 1 || o.repeat < 1 {
		return o, fmt.Errorf("-rows and -repeat must be 1 or more")
	}
	return o, nil
}
