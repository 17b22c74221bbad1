package drift

import (
	"math"
	"sync"
)

// Odds are computed on a grid of standard deviations, so that the payoff is a
// step function that averages 1 exactly, and nothing need be inverted.
const (
	perSigma = 16
	lowest   = -5 * perSigma
	highest  = 9 * perSigma
	widest   = 4 * perSigma // the greatest shift
)

// tails has P(Z > i/perSigma) of a standard normal Z for i from lowest-widest on.
var tails = sync.OnceValue(func() []float64 {
	table := make([]float64, highest-lowest+1+widest)
	for i := range table {
		table[i] = math.Erfc(float64(lowest-widest+i)/perSigma/math.Sqrt2) / 2
	}
	return table
})

// odds is what a bettor gets for each unit when the p-value is p. He believes
// that losses are normal in some scale, that they rose by shift sixteenths of a
// deviation some time ago, and that the share diluted of the losses that p was
// ranked among had already risen. The odds are the chance of p under that
// belief, divided by its chance under none, which is the same everywhere: over a
// uniform p they average 1 whatever he believes, so no belief can make false
// alarms more frequent. Without the dilution he would be surprised that a rise
// he expects looks smaller and smaller, and bet against it in the end.
func odds(p float64, shift int, diluted float64) float64 {
	table := tails()
	const cells = highest - lowest + 1
	risen := func(i int) float64 {
		switch {
		case i < 0:
			return 1
		case i >= cells:
			return 0
		}
		return table[i+widest-shift]
	}
	pooled := func(i int) float64 {
		if i < 0 || i >= cells {
			return risen(i)
		}
		return (1-diluted)*table[i+widest] + diluted*risen(i)
	}
	// The cell with pooled(high) <= p < pooled(low).
	low, high := -1, cells
	for high-low > 1 {
		if middle := (low + high) / 2; pooled(middle) > p {
			low = middle
		} else {
			high = middle
		}
	}
	return (risen(low) - risen(high)) / (pooled(low) - pooled(high))
}
