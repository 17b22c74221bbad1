package gate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mathext"

	"github.com/mainspring-ml/mainspring/models"
)

// Sample is the held-out rows with the answers to them. All slices have one
// entry per row; Champion is nil when there is none.
type Sample struct {
	Labels    []float64 // 0 or 1
	Candidate []float64 // probability of label 1
	Champion  []float64
	Blocks    []int // block of the row, numbered from 0 in order of time
}

// Settings of the measurement. Level is the error level on each side of an
// interval; Metric is what the gain is measured in, Brier or else log-loss.
type Settings struct {
	Metric    models.Metric
	Level     float64
	Resamples int
	Seed      uint64
}

// Measurement is every figure with its interval. A figure that the rows don't
// give (AUC of one label only, anything of no rows) is absent.
type Measurement struct {
	Candidate map[models.Metric]models.Estimate
	Champion  map[models.Metric]models.Estimate // nil without a champion
	Gain      *models.Estimate                  // nil without a champion
	Blocks    []BlockLoss                       // by block number
}

// BlockLoss is the mean loss of one block in the metric of the settings.
type BlockLoss struct {
	Rows      int64
	Candidate float64 // 0 without rows
	Champion  float64 // 0 without a champion
}

// Measure computes log-loss, Brier score and AUC of candidate and champion, the
// gain, and the losses by block. All intervals come from the same resamples of
// whole blocks, so that they can be compared. It panics when the slices differ
// in length, which is a programming error.
func Measure(s Sample, set Settings) Measurement {
	if len(s.Candidate) != len(s.Labels) || len(s.Blocks) != len(s.Labels) || s.Champion != nil && len(s.Champion) != len(s.Labels) {
		panic(fmt.Sprintf("gate: %d labels, %d and %d scores, %d blocks", len(s.Labels), len(s.Candidate), len(s.Champion), len(s.Blocks)))
	}
	b := newBootstrap(blockCount(s.Blocks), set)
	loss := lossOf(set.Metric)
	candidate := byBlock(s.Candidate, s, loss)
	m := Measurement{Candidate: metrics(s.Candidate, s, b), Blocks: make([]BlockLoss, len(candidate))}
	for i, c := range candidate {
		m.Blocks[i] = BlockLoss{Rows: int64(c.rows), Candidate: c.mean()}
	}
	if s.Champion == nil {
		return m
	}
	m.Champion = metrics(s.Champion, s, b)
	gains := byBlock(s.Champion, s, loss)
	for i := range gains {
		m.Blocks[i].Champion = gains[i].mean()
		gains[i].sum -= candidate[i].sum
	}
	if gain, ok := b.interval(meanOver(gains)); ok {
		m.Gain = &gain
	}
	return m
}

func lossOf(metric models.Metric) func(score, label float64) float64 {
	if metric == models.Brier {
		return Brier
	}
	return LogLoss
}

func metrics(scores []float64, s Sample, b bootstrap) map[models.Metric]models.Estimate {
	found := map[models.Metric]models.Estimate{}
	measure := func(metric models.Metric, statistic func([]float64) float64) {
		if estimate, ok := b.interval(statistic); ok {
			found[metric] = estimate
		}
	}
	measure(models.LogLoss, meanOver(byBlock(scores, s, LogLoss)))
	measure(models.Brier, meanOver(byBlock(scores, s, Brier)))
	measure(models.AUC, rankRows(scores, s.Labels, s.Blocks).auc)
	return found
}

// total sums a block's rows.
type total struct{ rows, sum float64 }

func (t total) mean() float64 {
	if t.rows == 0 {
		return 0
	}
	return t.sum / t.rows
}

func byBlock(scores []float64, s Sample, loss func(score, label float64) float64) []total {
	totals := make([]total, blockCount(s.Blocks))
	for i, score := range scores {
		totals[s.Blocks[i]].rows++
		totals[s.Blocks[i]].sum += loss(score, s.Labels[i])
	}
	return totals
}

func blockCount(blocks []int) int {
	if len(blocks) == 0 {
		return 0
	}
	return slices.Max(blocks) + 1
}

// meanOver is the mean over rows, each taken as often as its block; NaN when
// none is.
func meanOver(blocks []total) func(weights []float64) float64 {
	return func(weights []float64) float64 {
		var rows, sum float64
		for b, t := range blocks {
			rows += weights[b] * t.rows
			sum += weights[b] * t.sum
		}
		return sum / rows
	}
}

// bootstrap holds, for each resample, how often each block occurs in it. The
// first entry is the sample itself.
type bootstrap struct {
	draws [][]float64
	level float64 // of the percentiles
}

func newBootstrap(blocks int, set Settings) bootstrap {
	random := rand.New(rand.NewPCG(set.Seed, 0))
	b := bootstrap{draws: make([][]float64, set.Resamples+1), level: expand(set.Level, blocks)}
	for i := range b.draws {
		b.draws[i] = make([]float64, blocks)
		for block := range blocks {
			if i == 0 {
				b.draws[i][block] = 1
			} else {
				b.draws[i][random.IntN(blocks)]++
			}
		}
	}
	return b
}

// expand lowers the level of percentiles so that an interval of few blocks
// keeps its promise: plain percentiles behave as if the deviation were known,
// and underrate it by √((n-1)/n). Student's t in place of the normal
// distribution corrects for both (Hesterberg 2015, "expanded percentiles").
func expand(level float64, blocks int) float64 {
	if blocks < 2 || !(level > 0 && level < 0.5) {
		return level
	}
	n := float64(blocks)
	x := mathext.InvRegIncBeta((n-1)/2, 0.5, 2*level)
	t := math.Sqrt((n - 1) * (1 - x) / x) // Student's upper quantile
	return math.Erfc(t*math.Sqrt(n/(n-1))/math.Sqrt2) / 2
}

// interval is a statistic's value on the sample and its percentiles over the
// resamples. Resamples without an answer are left out; a sample without one has
// no interval.
func (b bootstrap) interval(statistic func(weights []float64) float64) (models.Estimate, bool) {
	value := statistic(b.draws[0])
	values := make([]float64, 0, len(b.draws))
	for _, weights := range b.draws[1:] {
		if v := statistic(weights); finite(v) {
			values = append(values, v)
		}
	}
	if !finite(value) || len(values) == 0 {
		return models.Estimate{}, false
	}
	slices.Sort(values)
	return models.Estimate{Value: value, Low: quantile(values, b.level), High: quantile(values, 1-b.level)}, true
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// quantile interpolates between order statistics (type 7).
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}
