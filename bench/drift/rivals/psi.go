package rivals

import "math"

// PSI calls drift when the population stability index on the reference's
// deciles reaches a limit.
type PSI struct {
	edges  []float64 // between the bins; the outer bins are open
	counts []float64
	total  float64
	limit  float64
}

const psiBins = 10

// NewPSI takes the limit: by the usual rule of thumb 0.1 is a change and 0.2, or
// 0.25, a large one.
func NewPSI(reference Sample, limit float64) PSI {
	p := PSI{total: float64(reference.Len()), limit: limit}
	for k := 1; k < psiBins; k++ {
		p.edges = append(p.edges, reference.quantile(float64(k)/psiBins))
	}
	p.counts = p.count(reference)
	return p
}

// Drifted implements Window.
func (p PSI) Drifted(current Sample) bool { return p.Index(current) >= p.limit }

// Index is the population stability index of the sample, with half a value
// added to each bin so that empty ones have a logarithm.
func (p PSI) Index(current Sample) float64 {
	sum := 0.0
	for i, count := range p.count(current) {
		was := (p.counts[i] + 0.5) / (p.total + psiBins/2)
		is := (count + 0.5) / (float64(current.Len()) + psiBins/2)
		sum += (was - is) * math.Log(was/is)
	}
	return sum
}

// count is the number of values in each bin. A value on an edge belongs above.
func (p PSI) count(s Sample) []float64 {
	counts := make([]float64, psiBins)
	before := 0
	for i, edge := range p.edges {
		at := s.below(edge)
		counts[i] = float64(at - before)
		before = at
	}
	counts[psiBins-1] = float64(s.Len() - before)
	return counts
}
