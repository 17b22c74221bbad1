// Package rivals has the rules that others use to call drift, written from
// their definitions, with their default thresholds. None of the product uses
// it: it exists to be compared with.
//
// # Vocabulary
//
//   - A sample is the values of one column in one window: of a feature, or of
//     the losses.
//   - A reference is the sample that later ones are compared with.
//   - A window rule (KS, PSI, Evidently, NannyML) compares the sample of a
//     window with the reference, anew for each window: it remembers nothing.
//   - A stream rule (ADWIN, PageHinkley, CUSUM) sees one value after the other, and
//     starts anew after it has called drift.
package rivals

import (
	"math"
	"slices"
)

// Sample is the values of one column in one window.
type Sample struct {
	sorted []float64
	// Mean and Deviation are those of the values as a population.
	Mean, Deviation float64
}

// NewSample copies the values.
func NewSample(values []float64) Sample {
	s := Sample{sorted: slices.Clone(values)}
	slices.Sort(s.sorted)
	s.Mean = mean(values)
	squares := 0.0
	for _, v := range values {
		squares += (v - s.Mean) * (v - s.Mean)
	}
	s.Deviation = math.Sqrt(squares / max(float64(len(values)), 1))
	return s
}

// Len is the number of values.
func (s Sample) Len() int { return len(s.sorted) }

// quantile is the value below which the share q lies, interpolated between
// neighbours (type 7).
func (s Sample) quantile(q float64) float64 {
	at := q * float64(len(s.sorted)-1)
	i := int(at)
	if i+1 >= len(s.sorted) {
		return s.sorted[len(s.sorted)-1]
	}
	return s.sorted[i] + (at-float64(i))*(s.sorted[i+1]-s.sorted[i])
}

// below is the number of values smaller than x.
func (s Sample) below(x float64) int {
	i, _ := slices.BinarySearch(s.sorted, x)
	return i
}

func mean(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total / max(float64(len(values)), 1)
}
