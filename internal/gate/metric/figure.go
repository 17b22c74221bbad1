package metric

import (
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// slot is a metric's place in figures.
type slot int

const (
	logLoss slot = iota
	brier
	auc
	prAUC
	accuracy
	f1
	calibration
	rmse
	mae
	r2
	pinball
	slots
)

// names has the metric of each slot.
var names = [slots]models.Metric{
	models.LogLoss, models.Brier, models.AUC, models.PRAUC, models.Accuracy, models.F1, models.CalibrationError,
	models.RMSE, models.MAE, models.R2, models.Pinball,
}

// figures are the metrics of one segment on the sample or on one resample; NaN
// where there is no answer.
type figures [slots]float64

func noFigures() figures {
	var f figures
	for i := range f {
		f[i] = math.NaN()
	}
	return f
}

// spread is one model's figures, or the gains, in one segment: on the sample,
// which comes first, and on each resample.
type spread struct {
	values []figures
	wanted []slot
	gain   bool
	model  []figures // for gains, the candidate's; else the same as values
}

// hasRows tells whether the resample has any of the segment's rows.
func (s spread) hasRows(resample int) bool {
	f := &s.model[resample]
	return finite(f[logLoss]) || finite(f[rmse])
}

// bounds are the level of an interval and the number of blocks behind it.
type bounds struct {
	level  float64
	blocks int
}

// estimates gives every figure that the sample has its interval.
func (s spread) estimates(b bounds) map[models.Metric]models.Estimate {
	found := map[models.Metric]models.Estimate{}
	for _, at := range s.wanted {
		if estimate, ok := s.estimate(at, b); ok {
			found[names[at]] = estimate
		}
	}
	return found
}

func (s spread) estimate(at slot, b bounds) (models.Estimate, bool) {
	if len(s.values) == 0 || !slices.Contains(s.wanted, at) {
		return models.Estimate{}, false
	}
	value := s.values[0][at]
	values, sum, missing := make([]float64, 0, len(s.values)), 0.0, 0
	for i := 1; i < len(s.values); i++ {
		if v := s.values[i][at]; finite(v) {
			values, sum = append(values, v), sum+v
		} else if s.hasRows(i) {
			missing++
		}
	}
	if !finite(value) || len(values) == 0 {
		return models.Estimate{}, false
	}
	low, high := s.span(at)
	if float64(missing) > mostMissing*float64(len(values)+missing) {
		return models.Estimate{Value: value, Low: low, High: high}, finite(low) && finite(high)
	}
	slices.Sort(values)
	e := models.Estimate{Value: value}
	e.Low, e.High = percentiles(values, deviations(b.level, b.blocks))
	if at == calibration {
		bias := sum/float64(len(values)) - value
		e.Low, e.High = min(e.Low-2*bias, value), max(e.High-2*bias, value)
	}
	e.Low, e.High = max(e.Low, low), min(e.High, high)
	return e, finite(e.Low) && finite(e.High)
}

// mostMissing is the largest share of the resamples with rows that may lack a
// figure. It is about that much when four of the blocks have what the figure
// needs, such as a label 1. With fewer, resamples that have it say how those few blocks differ
// from one another, not how others would: nothing is known but its range.
const mostMissing = 0.01

// span is the range of a figure, or of a gain.
func (s spread) span(at slot) (low, high float64) {
	low, high = span(at)
	if s.gain {
		return low - high, high - low
	}
	return low, high
}

// span is the range of a metric.
func span(at slot) (low, high float64) {
	switch at {
	case auc, prAUC, accuracy, f1, calibration:
		return 0, 1
	case r2:
		return math.Inf(-1), 1
	case logLoss, brier, rmse, mae, pinball, slots:
	}
	return 0, math.Inf(1)
}

// gains pairs two models resample by resample.
func gains(candidate, champion spread) spread {
	paired := spread{values: make([]figures, len(candidate.values)), wanted: candidate.wanted, gain: true, model: candidate.values}
	for i := range paired.values {
		for _, at := range candidate.wanted {
			gain := champion.values[i][at] - candidate.values[i][at]
			if names[at].HigherIsBetter() {
				gain = 0 - gain // not -gain, which would make a zero print as -0
			}
			paired.values[i][at] = gain
		}
	}
	return paired
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
