package canary

import "math"

// straying is the variance of the factor by which the rate of an arm may stray
// from block to block, that the evidence against a limit allows for: a
// deviation of 58 %.
const straying = 1.0 / 3

// guesses are the rates, as parts of the limit, that a bet on keeping it is
// made for.
var guesses = []part{{0, 0.4}, {0.25, 0.3}, {0.5, 0.3}}

// part is the share of the capital that is bet with a value.
type part struct{ value, share float64 }

// keeps is the e-value of a block against "the rate is at least the limit": the
// likelihood ratio of two negative binomial distributions. It falls with each
// bad answer and is convex in them, so it holds for every straying that is
// less spread than the gamma distribution of variance straying.
func keeps(t trials, limit, guess float64) float64 {
	m0, m1 := straying*t.n*limit, straying*t.n*limit*guess
	return math.Exp((1/straying+t.k)*math.Log((1+m0)/(1+m1)) + power(t.k, guess))
}

// keepsAny averages over the guesses.
func keepsAny(t trials, limit float64) float64 {
	total := 0.0
	for _, g := range guesses {
		total += g.share * keeps(t, limit, g.value)
	}
	return total
}

// stakes are the parts of the capital that bets on breaking the limit risk in
// each block.
var stakes = []part{{0.02, 0.2}, {0.2, 0.3}, {0.8, 0.5}}

// breaks is the e-value of a block against "the canary's rate is at most the
// limit, or the champion's is above it". For the first, the rate itself over
// the limit has a mean of at most 1, however it strays; for the second there is
// keepsAny. Their minimum holds for both.
func (a arms) breaks(limit, stake float64) float64 {
	if a.canary.n == 0 {
		return 1
	}
	return 1 + stake*(min(a.canary.k/a.canary.n/limit, keepsAny(a.champion, limit))-1)
}
