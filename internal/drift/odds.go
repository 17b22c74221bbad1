package drift

import (
	"math"
	"sort"
	"sync"
)

// Beliefs are computed on a grid of standard deviations, between whose points
// chances are straight lines: so nothing need be inverted, and the odds average
// 1 exactly.
const (
	perSigma = 16
	cells    = 14 * perSigma // from lowest to 9 deviations
	lowest   = -5 * perSigma
	widest   = 4 * perSigma // the greatest shift
)

// tails has P(Z > i/perSigma) of a standard normal Z for i from lowest-widest on.
var tails = sync.OnceValue(func() []float64 {
	table := make([]float64, widest+cells)
	for i := range table {
		table[i] = math.Erfc(float64(lowest-widest+i)/perSigma/math.Sqrt2) / 2
	}
	return table
})

// odds is what a bettor gets for each unit when the p-value lies in at. He
// believes that losses are normal in some scale, that they rose by shift
// sixteenths of a deviation some time ago, and that the share diluted of the
// losses among which the place was found had already risen. The odds are the
// chance of the place under his belief, divided by its width, which is its
// chance if nothing changed: on average they are 1 whatever he believes, so no
// belief can make false alarms more frequent. Without the dilution he would be
// surprised that the rise looks smaller and smaller while risen losses join the
// reference, and bet against it in the end.
func odds(at place, shift int, diluted float64) float64 {
	b := belief{tails(), shift, diluted}
	return (b.chance(at.to, at.toCell) - b.chance(at.from, at.fromCell)) / (at.to - at.from)
}

// belief is that of one bettor.
type belief struct {
	tails   []float64
	shift   int
	diluted float64
}

// risen is the chance that a risen loss lies above the i-th point.
func (b belief) risen(i int) float64 {
	switch {
	case i < 0:
		return 1
	case i >= cells:
		return 0
	}
	return b.tails[i+widest-b.shift]
}

// pooled is the share of all losses that lie above it.
func (b belief) pooled(i int) float64 {
	if i < 0 || i >= cells {
		return b.risen(i)
	}
	return (1-b.diluted)*b.tails[i+widest] + b.diluted*b.tails[i+widest-b.shift]
}

// chance is that of a p-value below p, which lies in the given cell.
func (b belief) chance(p float64, cell int) float64 {
	if p <= 0 || p >= 1 {
		return min(max(p, 0), 1)
	}
	// Risen losses move p up by shift at most: pooled(high) <= p < pooled(low).
	low, high := cell, min(cell+1+b.shift, cells)
	for high-low > 1 {
		if middle := (low + high) / 2; b.pooled(middle) > p {
			low = middle
		} else {
			high = middle
		}
	}
	risen, pooled := b.risen(high), b.pooled(high)
	return risen + (b.risen(low)-risen)*(p-pooled)/(b.pooled(low)-pooled)
}

// cellOf is the last point above which more than p of unrisen losses lie; -1:
// there is none.
func cellOf(p float64) int {
	unrisen := tails()[widest:]
	return sort.Search(len(unrisen), func(i int) bool { return unrisen[i] <= p }) - 1
}
