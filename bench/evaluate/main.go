// Command evaluate times the gate's measurement: every metric of task binary
// with its interval, candidate and champion on the same rows, as a whole and by
// slice, on simulated rows.
//
//	go run ./bench/evaluate -json
//
// Vocabulary: a resample draws whole blocks with replacement; the plain
// implementation writes each resample's rows out, sorts them and computes each
// metric by its definition, on all cores. It runs on fewer rows and resamples
// in the same call, is scaled to as many resamples, and must agree with the
// product's figures to 1e-9.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/mainspring-ml/mainspring/models"
)

type options struct {
	rows, blocks, columns, slices, resamples int
	plainRows, plainResamples, repeat        int
	seed                                     uint64
	json                                     bool
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "evaluate:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	r, err := measure(o)
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(out).Encode(r)
	}
	return writeTable(out, r)
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("evaluate", flag.ContinueOnError)
	flags.IntVar(&o.rows, "rows", 1_000_000, "held-out rows")
	flags.IntVar(&o.blocks, "blocks", 365, "blocks that are resampled")
	flags.IntVar(&o.columns, "columns", 4, "columns that cut the rows into slices")
	flags.IntVar(&o.slices, "slices", 20, "slices of all columns together")
	flags.IntVar(&o.resamples, "resamples", 1000, "resamples")
	flags.IntVar(&o.plainRows, "plain-rows", 100_000, "rows for the comparison with the plain implementation; 0: none")
	flags.IntVar(&o.plainResamples, "plain-resamples", 10, "resamples that the plain implementation makes")
	flags.IntVar(&o.repeat, "repeat", 3, "measurements, of which the fastest counts")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the rows and of the resamples")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.blocks < 2 || o.rows < o.blocks:
		return o, fmt.Errorf("%d rows in %d blocks: give at least 2 blocks, and a row to each", o.rows, o.blocks)
	case o.columns < 0 || o.slices < o.columns || o.columns == 0 && o.slices > 0:
		return o, fmt.Errorf("%d slices of %d columns: give at least a slice to each column", o.slices, o.columns)
	case o.resamples < 1 || o.repeat < 1 || o.plainResamples < 1:
		return o, fmt.Errorf("-resamples, -plain-resamples and -repeat must be 1 or more")
	case o.plainRows != 0 && o.plainRows < o.blocks:
		return o, fmt.Errorf("-plain-rows: %d is less than a row for each of %d blocks", o.plainRows, o.blocks)
	}
	return o, nil
}

// report is what the command prints. Times are wall-clock seconds unless named
// otherwise.
type report struct {
	Rows          int     `json:"rows"`
	Blocks        int     `json:"blocks"`
	Slices        int     `json:"slices"`
	Resamples     int     `json:"resamples"`
	Models        int     `json:"models"`
	Cores         int     `json:"cores"`
	Seconds       float64 `json:"seconds"`
	CPUSeconds    float64 `json:"cpu_seconds"` // of all cores
	RowsPerSecond float64 `json:"rows_per_second"`
	GoalSeconds   float64 `json:"goal_seconds"`
	Metrics       []share `json:"metrics"`
	Plain         *plain  `json:"plain,omitempty"`
}

// share is what a metric costs when it is measured alone. Passes over the rows
// count in each, so shares add up to more than 1.
type share struct {
	Metric     models.Metric `json:"metric"`
	Seconds    float64       `json:"alone_seconds"`
	CPUSeconds float64       `json:"alone_cpu_seconds"`
	Share      float64       `json:"alone_share"` // of the processor time of all metrics
}

// plain compares with the plain implementation on the same rows.
type plain struct {
	Rows             int     `json:"rows"`
	Resamples        int     `json:"resamples_made"`
	SecondsMade      float64 `json:"seconds_made"`
	SecondsScaled    float64 `json:"seconds_scaled"` // to as many resamples as ours
	OurSeconds       float64 `json:"our_seconds"`
	Ratio            float64 `json:"ratio"`
	CPURatio         float64 `json:"cpu_ratio"`         // of processor time, which other load hardly moves
	LargestDeviation float64 `json:"largest_deviation"` // of a figure on the sample
}
