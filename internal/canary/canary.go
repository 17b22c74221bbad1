// Package canary judges a canary from the error counts of two versions. It is
// always valid: one may look after every request, act on what one sees, and
// the error budgets still hold. It is arithmetic without clock or I/O.
//
// # Vocabulary
//
//   - A step is a span of constant traffic weight. Each request is drawn for the
//     canary with that probability, independently of the others.
//   - An e-process is a non-negative number that starts at 1 and, as long as a
//     hypothesis holds, is expected to be at most 1 at whatever moment one
//     stops. It exceeds 1/x with probability at most x, ever (Ville). Averages
//     of e-processes are e-processes, and so are products over consecutive
//     steps.
//   - Harm is evidence against "the canary fails no more often than the
//     champion". At 1/Alpha it rolls back.
//   - Safe is evidence against "the canary breaks the limits": it fails at least
//     1+Tolerance times as often as the champion, and in at least MaxErrorRate
//     of its requests. Keeping either limit is enough. At 1/Beta the step passes.
//
// # Budgets
//
// A version no worse than the champion is rolled back with probability at most
// Alpha over all steps together. Each step must prove the version safe from
// its own requests alone, since a version may be fine at 10 % of the traffic
// and overloaded at 50 %. Every step uses the whole of Beta: promotion takes a
// pass of every step, the last included, so a version that breaks the limits
// at any one weight is promoted with probability at most Beta.
//
// # Evidence of one step
//
// In the relative form only failed requests count: with share w of the traffic
// and an r times higher error rate, a failed request is the canary's with
// probability wr/(1-w+wr), however the error rates move during the step as
// long as r does not. It needs errors that are independent given the arm; an
// outage that hits one arm's host alone is harm to this judge.
//
// In the absolute form the canary's own requests are held against
// MaxErrorRate. For harm it must not blame the canary for a failing upstream,
// so it counts only as far as the champion is proven to keep MaxErrorRate: of
// the two e-processes the smaller one is used. If the canary fails no more
// often than the champion, one of the two hypotheses holds, whichever side of
// the limit the rates are on, and the minimum is an e-process under both.
//
// Each of harm and safe averages its two forms.
package canary

import (
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// Config are the judge's budgets and limits.
type Config struct {
	Steps        int     // number of weights planned
	Alpha        float64 // budget of false rollback, over all steps
	Beta         float64 // budget of false promotion, over all steps
	Tolerance    float64 // relative rise of the error rate that is a regression
	MaxErrorRate float64 // error rate below which a canary is safe anyway
}

// FromSpec reads the configuration from a spec, with its defaults.
func FromSpec(spec models.CanarySpec) Config {
	spec = spec.WithDefaults()
	return Config{
		Steps: len(spec.Steps), Alpha: spec.FalseAlarm, Beta: spec.FalsePass,
		Tolerance: spec.Tolerance, MaxErrorRate: spec.MaxErrorRate,
	}
}

// Judge answers for the last of the steps: fail when there is evidence of
// harm in any of them, pass when the last one is proven safe, else
// inconclusive. Counts are cumulative per step.
func Judge(c Config, steps []models.CanaryStep) models.CanaryVerdict {
	verdict := c.weigh(steps)
	verdict.Reason = c.explain(verdict, steps)
	return verdict
}

// weigh is the verdict without its reason.
func (c Config) weigh(steps []models.CanaryStep) models.CanaryVerdict {
	verdict := models.CanaryVerdict{
		Verdict: models.VerdictInconclusive, Harm: 1, Safe: 1,
		HarmThreshold: 1 / c.Alpha, SafeThreshold: 1 / c.Beta,
	}
	if len(steps) == 0 {
		return verdict
	}
	verdict.Harm, verdict.Safe = c.harm(steps), c.safe(steps[len(steps)-1])
	switch {
	case verdict.Harm >= verdict.HarmThreshold:
		verdict.Verdict = models.VerdictFail
	case verdict.Safe >= verdict.SafeThreshold:
		verdict.Verdict = models.VerdictPass
	}
	return verdict
}

// NextLook is how many canary requests more than seen make another look
// worthwhile: a tenth, at least 20. So the number of looks grows with the
// logarithm of the traffic, and a canary that fails always is seen at once.
func NextLook(_ Config, seen int64) int64 {
	return max(20, seen/10)
}

// harm splits its capital equally among the planned steps; the part of a step
// is bet from that step on. Thus what the first steps lost while all was well
// does not outweigh harm that begins later.
func (c Config) harm(steps []models.CanaryStep) float64 {
	planned := max(c.Steps, len(steps))
	total, since := float64(planned-len(steps)), 0.0
	for i := len(steps) - 1; i >= 0; i-- {
		since += c.harmOf(steps[i])
		total += evidence(since)
	}
	return total / float64(planned)
}

// harmOf is the logarithm of one step's e-value.
func (c Config) harmOf(step models.CanaryStep) float64 {
	canary, champion := counts(step.Canary), counts(step.Champion)
	absolute := min(above(canary, c.MaxErrorRate), below(champion, c.MaxErrorRate))
	relative := 0.0
	if share, ok := c.relative(step); ok {
		relative = above(share, step.Weight)
	}
	return average(relative, absolute)
}

func (c Config) safe(step models.CanaryStep) float64 {
	return c.safeAfter(step, c.safeRelative(step), 0)
}

func (c Config) safeRelative(step models.CanaryStep) float64 {
	share, ok := c.relative(step)
	if !ok {
		return 0
	}
	risen := step.Weight * (1 + c.Tolerance)
	return below(share, risen/(1-step.Weight+risen))
}

// safeAfter is the evidence once the canary has answered more requests without
// an error, of which the relative form takes no notice.
func (c Config) safeAfter(step models.CanaryStep, relative float64, more int) float64 {
	canary := counts(step.Canary)
	canary.n += float64(more)
	return evidence(average(relative, below(canary, c.MaxErrorRate)))
}

// relative is the canary's part of all errors. Without traffic on both arms
// there is nothing to compare.
func (c Config) relative(step models.CanaryStep) (trials, bool) {
	canary, champion := counts(step.Canary), counts(step.Champion)
	comparable := canary.n > 0 && champion.n > 0 && step.Weight > 0 && step.Weight < 1
	return trials{k: canary.k, n: canary.k + champion.k}, comparable
}

// counts distrusts counters that contradict themselves as little as it can.
func counts(arm models.ArmCounts) trials {
	n := max(float64(arm.Requests), 0)
	return trials{k: min(max(float64(arm.Errors), 0), n), n: n}
}

// most is where evidence stops to grow: an e-value may always be lowered, and
// infinity has no JSON.
const most = 1e100

func evidence(logarithm float64) float64 { return min(math.Exp(logarithm), most) }

// average of two e-values given by their logarithms.
func average(a, b float64) float64 {
	high, low := max(a, b), min(a, b)
	return high + math.Log1p(math.Exp(low-high)) - math.Ln2
}
