package canary

import (
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// Losses is the limit of the judge of predictions.
type Losses struct {
	Tolerance float64 // rise of the mean loss that is a regression; 0: not judged
}

// enough labels make a block. With fewer, a block is joined with the next: the
// mean of a few skewed losses is not symmetric around its expectation.
const enough = 30

// drifts are the bets on the mean of the blocks' scores, in their deviations.
var drifts = []part{{0.15, 0.2}, {0.3, 0.3}, {0.6, 0.3}, {1.2, 0.2}}

// observe adds blocks of labels.
func (l Losses) observe(e models.LossEvidence, blocks []models.LossBlock) models.LossEvidence {
	for _, block := range blocks {
		block.Champion, block.Canary, block.Pairs = usable(block.Champion), usable(block.Canary), usable(block.Pairs)
		e.Seen = joined(e.Seen, alike(block))
		if block.Generation != e.Pending.Generation {
			e.Pending = models.LossBlock{} // labels at other weights don't compare
		}
		e.Pending = joined(e.Pending, block)
		e = l.weigh(e)
	}
	return e
}

// weigh bets on the pending block once it has enough labels: on its pairs when
// these are more than the canary's own answers.
func (l Losses) weigh(e models.LossEvidence) models.LossEvidence {
	b := e.Pending
	difference, scale := 0.0, &e.Unpaired
	switch {
	case b.Pairs.N >= enough && b.Pairs.N >= b.Canary.N:
		difference, scale = mean(b.Pairs), &e.Paired
	case b.Canary.N >= enough && b.Champion.N >= enough:
		difference = mean(b.Canary) - mean(b.Champion)
	default:
		return e
	}
	e.Pending = models.LossBlock{}
	e.Blocks++
	harm, safe := difference, l.Tolerance-difference
	scale.Blocks++
	scale.Harm, scale.Safe = finite(scale.Harm+harm*harm), finite(scale.Safe+safe*safe)
	e.Harm = multiplied(e.Harm, signed(harm, scale.Harm, scale.Blocks))
	e.Safe = multiplied(e.Safe, signed(safe, scale.Safe, scale.Blocks))
	return e
}

// signed are the e-values of a score that is as likely to be negative as
// positive under the hypothesis: its sign, weighed by its size in deviations.
// The deviation is taken from the squares up to this score, its own included,
// which say nothing about its sign.
func signed(score, squares float64, blocks int64) []float64 {
	factors := make([]float64, len(drifts))
	deviation := math.Sqrt(squares / float64(blocks))
	for i, d := range drifts {
		factors[i] = 1
		if deviation > 0 {
			factors[i] = swapped(2 * d.value * score / deviation)
		}
	}
	return factors
}

// capital is the e-value of all bets together.
func capital(logarithms []float64) float64 {
	total := 0.0
	for i, d := range drifts {
		total += d.share * evidence(at(logarithms, i))
	}
	return min(total, most)
}

// verdict is the evidence with the estimates.
func (l Losses) verdict(e models.LossEvidence) models.MetricVerdict {
	return models.MetricVerdict{Metric: models.CanaryQuality, Harm: capital(e.Harm), Safe: capital(e.Safe),
		Champion: mean(e.Seen.Champion), Canary: mean(e.Seen.Canary)}
}

// alike weighs both arms of a block as the canary's labels, so that the estimates
// over all blocks compare however the weights and the hours differed. Of a canary
// that answered nobody the loss is the champion's plus what its copies lost more.
func alike(b models.LossBlock) models.LossBlock {
	n := max(b.Canary.N, b.Pairs.N)
	if n == 0 || b.Champion.N == 0 {
		return models.LossBlock{}
	}
	part := float64(n) / float64(b.Champion.N)
	champion := models.Moments{N: n, Sum: part * b.Champion.Sum, SumSquares: part * b.Champion.SumSquares}
	canary := b.Canary
	if b.Pairs.N >= b.Canary.N {
		canary = models.Moments{N: n, Sum: champion.Sum + b.Pairs.Sum}
	}
	return models.LossBlock{Start: b.Start, Champion: champion, Canary: canary}
}

func joined(a, b models.LossBlock) models.LossBlock {
	sum := func(a, b models.Moments) models.Moments {
		return usable(models.Moments{N: a.N + b.N, Sum: a.Sum + b.Sum, SumSquares: a.SumSquares + b.SumSquares})
	}
	if a.Start.IsZero() {
		a.Start = b.Start
	}
	return models.LossBlock{Start: a.Start, Generation: b.Generation, Champion: sum(a.Champion, b.Champion), Canary: sum(a.Canary, b.Canary), Pairs: sum(a.Pairs, b.Pairs)}
}

// usable is m, or nothing when it can't be sums over values.
func usable(m models.Moments) models.Moments {
	const largest = 1e100
	if m.N <= 0 || m.N > mostCounted || !(math.Abs(m.Sum) < largest) || !(m.SumSquares < largest) {
		return models.Moments{}
	}
	return m
}

func finite(x float64) float64 { return min(x, math.MaxFloat64) }

func mean(m models.Moments) float64 {
	if m.N == 0 {
		return 0
	}
	return m.Sum / float64(m.N)
}
