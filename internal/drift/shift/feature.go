package shift

import (
	"cmp"
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// The types of a feature.
const (
	TypeNumber   = "number"
	TypeCategory = "category"
)

// Feature is the bins of one feature. Numbers fall into the intervals between
// rising edges, categories into one bin each for the frequent ones, one for
// those that are rare in the reference, and one for those that it does not
// have. The last bin of either is for rows without a value.
type Feature struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Edges are of numbers: bin i reaches from above edge i-1 to edge i. The four
	// outermost bins on either side are beyond what the reference has, to tell
	// far from very far: up to 1, 4 and 16 standard deviations, and farther.
	Edges []float64 `json:"edges,omitempty"`
	// Mean and Sigma are of the reference's numbers.
	Mean  float64 `json:"mean,omitempty"`
	Sigma float64 `json:"sigma,omitempty"`
	// Values are the frequent categories, in the order of their bins. Rare holds
	// the hashes of the others, rising, four bytes each.
	Values []string `json:"values,omitempty"`
	Rare   []byte   `json:"rare,omitempty"`
	// Crowded says that there are too many rare categories to know them: then
	// nothing counts as unseen.
	Crowded bool `json:"crowded,omitempty"`
}

const (
	// maxCategories is how many categories have a bin of their own, fewCategory
	// the rows that one must have: a value that hardly anybody has may say who
	// it is.
	maxCategories = 30
	fewCategory   = 10
	// maxRare bounds the rare categories whose hashes are kept, longestCategory
	// the bytes of a category that is kept in words.
	maxRare         = 2048
	longestCategory = 80
)

// Bins is the number of bins, that of missing values included.
func (f *Feature) Bins() int {
	if f.Type == TypeNumber {
		return len(f.Edges) + 2
	}
	return len(f.Values) + 3
}

// Missing is the bin of rows without a value.
func (f *Feature) Missing() int { return f.Bins() - 1 }

// unseen is the bin of categories that the reference does not have.
func (f *Feature) unseen() int { return len(f.Values) + 1 }

// cutFeature finds the bins of a column of the reference's rows.
func cutFeature(column *dataset.Series, bins int) Feature {
	f := Feature{Name: column.Name}
	if column.Type == dataset.TypeString {
		counts := map[string]int64{}
		for row := range column.Len() {
			if !column.IsNull(row) {
				counts[column.Strings[row]]++
			}
		}
		f.cutCategories(counts, true)
		return f
	}
	values := make([]float64, 0, column.Len())
	for row := range column.Len() {
		if v, ok := column.Number(row); ok && !math.IsInf(v, 0) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	f.Mean, f.Sigma = moments(values)
	f.cutNumbers(countedOf(values), bins)
	return f
}

// counted are different numbers, rising, with how many of all are up to each.
type counted struct {
	values []float64
	upTo   []int64
}

func countedOf(sorted []float64) (c counted) {
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			c.values, c.upTo = append(c.values, v), append(c.upTo, 0)
		}
		c.upTo[len(c.upTo)-1] = int64(i + 1)
	}
	return c
}

// cutNumbers makes bins of about equal size. An edge lies halfway between two
// values that the reference has, so that a value that was rounded on its way
// (0.7 as a 32-bit float) stays in its bin.
func (f *Feature) cutNumbers(c counted, bins int) {
	f.Type = TypeNumber
	if len(c.values) == 0 {
		return
	}
	low, high := c.values[0], c.values[len(c.values)-1]
	var inner []float64
	if len(c.values) <= bins {
		for i := 1; i < len(c.values); i++ {
			inner = append(inner, halfway(c.values[i-1], c.values[i]))
		}
	} else {
		total := float64(c.upTo[len(c.upTo)-1])
		for _, share := range shares(bins) {
			at, _ := slices.BinarySearch(c.upTo, max(1, int64(math.Ceil(share*total)))) // the nearest rank
			if at+1 < len(c.values) {
				inner = append(inner, halfway(c.values[at], c.values[at+1]))
			}
		}
	}
	margin := f.scale(low) * 1e-6
	f.setEdges(inner, low-margin, high+margin)
}

// scale is what far is measured in, around a value.
func (f *Feature) scale(around float64) float64 {
	if f.Sigma == 0 {
		return max(math.Abs(around)*1e-6, 1e-9)
	}
	return f.Sigma
}

// setEdges adds the bins beyond what the reference has to those inside.
func (f *Feature) setEdges(inner []float64, below, above float64) {
	scale := f.scale(below)
	f.Edges = append(slices.Clone(inner), below, above)
	for _, far := range []float64{1, 4, 16} {
		f.Edges = append(f.Edges, below-far*scale, above+far*scale)
	}
	for i := range f.Edges { // JSON has no infinity
		f.Edges[i] = max(-math.MaxFloat64, min(math.MaxFloat64, f.Edges[i]))
	}
	slices.Sort(f.Edges) // numbers far larger than sigma may round two into one
	f.Edges = slices.Compact(f.Edges)
}

// shares of the rows are what bins of equal size end with, rising. The outermost
// bins are cut once or twice more: a whole sixteenth of the rows lies far apart
// there, and where in such a bin rows lie would be anybody's guess.
func shares(bins int) []float64 {
	var all []float64
	for _, tail := range []float64{0.002, 0.02} {
		if tail < 0.5/float64(bins) {
			all = append(all, tail, 1-tail)
		}
	}
	for i := 1; i < bins; i++ {
		all = append(all, float64(i)/float64(bins))
	}
	slices.Sort(all)
	return all
}

func halfway(a, b float64) float64 {
	if m := a/2 + b/2; m > a && m < b {
		return m
	}
	return a
}

// moments are the mean and the standard deviation, by parts of the mean so that
// large values do not overflow.
func moments(values []float64) (mean, sigma float64) {
	n := float64(len(values))
	for i, v := range values {
		mean += (v - mean) / float64(i+1)
	}
	for _, v := range values {
		d := v - mean
		sigma += d * d / n
	}
	sigma = math.Sqrt(sigma)
	if math.IsInf(sigma, 0) || math.IsNaN(sigma) {
		sigma = math.MaxFloat64 / 64
	}
	return mean, sigma
}

// cutCategories gives the most frequent categories a bin each, ties in the order
// of their names. The others are known only if all of them are given.
func (f *Feature) cutCategories(counts map[string]int64, all bool) {
	f.Type = TypeCategory
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var rare []uint32
	for _, name := range names {
		if len(f.Values) < maxCategories && counts[name] >= fewCategory && len(name) <= longestCategory {
			f.Values = append(f.Values, name)
		} else {
			rare = append(rare, hash([]byte(name)))
		}
	}
	slices.Sort(rare)
	rare = slices.Compact(rare)
	if f.Crowded = !all || len(rare) > maxRare; f.Crowded {
		return
	}
	for _, h := range rare {
		f.Rare = binary.LittleEndian.AppendUint32(f.Rare, h)
	}
}

// hash is FNV-1a, in place: hash/fnv allocates.
func hash(text []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range text {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}
