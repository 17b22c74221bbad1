package main

import (
	"math"
	"slices"
	"sort"
)

// value is what a rule that compares aggregates per minute looks at: the error
// rate, or the P99 of the latency.
type value func(arm) float64

// flagger rolls back after five minutes with a success rate below 99 %, or with
// a P99 above the limit.
type flagger struct {
	limit  float64
	of     value
	failed int
}

func (f *flagger) look(m minute) decision {
	if f.of(m.canary) > f.limit {
		f.failed++
	}
	return rollBackIf(f.failed >= 5)
}

// ratio rolls back after three minutes in which the canary has more than a
// factor of the champion's value.
type ratio struct {
	factor float64
	of     value
	failed int
}

func (c *ratio) look(m minute) decision {
	if c.of(m.canary) > c.factor*c.of(m.champion) {
		c.failed++
	}
	return rollBackIf(c.failed >= 3)
}

// peeked is a one-sided two-proportion z-test at 5 % on the totals, repeated
// every minute.
type peeked struct{ champion, canary arm }

func (p *peeked) look(m minute) decision {
	p.champion.requests += m.champion.requests
	p.champion.errors += m.champion.errors
	p.canary.requests += m.canary.requests
	p.canary.errors += m.canary.errors
	n, k := float64(p.champion.requests+p.canary.requests), float64(p.champion.errors+p.canary.errors)
	both := k / max(n, 1)
	deviation := math.Sqrt(both * (1 - both) * (1/max(float64(p.champion.requests), 1) + 1/max(float64(p.canary.requests), 1)))
	return rollBackIf(deviation > 0 && p.canary.rate()-p.champion.rate() > normal95*deviation)
}

// kayenta is Netflix's judge on values per minute: the 98 % confidence interval
// of the Hodges-Lehmann shift of the Mann-Whitney test, here by order
// statistics of the pairwise differences. High is a regression when the lower
// end is above a quarter of the shift and the canary's mean above the
// champion's.
type kayenta struct {
	of               value
	every            int // minutes between judgements
	champion, canary []float64
}

func (k *kayenta) look(m minute) decision {
	k.champion = append(k.champion, k.of(m.champion))
	k.canary = append(k.canary, k.of(m.canary))
	if len(k.canary)%k.every != 0 {
		return wait
	}
	return rollBackIf(k.high())
}

func (k *kayenta) high() bool {
	a, b := slices.Sorted(slices.Values(k.canary)), slices.Sorted(slices.Values(k.champion))
	if slices.Equal(a, b) || total(b) == 0 || total(a) <= total(b) {
		return false
	}
	differences := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			differences = append(differences, x-y)
		}
	}
	sort.Float64s(differences)
	n, m := float64(len(a)), float64(len(b))
	lower := n*m/2 - normal99*math.Sqrt(n*m*(n+m+1)/12)
	if lower < 0 {
		return false
	}
	middle := len(differences) / 2
	shift := (differences[middle] + differences[len(differences)-1-middle]) / 2
	return differences[int(lower)] > 0.25*math.Abs(shift)
}

func total(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}

func rollBackIf(bad bool) decision {
	if bad {
		return rollBack
	}
	return wait
}
