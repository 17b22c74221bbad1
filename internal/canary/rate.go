package canary

import (
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// rate is a metric that is a share of bad answers.
type rate struct {
	metric models.CanaryMetric
	Limits
	byRequest bool
}

// rates are those that are judged.
func (c Config) rates() []rate {
	judged := []rate{{metric: models.CanaryErrors, Limits: c.Errors, byRequest: c.byRequest()}}
	if c.Latency.Tolerance > 0 {
		judged = append(judged, rate{metric: models.CanaryLatency, Limits: c.Latency, byRequest: c.byRequest()})
	}
	return judged
}

// of is where the state has the metric's evidence.
func (r rate) of(s *models.JudgeState) *models.RateEvidence {
	if r.metric == models.CanaryLatency {
		return &s.Latency
	}
	return &s.Errors
}

// arms are the metric's counts.
func (r rate) arms(champion, canary models.BlockCounts) arms {
	if r.metric == models.CanaryLatency {
		return arms{champion: trialsOf(champion.Slow, champion.Requests), canary: trialsOf(canary.Slow, canary.Requests)}
	}
	return arms{champion: trialsOf(champion.Errors, champion.Requests), canary: trialsOf(canary.Errors, canary.Requests)}
}

func trialsOf(k, n int64) trials { return trials{k: float64(k), n: float64(n)} }

// worse are the ratios for which harm is bet on. Whatever the true ratio, one of
// its neighbours wins nearly as much as it would, so few are enough. They were
// chosen by bench/canary, before its table was written.
var worse = []alternative{
	{1.6, 0, 0.17}, {2, 0, 0.17}, {2.6, 0, 0.15}, {5, 0, 0.03}, {16, 0, 0.04},
	{1.6, 0.3, 0.15}, {2, 0.3, 0.13}, {2.6, 0.3, 0.1}, {5, 0.3, 0.02}, {16, 0.3, 0.04},
}

// better are those for which safety is bet on: how many times the bad answers
// of the thinned canary the champion has. A ratio of 1+τ is that of equal arms.
func (l Limits) better() []alternative {
	equal := 1 + l.Tolerance
	cube := equal * equal * equal
	return []alternative{
		{equal, 0, 0.10}, {math.Pow(equal, 1.7), 0, 0.30}, {cube, 0, 0.16}, {8 * equal, 0, 0.04},
		{equal, 0.3, 0.07}, {math.Pow(equal, 1.7), 0.3, 0.20}, {cube, 0.3, 0.10}, {8 * equal, 0.3, 0.03},
	}
}

// Parts of the capital that are bet in comparison with the champion; the rest
// is bet on the limit.
const (
	harmCompared = 0.95
	safeCompared = 0.85
)

// open begins a step. Harm bets what earlier steps left and, from now on, one
// part more; safety begins anew.
func (r rate) open(e models.RateEvidence, s models.JudgeState) models.RateEvidence {
	size := len(worse) + len(stakes)
	if r.byRequest {
		size = 1
	}
	harm := make([]float64, size) // each at 1
	if s.Steps > 0 && len(e.Harm) == size {
		for i := range e.Harm {
			now := at(e.Harm, i)
			if r.byRequest {
				now += r.harmOf(s)
			}
			harm[i] = logSum(bounded(now), 0)
		}
	}
	e = models.RateEvidence{Harm: harm}
	if !r.byRequest {
		e.Safe = make([]float64, len(r.better())+len(guesses))
	}
	return e
}

// observe multiplies each capital by what its bet made of the block.
func (r rate) observe(e models.RateEvidence, a arms) models.RateEvidence {
	e.Harm, e.Safe = multiplied(e.Harm, r.harmFactors(a)), multiplied(e.Safe, r.safeFactors(a))
	return e
}

func (r rate) harmFactors(a arms) []float64 {
	factors := make([]float64, 0, len(worse)+len(stakes))
	more, less := a.comparable().harmful()
	for _, w := range worse {
		factors = append(factors, w.factor(more, less))
	}
	for _, s := range stakes {
		factors = append(factors, a.breaks(r.Max, s.value))
	}
	return factors
}

func (r rate) safeFactors(a arms) []float64 {
	better := r.better()
	factors := make([]float64, 0, len(better)+len(guesses))
	more, less := a.comparable().harmless(r.Tolerance)
	for _, b := range better {
		factors = append(factors, b.factor(more, less))
	}
	for _, g := range guesses {
		factors = append(factors, keeps(a.canary, r.Max, g.value))
	}
	return factors
}

// harm is the e-value over all steps. A part of the capital is kept for each
// planned step that has not begun.
func (r rate) harm(s models.JudgeState, planned int) float64 {
	if s.Steps == 0 {
		return 1
	}
	planned = max(planned, s.Steps)
	e := *r.of(&s)
	begun := 0.0
	if r.byRequest {
		begun = evidence(at(e.Harm, 0) + r.harmOf(s))
	} else {
		for i, w := range worse {
			begun += harmCompared * w.share * evidence(at(e.Harm, i))
		}
		for i, b := range stakes {
			begun += (1 - harmCompared) * b.share * evidence(at(e.Harm, len(worse)+i))
		}
	}
	return min((float64(planned-s.Steps)+begun)/float64(planned), most)
}

// safe is the e-value of the step at hand. A step of copies proves nothing
// about the load that follows.
func (r rate) safe(s models.JudgeState) float64 {
	if s.Steps == 0 || s.Shadow {
		return 1
	}
	if r.byRequest {
		return r.safeOf(s, 0)
	}
	total, better := 0.0, r.better()
	e := *r.of(&s)
	for i, b := range better {
		total += safeCompared * b.share * evidence(at(e.Safe, i))
	}
	for i, g := range guesses {
		total += (1 - safeCompared) * g.share * evidence(at(e.Safe, len(better)+i))
	}
	return min(total, most)
}

// multiplied adds the logarithms of the factors.
func multiplied(capital, factors []float64) []float64 {
	grown := make([]float64, len(factors))
	for i, f := range factors {
		grown[i] = bounded(at(capital, i) + math.Log(f))
	}
	return grown
}

// at is a capital of the state, or that of a bet that has not begun.
func at(capital []float64, i int) float64 {
	if i >= len(capital) || math.IsNaN(capital[i]) {
		return 0
	}
	return capital[i]
}

// bounded keeps a logarithm within what JSON can say. The lower end is as good
// as nothing.
func bounded(logarithm float64) float64 {
	return min(max(logarithm, -1e6), math.Log(most))
}

// logSum is the logarithm of the sum of what two logarithms stand for.
func logSum(a, b float64) float64 {
	high, low := max(a, b), min(a, b)
	return high + math.Log1p(math.Exp(low-high))
}

// safeAfter is the e-value of safety once the canary has answered more requests
// well, in blocks like those so far. In the comparison it counts for nothing.
func (r rate) safeAfter(s models.JudgeState, more float64) float64 {
	if r.byRequest {
		return r.safeOf(s, more)
	}
	size := usualBlock
	if s.Blocks > 0 && s.Canary.Requests > 0 {
		size = float64(s.Canary.Requests) / float64(s.Blocks)
	}
	e := *r.of(&s)
	better := len(r.better())
	total := r.safe(s)
	for i, g := range guesses {
		now := at(e.Safe, better+i)
		gain := more / size * math.Log(keeps(trials{n: size}, r.Max, g.value))
		total += (1 - safeCompared) * g.share * (evidence(now+gain) - evidence(now))
	}
	return total
}

// usualBlock is the number of the canary's requests that a block is taken to
// have before there was one.
const usualBlock = 60.0
