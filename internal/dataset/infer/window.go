package infer

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
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
	first, last := dataset.FromSeconds(times.Min), g.newest(times)
	end := last
	if c := g.column(g.Data.LabelTime); c != nil && c.Numbers != nil && c.Numbers.Count > 0 {
		if known := g.newest(c.Numbers); known.After(end) {
			end = known
		}
	}
	asOf := end.Truncate(day).Add(day) // AsOf itself is excluded
	if g.source.Now.Sub(last) > current {
		g.Data.AsOf = asOf
		g.why["as_of"] = "the day after the last row: drop it when data goes on coming"
	}
	late := asOf.Sub(last.Truncate(day).Add(day)) // of the window, when no row is there: labels come later
	whole := asOf.Sub(first.Truncate(day))
	window := whole
	if whole > longestWindow {
		window = min(whole, year+late)
	}
	g.Data.Window = models.Duration(window)
	g.why["window"] = fmt.Sprintf("rows are from %s to %s", first.Format(time.DateOnly), last.Format(time.DateOnly))
	fifth := max(2*day, (window / 5).Truncate(day))
	holdout, unknown := fifth, int64((1-g.known())*float64(g.source.Profile.Rows)) // most often the newest rows
	for holdout < window && rowsOf(times, asOf.Add(-holdout), asOf) <= unknown {
		holdout += fifth
	}
	g.inWindow = g.known() * float64(rowsOf(times, asOf.Add(-window), asOf))
	rows := g.known() * float64(rowsOf(times, asOf.Add(-window), asOf.Add(-holdout)))
	if short := window < leastSpan; short || rows == 0 {
		g.Data.Split = models.SplitSpec{By: models.SplitByHash, Fraction: 0.2}
		g.why["split"] = fmt.Sprintf("%s is too short to hold a part of it out by time", models.Duration(window))
		if !short {
			g.why["split"] = "by time, no row would train"
		}
		rows = 0.8 * g.inWindow
	} else {
		g.Data.Holdout = models.Duration(holdout)
		g.why["holdout"] = "the last fifth, to evaluate on"
		if holdout > fifth {
			g.why["holdout"] = "to evaluate on; the last labels are not known yet"
		}
	}
	g.Data.Checks.MinRows, g.Data.Checks.MaxRows = max(1, oneDigit(rows/2, math.Floor)), max(1, oneDigit(rows*2, math.Ceil))
	g.why["checks.min_rows"] = fmt.Sprintf("about %d rows train: half of that", int64(rows))
	g.why["checks.max_rows"] = "and twice of that"
}

// newest is the last time, or the day of the last one that does not lie ahead: what
// does stands for never, or was planned.
func (g *Guess) newest(times *profile.Numbers) time.Time {
	last := dataset.FromSeconds(times.Max)
	if !last.After(g.source.Now) {
		return last
	}
	for _, b := range slices.Backward(times.Buckets) {
		if at := time.Unix(int64(b.At)*int64(day/time.Second), 0).UTC(); !at.After(g.source.Now) {
			return at
		}
	}
	return last
}

// rowsOf counts the rows from one day to before another one. Their share of the
// time says little of it: sources grow, and a single wrong time makes them long.
func rowsOf(times *profile.Numbers, from, to time.Time) (rows int64) {
	dayOf := func(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }
	for _, b := range times.Buckets {
		if at := int64(b.At); at >= dayOf(from) && at < dayOf(to) {
			rows += b.Rows
		}
	}
	return rows
}

// known is about the share of rows that have an outcome: the others are left out.
func (g *Guess) known() float64 {
	unknown := g.column(g.Data.Label).NullFraction()
	if c := g.column(g.Data.LabelTime); c != nil {
		unknown = max(unknown, c.NullFraction())
	}
	return 1 - unknown
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
