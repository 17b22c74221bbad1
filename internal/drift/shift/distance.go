package shift

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Distances between two histograms over the same bins, that of the reference
// first. All but Wasserstein treat bins as names without an order.

// Stability is the population stability index Σ(p-q)ln(p/q) of two histograms.
type Stability struct {
	// PSI is without what sampling alone adds on average, (B-1)(1/n+1/N): it may
	// be a little below 0.
	PSI float64
	// P is its p-value if rows were independent: without a change the index is
	// about (1/n+1/N) times a chi-squared variable of B-1 degrees.
	P float64
}

// PSI compares two histograms. Empty bins get half a row, as in Smoothed; bins
// that are empty in both count for nothing. Without rows on either side there
// is no difference.
func PSI(before, now []float64) Stability {
	before, now = occupied(before, now)
	total, rows := sum(before), sum(now)
	if total == 0 || rows == 0 || len(now) < 2 {
		return Stability{P: 1}
	}
	p, q := Smoothed(before), Smoothed(now)
	index := 0.0
	for i := range p {
		index += (p[i] - q[i]) * math.Log(p[i]/q[i])
	}
	noise, degrees := 1/rows+1/total, float64(len(now)-1)
	return Stability{PSI: index - degrees*noise, P: distuv.ChiSquared{K: degrees}.Survival(index / noise)}
}

// Smoothed are the shares of a histogram's bins with half a row more in each,
// so that none is 0.
func Smoothed(counts []float64) []float64 {
	n, shares := sum(counts), make([]float64, len(counts))
	for i, c := range counts {
		shares[i] = (c + 0.5) / (n + float64(len(counts))/2)
	}
	return shares
}

// JensenShannon is the distance of base 2: 0 for equal shares, 1 for histograms
// that have no bin in common.
func JensenShannon(before, now []float64) float64 {
	total, rows := sum(before), sum(now)
	if total == 0 || rows == 0 {
		return 0
	}
	divergence := 0.0
	for i := range before {
		p, q := before[i]/total, now[i]/rows
		m := (p + q) / 2
		if p > 0 {
			divergence += p * math.Log2(p/m) / 2
		}
		if q > 0 {
			divergence += q * math.Log2(q/m) / 2
		}
	}
	return math.Sqrt(max(0, min(divergence, 1)))
}

// ChiSquared is the p-value of the two-sample test if rows were independent:
// both sides are samples, that of the reference too.
func ChiSquared(before, now []float64) float64 {
	before, now = occupied(before, now)
	total, rows := sum(before), sum(now)
	if total == 0 || rows == 0 || len(now) < 2 {
		return 1
	}
	statistic := 0.0
	for i := range before {
		d := before[i]*math.Sqrt(rows/total) - now[i]*math.Sqrt(total/rows)
		statistic += d * d / (before[i] + now[i])
	}
	return distuv.ChiSquared{K: float64(len(now) - 1)}.Survival(statistic)
}

// Wasserstein is the mean distance by which rows must be moved to turn one
// histogram into the other, in the unit of the edges: the area between the two
// distribution functions, which are taken as straight within bins. What lies
// beyond the outermost edges counts as lying on them.
func Wasserstein(edges, before, now []float64) float64 {
	total, rows := sum(before), sum(now)
	if total == 0 || rows == 0 {
		return 0
	}
	area, last, difference := 0.0, 0.0, 0.0
	for i, edge := range edges {
		difference += before[i]/total - now[i]/rows
		if i > 0 {
			area += between(last, difference) * (edge - edges[i-1])
		}
		last = difference
	}
	return area
}

// between is the mean of |d| while d goes straight from a to b.
func between(a, b float64) float64 {
	if a*b >= 0 {
		return math.Abs(a+b) / 2
	}
	a, b = math.Abs(a), math.Abs(b)
	return (a*a + b*b) / (2 * (a + b))
}

// occupied drops the bins that are empty in both.
func occupied(before, now []float64) (b, n []float64) {
	for i := range before {
		if before[i] > 0 || now[i] > 0 {
			b, n = append(b, before[i]), append(n, now[i])
		}
	}
	return b, n
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}
