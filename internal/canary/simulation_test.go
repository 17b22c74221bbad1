package canary

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/mainspring-ml/mainspring/models"
)

// scenario is a rollout in the large: blocks of both arms at the spec's
// weights, with a look after each.
type scenario struct {
	champion, canary float64 // error rates
	overload         float64 // the canary's error rate from the second step on; 0: as before
	noise            float64 // deviation of the logarithm of each arm's rate in a block
	outages          float64 // probability, per block, that half of both arms' answers fail
	patient          bool    // go on when a step gives up or passes, to look as often as one can
}

const (
	blocksOfStep    = 30
	requestsOfBlock = 1200
)

var weights = []float64{0.1, 0.5}

func (s scenario) run(c Config, seed uint64) (verdict models.Verdict, blocks int) {
	r := rand.New(rand.NewPCG(seed, 1))
	var state models.JudgeState
	for i, weight := range weights {
		rate := s.canary
		if i > 0 && s.overload > 0 {
			rate = s.overload
		}
		state = c.Open(state, models.CanaryStep{Weight: weight})
		verdict = models.VerdictInconclusive
		for range blocksOfStep {
			blocks++
			state = c.Observe(state, s.block(r, weight, rate))
			verdict = c.Judge(state).Verdict
			if verdict == models.VerdictFail {
				return verdict, blocks
			}
			if verdict == models.VerdictPass && !s.patient {
				break
			}
		}
		if verdict != models.VerdictPass && !s.patient {
			return verdict, blocks
		}
	}
	return verdict, blocks
}

func (s scenario) block(r *rand.Rand, weight, rate float64) Evidence {
	outage := 0.0
	if r.Float64() < s.outages {
		outage = 0.5
	}
	arm := func(share, rate float64) models.BlockCounts {
		n := distuv.Poisson{Lambda: share * requestsOfBlock, Src: r}.Rand()
		p := min(max(rate*math.Exp(s.noise*r.NormFloat64()-s.noise*s.noise/2), outage), 1)
		if p == 0 {
			return models.BlockCounts{Requests: int64(n)}
		}
		return models.BlockCounts{Requests: int64(n), Errors: int64(min(distuv.Poisson{Lambda: n * p, Src: r}.Rand(), n))}
	}
	return Evidence{Blocks: []models.CanaryBlock{{Champion: arm(1-weight, s.champion), Canary: arm(weight, rate)}}}
}

// rates are the shares of runs that were rolled back and promoted.
func (s scenario) rates(c Config, runs int) (rolledBack, promoted, blocks float64) {
	for i := range runs {
		verdict, n := s.run(c, uint64(i))
		blocks += float64(n) / float64(runs)
		switch verdict {
		case models.VerdictFail:
			rolledBack += 1 / float64(runs)
		case models.VerdictPass:
			promoted += 1 / float64(runs)
		default:
		}
	}
	return rolledBack, promoted, blocks
}

// withinBudget allows for the noise of the simulation: three deviations.
func withinBudget(t *testing.T, what string, rate, budget float64, runs int) {
	t.Helper()
	if limit := budget + 3*math.Sqrt(budget*(1-budget)/float64(runs)); rate > limit {
		t.Errorf("%s: %.3f, budget %.3f (%.3f with noise)", what, rate, budget, limit)
	}
}

// TestFalseRollback: a version no worse than the champion, looked at after
// every block and never promoted, is rolled back in at most Alpha of the
// rollouts, also when each arm strays by itself or both fail together.
func TestFalseRollback(t *testing.T) {
	c := FromSpec(models.CanarySpec{FalseAlarm: 0.05, FalsePass: 1e-90})
	for _, s := range []scenario{
		{champion: 0.005, canary: 0.005, patient: true},
		{champion: 0.02, canary: 0.02, patient: true}, // at the limit
		{champion: 0.02, canary: 0.02, noise: 0.7, patient: true},
		{champion: 0.005, canary: 0.005, outages: 0.2, patient: true},
	} {
		rolledBack, _, _ := s.rates(c, 200)
		t.Logf("%+v: %.3f rolled back", s, rolledBack)
		withinBudget(t, "false rollback", rolledBack, c.Alpha, 200)
	}
}

// TestFalsePromotion: a version that breaks both limits, at every weight or
// only at the last, is promoted in at most Beta of the rollouts.
func TestFalsePromotion(t *testing.T) {
	c := FromSpec(models.CanarySpec{FalseAlarm: 1e-90, FalsePass: 0.1})
	for _, s := range []scenario{
		{champion: 0.02 / 1.5, canary: 0.02},
		{champion: 0.002, canary: 0.02, noise: 0.5},
		{champion: 0.04, canary: 0.06, noise: 0.5},
		{champion: 0.002, canary: 0.002, overload: 0.02},
	} {
		_, promoted, _ := s.rates(c, 200)
		t.Logf("%+v: %.3f promoted", s, promoted)
		withinBudget(t, "false promotion", promoted, c.Beta, 200)
	}
}

// TestPower: what the judge is for.
func TestPower(t *testing.T) {
	c := FromSpec(models.CanarySpec{})
	for _, test := range []struct {
		scenario
		rolledBack, promoted float64 // at least
		within               float64 // blocks, on average
	}{
		{scenario{champion: 0, canary: 0}, 0, 1, 10},
		{scenario{champion: 0.001, canary: 0.001}, 0, 0.99, 15},
		{scenario{champion: 0.005, canary: 1}, 1, 0, 9},
		{scenario{champion: 0.005, canary: 0.1}, 1, 0, 15},
		{scenario{champion: 0.01, canary: 0.05}, 0.9, 0, 15},
		{scenario{champion: 0.005, canary: 0.005, overload: 0.1}, 0.9, 0, 25},
	} {
		rolledBack, promoted, blocks := test.rates(c, 100)
		t.Logf("%+v: %.2f rolled back, %.2f promoted, %.1f blocks", test.scenario, rolledBack, promoted, blocks)
		if rolledBack < test.rolledBack || promoted < test.promoted || blocks > test.within {
			t.Errorf("%+v: %.2f rolled back (want ≥ %v), %.2f promoted (want ≥ %v), %.1f blocks (want ≤ %v)",
				test.scenario, rolledBack, test.rolledBack, promoted, test.promoted, blocks, test.within)
		}
	}
}
