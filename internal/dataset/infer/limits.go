package infer

import (
	"fmt"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// mostAllowed is how many values an allowed set may have for a guess, and
	// leastRepeats how often each is there on average: otherwise others will come.
	mostAllowed  = 20
	leastRepeats = 20
	// room is how far beyond what was seen a range goes, as a share of its width.
	room = 0.1
)

// limits guesses checks from what was seen, with room for more of the same.
func (g *Guess) limits() {
	checks := &g.Data.Checks
	checks.MaxNullFraction, checks.Range, checks.Allowed = map[string]float64{}, map[string]models.Range{}, map[string][]string{}
	for i := range g.source.Profile.Columns {
		c := &g.source.Profile.Columns[i]
		g.limitNulls(c)
		if !slices.Contains(g.Data.Features, c.Name) {
			continue
		}
		g.limitRange(c)
		g.limitValues(c)
	}
}

// limitNulls allows half as many again as there are, and at least one in a
// hundred more, where there are any. All of them may lie in the window.
func (g *Guess) limitNulls(c *profile.Column) {
	nulls := c.Nulls - g.bad(c.Name).Count
	if nulls <= 0 || c.Rows == 0 {
		return
	}
	seen := float64(nulls) / float64(c.Rows)
	most := float64(nulls) / max(1, g.inWindow)
	g.Data.Checks.MaxNullFraction[c.Name] = min(1, math.Ceil(100*max(1.5*seen, seen+0.01, most))/100)
	g.why["checks.max_null_fraction."+c.Name] = fmt.Sprintf("%.2g %% seen", 100*seen)
	if c.Name == g.Data.LabelTime {
		g.why["checks.max_null_fraction."+c.Name] += ": labels that were not known yet"
	}
}

// bad are the column's values that were read as none.
func (g *Guess) bad(column string) (bad dataset.BadValues) {
	for _, b := range g.source.Bad {
		if b.Column == column {
			return b
		}
	}
	return dataset.BadValues{}
}

func (g *Guess) limitRange(c *profile.Column) {
	n := c.Numbers
	if n == nil || n.Count == 0 || c.Type == dataset.TypeBool || c.Type == dataset.TypeTimestamp || n.Min == n.Max {
		return
	}
	width := n.Max - n.Min
	low, high := outward(n.Min, width, -1), outward(n.Max, width, +1)
	if n.Min >= 0 {
		low = max(low, 0) // what is counted or measured from 0 does not get negative
	}
	holds := low <= n.Min && n.Max <= high && !math.IsInf(high-low, 0)
	if n.Infinite > 0 || !holds {
		return // there is none that can be written and holds these numbers
	}
	g.Data.Checks.Range[c.Name] = models.Range{Min: &low, Max: &high}
	g.why["checks.range."+c.Name] = fmt.Sprintf("%s to %s seen", number(n.Min), number(n.Max))
}

// outward gives an end some room, and rounds it to a hundredth of the width, or
// a whole number.
func outward(end, width, sign float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(width))-1)
	if end == math.Trunc(end) && step < 1 {
		step = 1
	}
	units := (end + sign*room*width) / step
	if sign < 0 {
		units = math.Floor(units + 1e-9)
	} else {
		units = math.Ceil(units - 1e-9)
	}
	if step < 1 { // dividing by 10 is exact where multiplying by 0.1 is not
		return units / math.Round(1/step)
	}
	return units * step
}

func (g *Guess) limitValues(c *profile.Column) {
	v := c.Values
	if c.Type != dataset.TypeString || v == nil || !v.Exact() || v.Distinct > mostAllowed || v.Distinct*leastRepeats > c.Rows {
		return
	}
	values := make([]string, len(v.Top))
	for i, top := range v.Top {
		values[i] = top.Value
	}
	slices.Sort(values)
	g.Data.Checks.Allowed[c.Name] = values
	g.why["checks.allowed."+c.Name] = fmt.Sprintf("all %d values seen", v.Distinct)
}
