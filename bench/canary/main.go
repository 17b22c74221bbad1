// Command canary plays the product's canary judge against other rules on the
// same simulated traffic, looked at every minute, and says whether each promise
// held.
//
//	go run ./bench/canary                        tables
//	go run ./bench/canary -json                  the same as JSON
//	go run ./bench/canary -quick                 a tenth of the runs, in seconds
//	go run ./bench/canary -write docs/canary.md  also into a document
//
// It exits with 1 when a promise is broken.
//
// Vocabulary: a world is the truth of a row, a run is one hour of traffic drawn
// from it, a rule looks at each minute once and decides at most once per run. A
// decision that is false in its world has a budget; of the others the rate is
// power.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

type options struct {
	runs   int
	seed   uint64
	output figures.Output
}

// Report is what the command prints with -json.
type Report struct {
	Runs   int     `json:"runs"`
	Seed   uint64  `json:"seed"`
	Alpha  float64 `json:"alpha"`
	Beta   float64 `json:"beta"`
	Tables []Table `json:"tables"`
	Broken int     `json:"broken"` // promises
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "canary:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	report := Report{Runs: o.runs, Seed: o.seed, Alpha: alpha, Beta: beta, Tables: o.tables()}
	report.Broken = broken(report.Tables)
	var text strings.Builder
	writeTables(&text, report)
	err = o.output.Print(out, command, report, text.String())
	if err == nil && report.Broken > 0 {
		err = fmt.Errorf("%d promises are broken", report.Broken)
	}
	return err
}

// command is the mark of the figures in a document.
const command = "go run ./bench/canary -write docs/canary.md"

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("canary", flag.ContinueOnError)
	flags.IntVar(&o.runs, "runs", 1000, "runs of each row; of those of latency a fifth")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the traffic")
	o.output.Register(flags)
	quick := flags.Bool("quick", false, "a tenth of the runs")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.runs < 1 {
		return o, errors.New("-runs must be at least 1")
	}
	if *quick {
		o.runs = max(o.runs/10, 1)
	}
	return o, nil
}

func broken(tables []Table) (n int) {
	for _, t := range tables {
		for _, r := range t.Rows {
			for _, outcome := range r.Outcomes {
				if outcome.Promise == PromiseBroken {
					n++
				}
			}
		}
	}
	return n
}
