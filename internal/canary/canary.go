// Package canary judges a canary against the champion: by failed requests, slow
// answers and losses on labels. It is always valid: one may look at any moment,
// act on what one sees, and the error budgets still hold. It is arithmetic
// without clock or I/O.
//
// # Vocabulary
//
//   - A step is a span of constant traffic weight, or of copies of requests.
//   - A block is a span of time in which both arms were counted.
//   - An e-value is a non-negative number that is expected to be at most 1 as
//     long as a hypothesis holds; an e-process is one at whatever moment one
//     stops. It exceeds 1/x with probability at most x, ever (Ville). Averages
//     of e-processes are e-processes, and so are products over blocks and steps.
//   - A bet multiplies a capital, 1 at first, by the e-value of each block.
//   - Harm is evidence against "the canary is no worse than the champion". At
//     1/Alpha it rolls back.
//   - Safe is evidence against "the canary breaks the limits": it is worse by
//     at least the tolerance, and beyond the absolute limit. Keeping either is
//     enough. At 1/Beta the step passes.
//
// # Budgets
//
// The judged metrics share Alpha in equal parts: the chance that any of them
// rolls back a version that is no worse is at most Alpha over all steps. Each
// step must prove errors and latency safe from its own requests alone, since a
// version may be fine at 10 % of the traffic and overloaded at 50 %. Every step
// and metric uses the whole of Beta: promotion takes a pass of all of them, so a
// version that breaks the limits at any weight is promoted with probability at
// most Beta. Labels come late and don't depend on load: quality is pooled over
// all steps.
//
// # Blocks
//
// The default form assumes that, given the past, an outcome of a block and the
// same with the arms swapped are equally likely if the arms are alike: whatever
// moves both together, and however each strays by itself within the block. Then
// 2 L(x,y) / (L(x,y) + L(y,x)) is an e-value for whatever likelihood L. With
// Poisson counts of ratio r, straying by a gamma-distributed factor, it is
// 2/(1+exp(-λ(x-y))) (signs.go); r and the size of the straying are averaged
// over. If one arm has more answers, as many as the other has are drawn from it
// by lot, so that only the numbers of answers counted in the block matter and
// not the weight that was wished for. If the canary is worse by 1+τ, it is alike
// once its errors are thinned by 1/(1+τ). The expectation over the lot and the
// thinning is taken, so that nothing is random in a verdict.
//
// The limit is judged within each arm (limit.go). That a canary keeps it is bet
// on by negative binomial likelihoods, which hold for every straying around the
// mean up to a deviation of 58 %. That it breaks it is bet on by the rate itself,
// and only as far as the champion of the same block keeps it, so that a failing
// upstream is not the canary's fault.
//
// # Requests
//
// In the other form (requests.go) a bad answer is the canary's with probability
// wr/(1-w+wr), with share w of the traffic and an r times higher rate. It needs
// failures that are independent given the arm: an outage that hits one arm's
// host alone is harm to it. For the limit it needs rates that stay on one side
// of it during the step.
//
// # Losses
//
// Of a block of labels the mean difference of the losses is a score, symmetric
// around its expectation; 2/(1+exp(-λz)) is an e-value for it, with z in
// deviations (losses.go).
package canary

import (
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// Config are the judge's budgets and limits.
type Config struct {
	Steps    int     // planned, that of copies included
	Alpha    float64 // budget of false rollback, over all steps and metrics
	Beta     float64 // budget of false promotion, over all steps
	Evidence models.CanaryEvidence
	Errors   Limits
	Latency  Limits  // of slow answers; Tolerance 0: not judged
	Quantile float64 // of latency, that must not be proven higher; 0: none
	Quality  Losses
}

// Limits are those of a share of bad answers. A canary that keeps either is
// safe.
type Limits struct {
	Tolerance float64 // relative rise that is a regression
	Max       float64 // share that is safe anyway
}

// FromSpec reads the configuration from a spec, with its defaults.
func FromSpec(spec models.CanarySpec) Config {
	spec = spec.WithDefaults()
	c := Config{
		Steps: len(spec.Steps), Alpha: spec.FalseAlarm, Beta: spec.FalsePass, Evidence: spec.Evidence,
		Errors: Limits{Tolerance: spec.Tolerance, Max: spec.MaxErrorRate},
	}
	if spec.Shadow != nil {
		c.Steps++
	}
	if l := spec.Latency; l != nil {
		c.Latency, c.Quantile = Limits{Tolerance: l.Tolerance, Max: l.MaxRate}, l.Quantile
	}
	if q := spec.Quality; q != nil {
		c.Quality.Tolerance = q.Tolerance
	}
	return c
}

// Judge answers on what was observed so far: fail when any metric's harm is
// proven, pass when the safety of every one is, else inconclusive.
func (c Config) Judge(s models.JudgeState) models.CanaryVerdict {
	metrics := c.metrics(s)
	verdict := models.CanaryVerdict{Metrics: metrics}
	verdict.Verdict = overall(metrics)
	worst, least := metrics[0], metrics[0]
	for _, m := range metrics[1:] {
		if m.Harm/m.HarmThreshold > worst.Harm/worst.HarmThreshold {
			worst = m
		}
		if m.Safe/m.SafeThreshold < least.Safe/least.SafeThreshold {
			least = m
		}
	}
	verdict.Harm, verdict.HarmThreshold = worst.Harm, worst.HarmThreshold
	verdict.Safe, verdict.SafeThreshold = least.Safe, least.SafeThreshold
	verdict.Reason = c.explain(verdict, s)
	return verdict
}

// overall is fail if any is, and pass if all are.
func overall(metrics []models.MetricVerdict) models.Verdict {
	all := models.VerdictPass
	for _, m := range metrics {
		switch m.Verdict {
		case models.VerdictFail:
			return models.VerdictFail
		case models.VerdictPass:
		default:
			all = models.VerdictInconclusive
		}
	}
	return all
}

// judged is the number of metrics.
func (c Config) judged() int {
	n := len(c.rates())
	if c.Quality.Tolerance > 0 {
		n++
	}
	return n
}

// metrics are the verdicts on each judged metric. They share Alpha in equal
// parts; each has to be proven safe at the whole of Beta.
func (c Config) metrics(s models.JudgeState) []models.MetricVerdict {
	var verdicts []models.MetricVerdict
	for _, r := range c.rates() {
		a := r.arms(s.Champion, s.Canary)
		verdicts = append(verdicts, models.MetricVerdict{
			Metric: r.metric, Harm: r.harm(s, c.Steps), Safe: r.safe(s), Champion: a.champion.share(), Canary: a.canary.share(),
		})
	}
	if c.Quality.Tolerance > 0 {
		verdicts = append(verdicts, c.Quality.verdict(s.Quality))
	}
	for i, v := range verdicts {
		verdicts[i] = c.decide(v, s)
	}
	return verdicts
}

// decide holds a metric's evidence against its thresholds.
func (c Config) decide(v models.MetricVerdict, s models.JudgeState) models.MetricVerdict {
	v.HarmThreshold, v.SafeThreshold = float64(c.judged())/c.Alpha, 1/c.Beta
	if v.Metric == models.CanaryLatency && c.judgesQuantile() {
		v.HarmThreshold /= 1 - quantilePart
		if s.Slower {
			v.Harm = max(v.Harm, v.HarmThreshold)
		}
	}
	v.Verdict = models.VerdictInconclusive
	switch {
	case v.Harm >= v.HarmThreshold:
		v.Verdict = models.VerdictFail
	case v.Safe >= v.SafeThreshold && !s.Shadow:
		v.Verdict = models.VerdictPass
	}
	v.Reason = c.explainMetric(v, s)
	return v
}

// NextLook is how many canary requests more than seen make another look
// worthwhile: a tenth, at least 20. So the number of looks grows with the
// logarithm of the traffic, and a canary that fails always is seen at once.
func NextLook(_ Config, seen int64) int64 {
	return max(20, seen/10)
}

// most is where evidence stops to grow: an e-value may always be lowered, and
// infinity has no JSON.
const most = 1e100

func evidence(logarithm float64) float64 { return min(math.Exp(logarithm), most) }

// mixed is the average of two e-values, given and returned as logarithms, the
// first with a share of the weight.
func mixed(share, a, b float64) float64 {
	return logSum(math.Log(share)+a, math.Log1p(-share)+b)
}
