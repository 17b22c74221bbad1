package canary

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// scenario is a rollout in the large: two versions with constant error rates,
// traffic at the spec's weights, looks as NextLook wants them.
type scenario struct {
	champion, canary float64 // error rates
	perStep          int64   // canary requests after which a step gives up
	// outage multiplies both rates during the first third of each step.
	outage float64
	// overload is the canary's error rate from the second step on; 0: as before.
	overload float64
	// patient goes on to the next step when one gives up, to expose harm to
	// as many looks as there can be.
	patient bool
}

// outcome of one rollout.
type outcome struct {
	rolledBack, promoted bool
	requests             int64 // canary requests until the decision
}

func (s scenario) run(c Config, weights []float64, seed uint64) outcome {
	r := rand.New(rand.NewPCG(seed, 1))
	var steps []models.CanaryStep
	var total int64
	for _, weight := range weights {
		step := models.CanaryStep{Weight: weight}
		verdict := models.CanaryVerdict{Verdict: models.VerdictInconclusive}
		for verdict.Verdict == models.VerdictInconclusive && step.Canary.Requests < s.perStep {
			s.traffic(r, &step, NextLook(c, step.Canary.Requests))
			verdict = c.weigh(append(steps, step))
		}
		total += step.Canary.Requests
		steps = append(steps, step)
		if verdict.Verdict == models.VerdictFail || verdict.Verdict == models.VerdictInconclusive && !s.patient {
			return outcome{rolledBack: verdict.Verdict == models.VerdictFail, requests: total}
		}
	}
	return outcome{promoted: steps[len(steps)-1].Canary.Requests < s.perStep, requests: total}
}

// traffic adds requests until the canary has got more of them.
func (s scenario) traffic(r *rand.Rand, step *models.CanaryStep, more int64) {
	rise := 1.0
	if s.outage > 0 && step.Canary.Requests < s.perStep/3 {
		rise = s.outage
	}
	for until := step.Canary.Requests + more; step.Canary.Requests < until; {
		arm, rate := &step.Champion, s.champion
		if r.Float64() < step.Weight {
			arm, rate = &step.Canary, s.canary
			if s.overload > 0 && step.Weight > defaultWeights[0] {
				rate = s.overload
			}
		}
		arm.Requests++
		if r.Float64() < min(rate*rise, 1) {
			arm.Errors++
		}
	}
}

// rates are the shares of runs that were rolled back and promoted, and the
// median number of canary requests until the decision.
func (s scenario) rates(c Config, weights []float64, runs int) (rolledBack, promoted float64, median int64) {
	var requests []int64
	for i := range runs {
		o := s.run(c, weights, uint64(i))
		if o.rolledBack {
			rolledBack++
		}
		if o.promoted {
			promoted++
		}
		requests = append(requests, o.requests)
	}
	slices.Sort(requests)
	return rolledBack / float64(runs), promoted / float64(runs), requests[runs/2]
}

var defaultWeights = []float64{0.1, 0.5}

// withinBudget allows for the noise of the simulation: three deviations.
func withinBudget(t *testing.T, what string, rate, budget float64, runs int) {
	t.Helper()
	if limit := budget + 3*math.Sqrt(budget*(1-budget)/float64(runs)); rate > limit {
		t.Errorf("%s: %.3f, budget %.3f (%.3f with noise)", what, rate, budget, limit)
	}
}

// TestFalseRollback: a version no worse than the champion, looked at again and
// again and never promoted, is rolled back in at most Alpha of the rollouts.
func TestFalseRollback(t *testing.T) {
	c := FromSpec(models.CanarySpec{FalseAlarm: 0.05, FalsePass: 1e-90})
	for _, s := range []scenario{
		{champion: 0.005, canary: 0.005, perStep: 1500, patient: true},
		{champion: 0.02, canary: 0.02, perStep: 1500, patient: true}, // at the absolute limit
		{champion: 0.06, canary: 0.06, perStep: 1500, patient: true}, // beyond it
		{champion: 0.01, canary: 0.01, perStep: 1500, patient: true, outage: 30},
	} {
		rolledBack, _, _ := s.rates(c, defaultWeights, 150)
		t.Logf("%+v: %.3f rolled back", s, rolledBack)
		withinBudget(t, "false rollback", rolledBack, c.Alpha, 150)
	}
}

// TestFalsePromotion: a version that breaks both limits, at every weight or
// only at the last, is promoted in at most Beta of the rollouts.
func TestFalsePromotion(t *testing.T) {
	c := FromSpec(models.CanarySpec{FalseAlarm: 1e-90})
	for _, s := range []scenario{
		{champion: 0.02 / 1.5, canary: 0.02, perStep: 1500},
		{champion: 0.002, canary: 0.02, perStep: 1500},
		{champion: 0.04, canary: 0.06, perStep: 1500},
		{champion: 0.002, canary: 0.002, overload: 0.02, perStep: 1500},
	} {
		_, promoted, _ := s.rates(c, defaultWeights, 150)
		t.Logf("%+v: %.3f promoted", s, promoted)
		withinBudget(t, "false promotion", promoted, c.Beta, 150)
	}
}

// TestPower: what the judge is for.
func TestPower(t *testing.T) {
	c := FromSpec(models.CanarySpec{})
	for _, test := range []struct {
		scenario
		rolledBack, promoted float64 // at least
		within               int64   // canary requests, median
	}{
		{scenario{champion: 0, canary: 0, perStep: 2000}, 0, 1, 600},
		{scenario{champion: 0.001, canary: 0.001, perStep: 2000}, 0, 0.99, 600},
		{scenario{champion: 0.005, canary: 1, perStep: 2000}, 1, 0, 20},
		{scenario{champion: 0.005, canary: 0.1, perStep: 2000}, 1, 0, 100},
		{scenario{champion: 0.01, canary: 0.03, perStep: 2000}, 0.9, 0, 900},
		{scenario{champion: 0.05, canary: 0.15, perStep: 2000}, 0.99, 0, 200},
		{scenario{champion: 0.005, canary: 0.005, overload: 0.1, perStep: 2000}, 0.9, 0, 800},
	} {
		rolledBack, promoted, requests := test.rates(c, defaultWeights, 100)
		t.Logf("%+v: %.2f rolled back, %.2f promoted, median %d requests", test.scenario, rolledBack, promoted, requests)
		if rolledBack < test.rolledBack || promoted < test.promoted || requests > test.within {
			t.Errorf("%+v: %.2f rolled back (want ≥ %v), %.2f promoted (want ≥ %v), median %d requests (want ≤ %d)",
				test.scenario, rolledBack, test.rolledBack, promoted, test.promoted, requests, test.within)
		}
	}
}
