package rivals

import "math"

// Wasserstein is the first Wasserstein distance: the area between the two
// distribution functions.
func Wasserstein(reference, current Sample) float64 {
	a, b := reference.sorted, current.sorted
	last, area := min(a[0], b[0]), 0.0
	for i, j := 0, 0; i < len(a) || j < len(b); {
		var next float64
		switch {
		case j == len(b) || i < len(a) && a[i] <= b[j]:
			next = a[i]
		default:
			next = b[j]
		}
		area += math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))) * (next - last)
		last = next
		for i < len(a) && a[i] == next {
			i++
		}
		for j < len(b) && b[j] == next {
			j++
		}
	}
	return area
}

// KolmogorovSmirnov is the largest difference of the two distribution functions
// and its two-sided p-value: exact for small samples, else asymptotic with
// Stephens' correction.
func KolmogorovSmirnov(reference, current Sample) (distance, p float64) {
	a, b := reference.sorted, current.sorted
	for i, j := 0, 0; i < len(a) && j < len(b); {
		next := min(a[i], b[j])
		for i < len(a) && a[i] == next {
			i++
		}
		for j < len(b) && b[j] == next {
			j++
		}
		distance = max(distance, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
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
