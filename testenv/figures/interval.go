package figures

import "gonum.org/v1/gonum/mathext"

// Interval is where a share lies that was seen k times of n, at 95 %, by Clopper
// and Pearson.
func Interval(k, n int) (low, high float64) {
	low, high = 0, 1
	if k > 0 {
		low = mathext.InvRegIncBeta(float64(k), float64(n-k+1), 0.025)
	}
	if k < n {
		high = mathext.InvRegIncBeta(float64(k+1), float64(n-k), 0.975)
	}
	return low, high
}
