// Command drift plays the product's monitor against other drift rules on the
// same simulated years, and on the daily losses of the shipped flights, and says
// whether each promise held.
//
//	go run ./bench/drift                       tables
//	go run ./bench/drift -json                 the same as JSON
//	go run ./bench/drift -quick                a twentieth of the years, in seconds
//	go run ./bench/drift -write docs/drift.md  also into a document
//
// It exits with 1 when a promise is broken.
//
// Vocabulary: a world is the truth of a scenario, a run is one year of daily
// blocks of rows drawn from it with the reference before, a rule looks at each
// block, week or row once and alarms whenever it likes. An alarm is without
// reason when nothing changed before it.
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
	days   string
}

// Report is what the command prints with -json.
type Report struct {
	Runs      int      `json:"runs"`
	Seed      uint64   `json:"seed"`
	Reference int      `json:"reference_days"`
	Days      int      `json:"days"`
	Change    int      `json:"change_day"`
	Quiet     []Played `json:"quiet"`
	Changing  []Played `json:"changing"`
	Inputs    []Played `json:"inputs"`
	Flights   Flights  `json:"flights"`
	Broken    int      `json:"broken"` // promises
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "drift:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out, progress io.Writer) error {
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	report, err := o.report(progress)
	if err != nil {
		return err
	}
	var text strings.Builder
	writeReport(&text, report)
	err = o.output.Print(out, command, report, text.String())
	if err == nil && report.Broken > 0 {
		err = fmt.Errorf("%d promises are broken", report.Broken)
	}
	return err
}

func (o options) report(progress io.Writer) (Report, error) {
	report := Report{Runs: o.runs, Seed: o.seed, Reference: referenceDays, Days: watchedDays, Change: change}
	days, err := readFlights(o.days)
	if err != nil {
		return report, err
	}
	report.Quiet = o.playAll(o.quiet(), progress)
	report.Changing = o.playAll(o.changing(), progress)
	report.Inputs = o.playAll(o.inputs(), progress)
	report.Flights = playFlights(days, max(o.runs/2, 1), o.seed)
	report.Broken = broken(report)
	return report, nil
}

// command is the mark of the figures in a document.
const command = "go run ./bench/drift -write docs/drift.md"

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("drift", flag.ContinueOnError)
	flags.IntVar(&o.runs, "runs", 1000, "years of each world without drift; half where the loss changes, a quarter where there are inputs, and half as many permutations of the flights")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the years")
	o.output.Register(flags)
	flags.StringVar(&o.days, "flights", "internal/drift/testdata/flights_daily.csv", "daily losses of the flights")
	quick := flags.Bool("quick", false, "a twentieth of the years")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.runs < 1 {
		return o, errors.New("-runs must be at least 1")
	}
	if *quick {
		o.runs = max(o.runs/20, 1)
	}
	return o, nil
}
