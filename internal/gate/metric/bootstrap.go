package metric

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"
)

// resamples holds how often each block occurs in each resample. The first is
// the sample itself.
type resamples struct {
	blocks  int
	weights []float32 // one resample after the other
}

func drawBlocks(blocks, count int, seed uint64) resamples {
	random := rand.New(rand.NewPCG(seed, 0))
	r := resamples{blocks: blocks, weights: make([]float32, (max(count, 0)+1)*blocks)}
	for i := range blocks {
		r.weights[i] = 1
	}
	for from := blocks; from < len(r.weights); from += blocks {
		for range blocks {
			r.weights[from+random.IntN(blocks)]++
		}
	}
	return r
}

// count includes the sample itself.
func (r resamples) count() int {
	if r.blocks == 0 {
		return 1
	}
	return len(r.weights) / r.blocks
}

func (r resamples) of(i int) []float32 { return r.weights[i*r.blocks : (i+1)*r.blocks] }

// deviations is how far out the bounds of an interval lie, in standard deviations
// of the resamples, if those are normal. Plain percentiles behave as if the
// deviation were known, and underrate it by √((n-1)/n); Student's t in place of
// the normal distribution corrects for both (Hesterberg 2015, "expanded
// percentiles"), so that an interval of few blocks keeps its promise.
func deviations(level float64, blocks int) float64 {
	if blocks < 2 || !(level > 0 && level < 0.5) {
		return math.Sqrt2 * math.Erfcinv(2*level)
	}
	n := float64(blocks)
	x := mathext.InvRegIncBeta((n-1)/2, 0.5, 2*level)
	t := math.Sqrt((n - 1) * (1 - x) / x) // Student's upper quantile
	return t * math.Sqrt(n/(n-1))
}

const (
	// fewest resamples that must lie outside a percentile for it to mean
	// anything.
	fewest = 5
	// mostDeviations bounds how far a tail is drawn out. Five blocks, the fewest
	// that a gate goes by, reach it at a level of 1e-7; two or three reach it
	// soon, and nothing is known out there.
	mostDeviations = 100
)

// percentiles are the quantiles so many deviations below and above the middle.
// Where too few values lie outside, the distance between the median and the
// outermost quantile that counts is drawn out as a normal distribution's would
// be.
func percentiles(sorted []float64, deviations float64) (low, high float64) {
	level := math.Erfc(deviations/math.Sqrt2) / 2
	least := min(fewest/float64(len(sorted)), 0.25)
	if level >= least {
		return quantile(sorted, level), quantile(sorted, 1-level)
	}
	median := quantile(sorted, 0.5)
	stretch := min(deviations, mostDeviations) / (math.Sqrt2 * math.Erfcinv(2*least))
	return median - stretch*(median-quantile(sorted, least)), median + stretch*(quantile(sorted, 1-least)-median)
}

// quantile interpolates between order statistics (type 7).
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}
