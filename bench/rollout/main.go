// Command rollout releases versions that misbehave in known ways on a stack of
// its own, under traffic, and prints what the canary made of each: verdict,
// time, and the share of requests that met the version.
//
//	go run ./bench/rollout -json              every scenario once, as JSON
//	go run ./bench/rollout -seeds 5           five times, with other requests
//	go run ./bench/rollout -only fails,fine   some
//	go run ./bench/rollout -off               with the faults switched off: all must be promoted
//	go run ./bench/rollout -write docs/rollout.md   puts the table into the document
//
// It needs what `make demo` needs, and two minutes for each seed. It exits with
// 1 when an outcome is not the one that the version deserves.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/figures"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
	"github.com/mainspring-ml/mainspring/testenv/rollouts"
)

// limit is for each seed.
const limit = 6 * time.Minute

type flags struct {
	json, off bool
	seeds     int
	only      string
	write     string // document; empty: none
}

func main() {
	var f flags
	flag.BoolVar(&f.json, "json", false, "print JSON instead of lines")
	flag.BoolVar(&f.off, "off", false, "switch the faults off")
	flag.IntVar(&f.seeds, "seeds", 1, "how often each scenario runs")
	flag.StringVar(&f.only, "only", "", "scenarios, separated by commas")
	flag.StringVar(&f.write, "write", "", "document to write the table into")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f); err != nil {
		fmt.Fprintln(os.Stderr, "rollout:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(1, f.seeds))*limit)
	defer cancel()
	dir, err := os.MkdirTemp("", "mainspring-rollout-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := func(format string, arguments ...any) { fmt.Fprintf(os.Stderr, format+"\n", arguments...) }
	l, err := laptop.Start(ctx, laptop.Config{Root: ".", Dir: dir, Command: "bench/rollout", Log: log,
		Gateways: 2, Devices: 16, Programs: []string{rollouts.Program}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.End()) }()
	bench, err := rollouts.New(l, dir, log)
	if err != nil {
		return err
	}
	var outcomes []rollouts.Outcome
	var broken []error
	for seed := 1; seed <= f.seeds; seed++ {
		some, err := all(ctx, bench, chosen(f, seed))
		outcomes, broken = append(outcomes, some...), append(broken, err)
	}
	return errors.Join(append(broken, printAll(f, outcomes))...)
}

// chosen are the scenarios of one seed.
func chosen(f flags, seed int) (some []rollouts.Scenario) {
	for _, s := range rollouts.Scenarios() {
		if f.only != "" && !slices.Contains(strings.Split(f.only, ","), s.Name) || f.off && s.Rate == 0 {
			continue
		}
		if f.off {
			s = s.Sound()
		}
		s.Seed = seed
		some = append(some, s)
	}
	return some
}

// all runs scenarios at once: they wait for evidence most of the time.
func all(ctx context.Context, bench *rollouts.Bench, scenarios []rollouts.Scenario) (outcomes []rollouts.Outcome, err error) {
	running := make([]*rollouts.Running, len(scenarios))
	for i, s := range scenarios {
		running[i] = bench.Begin(ctx, s)
	}
	for i, s := range scenarios {
		outcome, failure := running[i].Outcome()
		if failure != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", s.Name, failure))
			continue
		}
		outcomes = append(outcomes, outcome)
		err = errors.Join(err, outcome.Check(s))
	}
	return outcomes, err
}

// command is the mark of the table in a document.
const command = "go run ./bench/rollout -write docs/rollout.md"

// table has a row for each outcome, in Markdown.
func table(outcomes []rollouts.Outcome) string {
	var b strings.Builder
	b.WriteString("| The version | Verdict | After | Exposed | Why |\n|---|---|---|---|---|\n")
	for _, o := range outcomes {
		fmt.Fprintf(&b, "| %s | %s | %.0f s | %.1f %% of %d requests | %s |\n", o.Did, o.Verdict, o.Seconds, 100*o.Exposed.Share, o.Exposed.Total, o.Reason)
	}
	return b.String()
}

func printAll(f flags, outcomes []rollouts.Outcome) error {
	if f.write != "" {
		if err := figures.WriteInto(f.write, command, table(outcomes)); err != nil {
			return err
		}
	}
	if !f.json {
		for _, o := range outcomes {
			fmt.Printf("%-14s %-12s after %5.1f s, exposed %5.2f %%: %s\n", o.Scenario, o.Verdict, o.Seconds, 100*o.Exposed.Share, o.Reason)
		}
		return nil
	}
	text, err := json.MarshalIndent(outcomes, "", "  ")
	if err == nil {
		fmt.Println(string(text))
	}
	return err
}
