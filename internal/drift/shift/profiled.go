package shift

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
)

// cutFeature takes a feature's bins from the profile, or finds them in the rows
// where that has none, or knows the numbers too coarsely.
func (p Plan) cutFeature(column *dataset.Series) Feature {
	bins := p.Monitor.Inputs.Bins
	if p.Profile != nil {
		if known := p.Profile.Column(column.Name); known != nil && known.Type == column.Type {
			if f, ok := profiled(known, bins); ok {
				return f
			}
		}
	}
	return cutFeature(column, bins)
}

// profiled makes a feature of what a profile knows of a column.
func profiled(c *profile.Column, bins int) (f Feature, ok bool) {
	f.Name = c.Name
	switch {
	case c.Sensitive || c.Values == nil:
		return f, false
	case c.Type == dataset.TypeString:
		counts := make(map[string]int64, len(c.Values.Top))
		for _, v := range c.Values.Top {
			counts[v.Value] = v.Rows
		}
		f.cutCategories(counts, c.Values.Exact())
		return f, true
	case c.Numbers == nil:
		return f, false
	}
	f.Mean, f.Sigma = c.Numbers.Mean, c.Numbers.Sigma
	if c.Values.Exact() {
		values, err := countedIn(c.Values)
		if err != nil {
			return f, false
		}
		f.cutNumbers(values, bins)
		return f, true
	}
	return f, f.cutBuckets(c.Numbers, bins)
}

// countedIn are the finite numbers among values.
func countedIn(v *profile.Values) (c counted, err error) {
	type entry struct {
		value float64
		rows  int64
	}
	entries := make([]entry, 0, len(v.Top))
	for _, count := range v.Top {
		value, err := strconv.ParseFloat(count.Value, 64)
		if err != nil {
			return c, err
		}
		if !math.IsInf(value, 0) {
			entries = append(entries, entry{value, count.Rows})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.value, b.value) })
	total := int64(0)
	for _, e := range entries {
		total += e.rows
		c.values, c.upTo = append(c.values, e.value), append(c.upTo, total)
	}
	return c, nil
}

// fineEnough is how many buckets a bin must have on average: numbers that lie
// close to each other and far from zero, such as years, are known too coarsely.
const fineEnough = 2

// cutBuckets makes bins of about equal size of whole buckets. Buckets begin (below
// zero: end) with numbers of eight bits, which stay what they are as 32-bit
// floats: a number that was rounded on its way leaves its bin only if it lies
// closer to such a number than the rounding reaches.
func (f *Feature) cutBuckets(n *profile.Numbers, bins int) bool {
	below, above, ok := n.Ends()
	if !ok || n.Filled() < fineEnough*bins {
		return false
	}
	f.Type = TypeNumber
	f.setEdges(n.Cuts(shares(bins)), below, above)
	return true
}
