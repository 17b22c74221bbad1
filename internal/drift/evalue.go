package drift

import (
	"cmp"
	"math"
	"slices"
)

// Lift turns the highest value of an e-process into an e-value at any stopping
// time, also one that other series chose: an alarm stops all series at a moment
// that depends on the loss, and a plain e-process is only good for moments that
// it chose itself. It is the adjuster (e-1-ln e)/ln² e, whose integral over
// de/e² from 1 is 1 (Choe and Ramdas, Combining evidence across filtrations).
func Lift(highest float64) float64 {
	e := max(highest, 1)
	log := math.Log(e)
	if log < 1e-3 {
		return 0.5 + log/6
	}
	return (e - 1 - log) / (log * log)
}

// Reject says which e-values are discoveries by the e-BH rule: among those
// rejected, the expected share of wrong ones is at most level, however the
// e-values depend on each other (Wang and Ramdas). One that is not a number is
// none.
func Reject(evalues []float64, level float64) []bool {
	order := make([]int, 0, len(evalues))
	for i, e := range evalues {
		if !math.IsNaN(e) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(evalues[b], evalues[a]) })
	count := 0
	for k, i := range order {
		if evalues[i]*level*float64(k+1) >= float64(len(evalues)) {
			count = k + 1
		}
	}
	rejected := make([]bool, len(evalues))
	for _, i := range order[:count] {
		rejected[i] = true
	}
	return rejected
}
