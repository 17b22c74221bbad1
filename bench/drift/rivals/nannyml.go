package rivals

import "math"

// NannyML is the default rule of NannyML 0.13 for a numeric column: the
// Jensen-Shannon distance from the reference above the mean and three
// deviations of the reference's own chunks.
type NannyML struct {
	edges  []float64 // of bins of equal width
	shares []float64 // of the reference
	limit  float64
}

// NewNannyML learns the limit from the chunks of the reference.
func NewNannyML(reference Sample, chunks []Sample) NannyML {
	n := NannyML{edges: doane(reference)}
	n.shares = n.share(reference)
	distances := make([]float64, len(chunks))
	for i, chunk := range chunks {
		distances[i] = n.Distance(chunk)
	}
	own := NewSample(distances)
	n.limit = own.Mean + 3*own.Deviation
	return n
}

// Drifted implements Window.
func (n NannyML) Drifted(current Sample) bool { return n.Distance(current) > n.limit }

// Distance is that of Jensen and Shannon, base 2. What lies outside the bins is
// one more bin, which the reference has not.
func (n NannyML) Distance(current Sample) float64 {
	divergence, outside := 0.0, 1.0
	for i, share := range n.share(current) {
		outside -= share
		middle := (n.shares[i] + share) / 2
		divergence += toMiddle(n.shares[i], middle) + toMiddle(share, middle)
	}
	if outside > 1e-12 {
		divergence += toMiddle(outside, outside/2)
	}
	return math.Sqrt(max(divergence/2, 0))
}

func toMiddle(share, middle float64) float64 {
	if share <= 0 {
		return 0
	}
	return share * math.Log2(share/middle)
}

// doane are the edges of bins of equal width by Doane's rule, as numpy makes
// them.
func doane(s Sample) []float64 {
	n := float64(s.Len())
	low, high := s.sorted[0], s.sorted[s.Len()-1]
	bins := 1
	if n > 2 && s.Deviation > 0 {
		skew := 0.0
		for _, v := range s.sorted {
			z := (v - s.Mean) / s.Deviation
			skew += z * z * z / n
		}
		spread := math.Sqrt(6 * (n - 2) / ((n + 1) * (n + 3)))
		bins = int(math.Ceil(1 + math.Log2(n) + math.Log2(1+math.Abs(skew)/spread)))
	}
	edges := make([]float64, bins+1)
	for i := range edges {
		edges[i] = low + (high-low)*float64(i)/float64(bins)
	}
	edges[bins] = high
	return edges
}

// share is that of the values in each bin; the last one includes its end.
func (n NannyML) share(s Sample) []float64 {
	shares := make([]float64, len(n.edges)-1)
	before := s.below(n.edges[0])
	for i := range shares {
		end := n.edges[i+1]
		if i == len(shares)-1 {
			end = math.Nextafter(end, math.Inf(1))
		}
		at := s.below(end)
		shares[i] = float64(at-before) / float64(s.Len())
		before = at
	}
	return shares
}
