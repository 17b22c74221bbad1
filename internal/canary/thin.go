package canary

import "math"

// masses are the probabilities of the numbers from, from+1 and so on. They may
// add up to less than 1: leaving a case out makes an e-value smaller, never
// larger.
type masses struct {
	from float64
	mass []float64
}

// reach is how many deviations from the mean a case may lie before it is left
// out.
const reach = 8

// drawn is how many bad answers are among n that are drawn by lot from all
// (hypergeometric).
func drawn(t trials, n float64) masses {
	if t.k == 0 || n >= t.n {
		return masses{from: t.k, mass: []float64{1}}
	}
	if n <= 0 {
		return masses{mass: []float64{1}}
	}
	part := n / t.n
	variance := t.k * part * (1 - part) * (t.n - t.k) / max(t.n-1, 1)
	from, to := around(t.k*part, variance, max(0, n-(t.n-t.k)), min(t.k, n))
	return spread(from, to, func(i float64) float64 {
		return choose(t.k, i) + choose(t.n-t.k, n-i) - choose(t.n, n)
	}, func(i float64) float64 {
		return (t.k - i) / (i + 1) * (n - i) / (t.n - t.k - n + i + 1)
	})
}

// kept is how many of n are left when each stays with probability keep
// (binomial).
func kept(n, keep float64) masses {
	if n == 0 {
		return masses{mass: []float64{1}}
	}
	from, to := around(n*keep, n*keep*(1-keep), 0, n)
	return spread(from, to, func(i float64) float64 {
		return choose(n, i) + i*math.Log(keep) + (n-i)*math.Log1p(-keep)
	}, func(i float64) float64 {
		return (n - i) / (i + 1) * keep / (1 - keep)
	})
}

// thinned is what is left of an uncertain number.
func thinned(m masses, keep float64) masses {
	if len(m.mass) == 1 {
		left := kept(m.from, keep)
		for i := range left.mass {
			left.mass[i] *= m.mass[0]
		}
		return left
	}
	first, last := kept(m.from, keep), kept(m.from+float64(len(m.mass)-1), keep)
	from := first.from
	all := masses{from: from, mass: make([]float64, int(last.from-from)+len(last.mass))}
	for i, p := range m.mass {
		left := kept(m.from+float64(i), keep)
		for j, q := range left.mass {
			if at := int(left.from-from) + j; at >= 0 && at < len(all.mass) {
				all.mass[at] += p * q
			}
		}
	}
	return all
}

func around(mean, variance, lowest, highest float64) (from, to float64) {
	width := reach*math.Sqrt(variance) + reach
	return max(lowest, math.Floor(mean-width)), min(highest, math.Ceil(mean+width))
}

// spread fills in the probabilities: the logarithm of the one in the middle,
// the others by the ratio of each to the one before.
func spread(from, to float64, middle func(float64) float64, next func(float64) float64) masses {
	m := masses{from: from, mass: make([]float64, int(to-from)+1)}
	centre := len(m.mass) / 2
	m.mass[centre] = math.Exp(middle(from + float64(centre)))
	for i := centre; i+1 < len(m.mass); i++ {
		m.mass[i+1] = m.mass[i] * next(from+float64(i))
	}
	for i := centre; i > 0; i-- {
		m.mass[i-1] = m.mass[i] / next(from+float64(i-1))
	}
	return m.trimmed()
}

// trimmed leaves out what is too unlikely to matter at both ends.
func (m masses) trimmed() masses {
	const negligible = 1e-12
	for len(m.mass) > 1 && m.mass[0] < negligible {
		m.from, m.mass = m.from+1, m.mass[1:]
	}
	for len(m.mass) > 1 && m.mass[len(m.mass)-1] < negligible {
		m.mass = m.mass[:len(m.mass)-1]
	}
	return m
}

// choose is the logarithm of the binomial coefficient.
func choose(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}
