package canary

import "math"

// arms are the trials of both arms in one block: of their answers, those that
// are bad.
type arms struct{ champion, canary trials }

// comparable bounds the work for one block. Beyond the most bad answers of an
// arm both arms are scaled down alike: then the arms' own straying matters far
// more than the lot of single requests.
func (a arms) comparable() arms {
	const largest = 2000
	bad := max(a.champion.k, a.canary.k)
	if bad <= largest {
		return a
	}
	scale := func(t trials) trials {
		n := math.Floor(t.n * largest / bad)
		return trials{k: min(math.Floor(t.k*largest/bad), n), n: n}
	}
	return arms{champion: scale(a.champion), canary: scale(a.canary)}
}

// alternative is what a bet holds for true: one arm has ratio times the bad
// answers of the other, and in each block the rate of each arm strays by a
// factor of mean 1 and variance spread.
type alternative struct{ ratio, spread, share float64 }

// exponent is the logarithm of the likelihood ratio of the counts (x, y)
// against (y, x), per unit of x-y, when the straying is gamma-distributed. It
// depends on the sum of the counts only, so that swapping the arms turns the
// ratio over.
func (a alternative) exponent(sum float64) float64 {
	mean := a.spread * sum / (1 + a.ratio)
	return math.Log(a.ratio * (1 + mean) / (1 + a.ratio*mean))
}

// factor is the e-value of a block in which, if the hypothesis holds, more and
// less are alike: the likelihood ratio of what was seen against the same with
// the arms swapped, averaged over the thinning.
func (a alternative) factor(more, less masses) float64 {
	exponents := make([]float64, len(more.mass)+len(less.mass)-1) // by the sum of the counts
	for i := range exponents {
		if exponents[i] = math.Log(a.ratio); a.spread > 0 {
			exponents[i] = a.exponent(more.from + less.from + float64(i))
		}
	}
	total := 0.0
	for i, p := range more.mass {
		for j, q := range less.mass {
			ahead := more.from - less.from + float64(i-j)
			total += p * q * swapped(exponents[i+j]*ahead)
		}
	}
	return total
}

// swapped is the e-value of an outcome against its mirror image, the two being
// equally likely under the hypothesis, by the logarithm of their likelihood
// ratio under the alternative.
func swapped(logRatio float64) float64 { return 2 / (1 + math.Exp(-logRatio)) }

// harmful are the counts to compare for harm: of the arm with more answers as
// many are drawn by lot as the other has.
func (a arms) harmful() (more, less masses) {
	n := min(a.canary.n, a.champion.n)
	return drawn(a.canary, n), drawn(a.champion, n)
}

// harmless are those for safety: the canary's bad answers are thinned first,
// so that a canary that is worse by the tolerance has as many left as the
// champion.
func (a arms) harmless(tolerance float64) (more, less masses) {
	keep := 1 / (1 + tolerance)
	if n := a.champion.n; a.canary.n > n {
		// The lot keeps n of the canary's answers; each bad one then stays with
		// the probability keep.
		return drawn(a.champion, n), thinned(drawn(a.canary, n), keep)
	}
	return drawn(a.champion, a.canary.n), thinned(masses{from: a.canary.k, mass: []float64{1}}, keep)
}
