package shift

import (
	"strconv"
	"strings"
)

// Histogram is one feature before and now, as shares of the rows.
type Histogram struct {
	Feature string         `json:"feature"`
	Type    string         `json:"type"`
	Bins    []HistogramBin `json:"bins"`
}

// HistogramBin is one bin that has rows on either side.
type HistogramBin struct {
	Name   string  `json:"name"` // such as "(3, 5]", "UA" or "no value"
	Before float64 `json:"before"`
	Now    float64 `json:"now"`
}

// Histogram draws up a feature for people; false: there is no such one.
func (r *Reference) Histogram(feature string, now *Block) (Histogram, bool) {
	for i := range r.Features {
		f := &r.Features[i]
		if f.Name != feature {
			continue
		}
		h := Histogram{Feature: f.Name, Type: f.Type}
		before, after := r.All.Features[i], now.Features[i]
		total, weight := sum(before), sum(after)
		for k := range before {
			if before[k] > 0 || after[k] > 0 {
				h.Bins = append(h.Bins, HistogramBin{Name: f.binName(k), Before: ratio(before[k], total), Now: ratio(after[k], weight)})
			}
		}
		return h, true
	}
	return Histogram{}, false
}

func (f *Feature) binName(k int) string {
	switch {
	case k == f.Missing():
		return "no value"
	case f.Type == TypeCategory && k == f.unseen():
		return "not in the reference"
	case f.Type == TypeCategory && k > f.unseen()-2:
		return "rare ones"
	case f.Type == TypeCategory:
		return strings.ToValidUTF8(f.Values[k], "?")
	case len(f.Edges) == 0:
		return "any number"
	case k == 0:
		return "up to " + edge(f.Edges[0])
	case k == len(f.Edges):
		return "above " + edge(f.Edges[k-1])
	default:
		return "(" + edge(f.Edges[k-1]) + ", " + edge(f.Edges[k]) + "]"
	}
}

func edge(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
