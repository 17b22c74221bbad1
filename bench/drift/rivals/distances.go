package rivals

import "math"

// merge walks through both samples in order and calls step between each two
// neighbouring values, with the samples' distribution functions there and the
// gap up to the next value.
func merge(a, b Sample, step func(below, other, gap float64)) {
	n, m := float64(len(a.sorted)), float64(len(b.sorted))
	for i, j := 0, 0; i < len(a.sorted) || j < len(b.sorted); {
		var here float64
		switch {
		case j == len(b.sorted) || i < len(a.sorted) && a.sorted[i] <= b.sorted[j]:
			here = a.sorted[i]
		default:
			here = b.sorted[j]
		}
		for i < len(a.sorted) && a.sorted[i] == here {
			i++
		}
		for j < len(b.sorted) && b.sorted[j] == here {
			j++
		}
		gap := 0.0
		switch {
		case i < len(a.sorted) && j < len(b.sorted):
			gap = min(a.sorted[i], b.sorted[j]) - here
		case i < len(a.sorted):
			gap = a.sorted[i] - here
		case j < len(b.sorted):
			gap = b.sorted[j] - here
		}
		step(float64(i)/n, float64(j)/m, gap)
	}
}

// Wasserstein is the first Wasserstein distance: the area between the two
// distribution functions.
func Wasserstein(reference, current Sample) float64 {
	area := 0.0
	merge(reference, current, func(a, b, gap float64) { area += math.Abs(a-b) * gap })
	return area
}

// KolmogorovSmirnov is the largest difference of the two distribution functions
// and its two-sided p-value: exact for small samples, else asymptotic with
// Stephens' correction.
func KolmogorovSmirnov(reference, current Sample) (distance, p float64) {
	merge(reference, current, func(a, b, _ float64) { distance = max(distance, math.Abs(a-b)) })
	n, m := len(reference.sorted), len(current.sorted)
	if n*m <= exactCells {
		return distance, exact(n, m, distance)
	}
	size := math.Sqrt(float64(n) * float64(m) / float64(n+m))
	return distance, kolmogorov((size + 0.12 + 0.11/size) * distance)
}

// exactCells bounds the work of an exact p-value.
const exactCells = 10_000

// kolmogorov is the upper tail of Kolmogorov's distribution.
func kolmogorov(x float64) float64 {
	if x < 0.2 {
		return 1 // it differs from 1 by less than 1e-12
	}
	p, sign := 0.0, 1.0
	for k := 1.0; k <= 100; k++ {
		term := math.Exp(-2 * k * k * x * x)
		p += 2 * sign * term
		if term < 1e-17 {
			break
		}
		sign = -sign
	}
	return min(max(p, 0), 1)
}

// exact is the share of all orders of n and m values in which the distribution
// functions come as far apart as d somewhere. An order is a path through a grid;
// inside[j] is the share of paths to (i, j) that stayed nearer than d.
func exact(n, m int, d float64) float64 {
	near := func(i, j int) bool { return math.Abs(float64(i)/float64(n)-float64(j)/float64(m)) < d-1e-12 }
	inside := make([]float64, m+1)
	for i := 0; i <= n; i++ {
		for j := 0; j <= m; j++ {
			share := 0.0
			switch {
			case !near(i, j):
			case i == 0 && j == 0:
				share = 1
			default: // the path came from (i-1, j) or (i, j-1), by the hypergeometric odds
				if i > 0 {
					share += inside[j] * float64(i) / float64(i+j)
				}
				if j > 0 {
					share += inside[j-1] * float64(j) / float64(i+j)
				}
			}
			inside[j] = share
		}
	}
	return min(max(1-inside[m], 0), 1)
}

// Histogram are a reference's counts in bins, to compare later samples with.
type Histogram struct {
	edges  []float64 // inner ones only, for deciles: the outer bins are open
	counts []float64
	total  float64
}

// Deciles are bins of equal size in the reference, the outer ones open.
func Deciles(reference Sample, bins int) Histogram {
	var h Histogram
	for k := 1; k < bins; k++ {
		h.edges = append(h.edges, reference.quantile(float64(k)/float64(bins)))
	}
	h.counts, h.total = h.count(reference), float64(reference.Len())
	return h
}

// count is the number of values in each bin. A value on an edge belongs above.
func (h Histogram) count(s Sample) []float64 {
	counts := make([]float64, len(h.edges)+1)
	before := 0
	for i, edge := range h.edges {
		at := s.below(edge)
		counts[i] = float64(at - before)
		before = at
	}
	counts[len(h.edges)] = float64(s.Len() - before)
	return counts
}

// PSI is the population stability index of the sample, with half a value added
// to each bin so that empty ones have a logarithm.
func (h Histogram) PSI(current Sample) float64 {
	half := float64(len(h.counts)) / 2
	sum := 0.0
	for i, count := range h.count(current) {
		p := (h.counts[i] + 0.5) / (h.total + half)
		q := (count + 0.5) / (float64(current.Len()) + half)
		sum += (p - q) * math.Log(p/q)
	}
	return sum
}

// Doane are bins of equal width by Doane's rule, as numpy makes them. What lies
// outside is in no bin.
func Doane(reference Sample) Histogram {
	n := float64(reference.Len())
	low, high := reference.sorted[0], reference.sorted[reference.Len()-1]
	bins := 1
	if n > 2 && reference.Deviation > 0 {
		skew := 0.0
		for _, v := range reference.sorted {
			skew += math.Pow((v-reference.Mean)/reference.Deviation, 3)
		}
		skew /= n
		bins = int(math.Ceil(1 + math.Log2(n) + math.Log2(1+math.Abs(skew)/math.Sqrt(6*(n-2)/((n+1)*(n+3))))))
	}
	h := Histogram{edges: make([]float64, bins+1), total: n}
	for i := range h.edges {
		h.edges[i] = low + (high-low)*float64(i)/float64(bins)
	}
	h.edges[bins] = high
	h.counts = h.inside(reference)
	return h
}

// inside are the counts between the edges, the last one included.
func (h Histogram) inside(s Sample) []float64 {
	counts := make([]float64, len(h.edges)-1)
	before := s.below(h.edges[0])
	for i := range counts {
		at := s.below(h.edges[i+1])
		if i == len(counts)-1 {
			at = s.below(math.Nextafter(h.edges[i+1], math.Inf(1)))
		}
		counts[i] = float64(at - before)
		before = at
	}
	return counts
}

// JensenShannon is the distance of the sample from the reference of a Doane
// histogram, base 2; what lies outside the bins is one more bin, which the
// reference has not.
func (h Histogram) JensenShannon(current Sample) float64 {
	n := float64(current.Len())
	divergence, outside := 0.0, 1.0
	for i, count := range h.inside(current) {
		p, q := h.counts[i]/h.total, count/n
		outside -= q
		divergence += toMiddle(p, (p+q)/2) + toMiddle(q, (p+q)/2)
	}
	if outside > 1e-12 {
		divergence += toMiddle(outside, outside/2)
	}
	return math.Sqrt(max(divergence/2, 0))
}

func toMiddle(p, middle float64) float64 {
	if p <= 0 {
		return 0
	}
	return p * math.Log2(p/middle)
}
