package infer

import (
	"fmt"
	"math"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	day = 24 * time.Hour
	// leastSpan is what is divided by time; a shorter source is divided by a hash.
	leastSpan = 10 * day
	// longestWindow keeps a guess from training on what is long gone: a longer source
	// is cut to a year.
	longestWindow = 400 * day
	year          = 365 * day
	// current is how old the newest row of a source that goes on may be.
	current = 7 * day
)

// window proposes as_of, window and split from the source's times, and the band
// of rows from how many lie in it.
func (g *Guess) window() {
	times := g.column(g.Data.Time).Numbers
	first, last := dataset.FromSeconds(times.Min), dataset.FromSeconds(times.Max)
	end := last
	if c := g.column(g.Data.LabelTime); c != nil && c.Numbers != nil && c.Numbers.Count > 0 {
		if known := dataset.FromSeconds(c.Numbers.Max); known.After(end) {
			end = known
		}
	}
	asOf := end.Truncate(day).Add(day) // AsOf itself is excluded
	if g.source.Now.Sub(last) > current {
		g.Data.AsOf = asOf
		g.why["as_of"] = "the day after the last row: drop it when data goes on coming"
	}
	whole := asOf.Sub(first.Truncate(day))
	window := whole
	if whole > longestWindow {
		window = year
	}
	g.Data.Window = models.Duration(window)
	g.why["window"] = fmt.Sprintf("rows are from %s to %s", first.Format(time.DateOnly), last.Format(time.DateOnly))
	train := 0.8
	if window < leastSpan {
		g.Data.Split = models.SplitSpec{By: models.SplitByHash, Fraction: 0.2}
		g.why["split"] = fmt.Sprintf("%s is too short to hold a part of it out by time", models.Duration(window))
	} else {
		holdout := max(2*day, (window / 5).Truncate(day))
		g.Data.Holdout = models.Duration(holdout)
		g.why["holdout"] = "the last fifth, to evaluate on"
		train = float64(window-holdout) / float64(window)
	}
	rows := train * float64(g.source.Profile.Rows) * float64(window) / float64(whole)
	g.Data.Checks.MinRows, g.Data.Checks.MaxRows = max(1, oneDigit(rows/2, math.Floor)), max(1, oneDigit(rows*2, math.Ceil))
	g.why["checks.min_rows"] = fmt.Sprintf("about %d rows train: half of that", int64(rows))
	g.why["checks.max_rows"] = "and twice of that"
}

// oneDigit rounds a number of rows to its first digit.
func oneDigit(v float64, round func(float64) float64) int64 {
	unit := 1.0
	for v >= 10*unit {
		unit *= 10
	}
	return int64(round(v/unit) * unit)
}

// shrink keeps the section small enough for a spec: what is left out last is the
// most useful.
func (g *Guess) shrink() {
	fits := func() bool { return len(g.YAML()) <= mostBytes }
	checks := &g.Data.Checks
	for _, drop := range []func(){
		func() { checks.Allowed = nil; g.why["checks"] = "allowed values are left out: a spec has to be small" },
		func() {
			checks.Range = nil
			g.why["checks"] = "ranges and allowed values are left out: a spec has to be small"
		},
		g.leaveOutPlain,
	} {
		if fits() {
			return
		}
		drop()
	}
}

// mostBytes leaves room for the other sections in the 16 KiB that a spec may
// have as JSON, which is shorter than this text.
const mostBytes = 14 << 10

// leaveOutPlain keeps only the columns that are sensitive.
func (g *Guess) leaveOutPlain() {
	columns := map[string]models.ColumnSpec{}
	for name, c := range g.Data.Columns {
		if c.Sensitive != "" || c.TimeFormat != "" {
			columns[name] = c
		}
	}
	g.Data.Columns = columns
	g.why["columns"] = fmt.Sprintf("the %d others are left out: a spec has to be small, so new columns will not be noticed", len(g.source.Profile.Columns)-len(columns))
}
