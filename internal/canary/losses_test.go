package canary

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// someLosses are hours with 100 labels of each arm, skewed, that move together.
func someLosses(seed uint64, n int, shift float64) []models.LossBlock {
	r := rand.New(rand.NewPCG(seed, 2))
	blocks := make([]models.LossBlock, n)
	for i := range blocks {
		hour := 0.4 * math.Exp(0.25*r.NormFloat64())
		blocks[i].Start = time.Unix(int64(3600*i), 0).UTC()
		for range 100 {
			count(&blocks[i].Champion, hour*r.ExpFloat64())
			count(&blocks[i].Canary, hour*r.ExpFloat64()+shift)
		}
	}
	return blocks
}

func count(m *models.Moments, value float64) {
	m.N, m.Sum, m.SumSquares = m.N+1, m.Sum+value, m.SumSquares+value*value
}

func quality(blocks []models.LossBlock) models.MetricVerdict {
	c := FromSpec(models.CanarySpec{Quality: &models.QualitySpec{Tolerance: 0.1}})
	s := c.Observe(c.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.5}), Evidence{Losses: blocks})
	return c.Judge(s).Metrics[1]
}

func TestQuality(t *testing.T) {
	if v := quality(nil); v.Verdict != models.VerdictInconclusive || v.Harm != 1 || v.Safe != 1 ||
		v.HarmThreshold != 200 || v.SafeThreshold != 20 || !strings.HasPrefix(v.Reason, "loss: no block with 30 labels of each arm yet") {
		t.Errorf("no labels: %+v", v)
	}
	if v := quality(someLosses(1, 60, 0.1)); v.Verdict != models.VerdictFail || math.Abs(v.Canary-v.Champion-0.1) > 0.03 {
		t.Errorf("worse: %+v", v)
	}
	if v := quality(someLosses(2, 60, 0)); v.Verdict != models.VerdictPass {
		t.Errorf("alike: %+v", v)
	}
}

// TestFewLabelsAreJoined: blocks with a handful of labels are weighed like one
// with all of them, and a handful alone is nothing.
func TestFewLabelsAreJoined(t *testing.T) {
	few := func(n int64, loss float64) models.LossBlock {
		m := models.Moments{N: n, Sum: loss * float64(n), SumSquares: loss * loss * float64(n)}
		return models.LossBlock{Champion: models.Moments{N: 40, Sum: 10, SumSquares: 4}, Canary: m}
	}
	if v := quality([]models.LossBlock{few(3, 50), few(4, 50)}); v.Harm != 1 || v.Safe != 1 {
		t.Errorf("seven labels: %+v", v)
	}
	apart := quality([]models.LossBlock{few(10, 0.5), few(10, 0.5), few(10, 0.5)})
	block := few(30, 0.5)
	block.Champion = models.Moments{N: 120, Sum: 30, SumSquares: 12}
	if together := quality([]models.LossBlock{block}); apart.Harm != together.Harm || apart.Safe != together.Safe || apart.Harm == 1 {
		t.Errorf("apart %+v, together %+v", apart, together)
	}
}

// TestPairs: on the same requests the differences count, whatever the arms'
// own means say, and a canary without traffic has the champion's loss plus the
// difference.
func TestPairs(t *testing.T) {
	pairs := make([]models.LossBlock, 40)
	for i := range pairs {
		wobble := 0.05 * float64(i%3-1)
		pairs[i] = models.LossBlock{
			Champion: models.Moments{N: 100, Sum: 40, SumSquares: 30},
			Pairs:    models.Moments{N: 100, Sum: 100 * (0.2 + wobble), SumSquares: 10},
		}
	}
	v := quality(pairs)
	near(t, "champion", v.Champion, 0.4, 1e-9)
	if v.Verdict != models.VerdictFail || math.Abs(v.Canary-0.6) > 0.01 {
		t.Errorf("%+v", v)
	}
}

// TestScoreAndItsMirror: if either sign is as likely, no bet gains.
func TestScoreAndItsMirror(t *testing.T) {
	for _, score := range []float64{0.001, 0.4, 7} {
		up, down := signed(score, 3+score*score, 5), signed(-score, 3+score*score, 5)
		for i := range drifts {
			near(t, "both signs", (up[i]+down[i])/2, 1, 1e-12)
		}
	}
}

// TestBlocksOfDifferentWeightsAreNeverJoined: a few labels of a hard hour at 2 %
// and many of an easy one at 50 % would make a worse canary look better, since
// most of its labels are easy ones.
func TestBlocksOfDifferentWeightsAreNeverJoined(t *testing.T) {
	at := func(n int64, loss float64) models.Moments {
		return models.Moments{N: n, Sum: loss * float64(n), SumSquares: loss * loss * float64(n)}
	}
	var blocks []models.LossBlock
	for i := range 40 {
		hour := time.Unix(int64(3600*i), 0).UTC()
		blocks = append(blocks,
			models.LossBlock{Start: hour, Generation: int64(2*i + 1), Champion: at(980, 1), Canary: at(20, 1.2)},
			models.LossBlock{Start: hour, Generation: int64(2*i + 2), Champion: at(100, 0.2), Canary: at(100, 0.4)},
		)
	}
	if v := quality(blocks); v.Verdict != models.VerdictFail || math.Abs(v.Canary-v.Champion-0.2) > 1e-9 {
		t.Errorf("worse by twice the tolerance at every weight: %+v", v)
	}
}
