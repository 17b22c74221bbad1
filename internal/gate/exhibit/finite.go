package exhibit

import (
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// What is no number has no place in a plot, and none in JSON.

func finite(values ...float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

func finiteEstimate(e *models.Estimate) *models.Estimate {
	if e == nil || !finite(e.Value, e.Low, e.High) {
		return nil
	}
	return e
}

// finiteFigures walks the known metrics, not the map: workflows use it too.
func finiteFigures(figures map[models.Metric]models.Estimate) map[models.Metric]models.Estimate {
	if figures == nil {
		return nil
	}
	out := make(map[models.Metric]models.Estimate, len(figures))
	for _, task := range []models.Task{models.TaskBinary, models.TaskRegression} {
		for _, m := range task.Metrics() {
			if e, ok := figures[m]; ok && finiteEstimate(&e) != nil {
				out[m] = e
			}
		}
	}
	return out
}

func finiteEvaluation(e models.Evaluation) models.Evaluation {
	e.Candidate, e.Champion, e.Gains = finiteFigures(e.Candidate), finiteFigures(e.Champion), finiteFigures(e.Gains)
	e.Gain = finiteEstimate(e.Gain)
	e.Slices = slices.Clone(e.Slices)
	for i := range e.Slices {
		s := &e.Slices[i]
		s.Candidate, s.Champion, s.Strict = finiteFigures(s.Candidate), finiteFigures(s.Champion), finiteFigures(s.Strict)
		s.Gain, s.StrictGain = finiteEstimate(s.Gain), finiteEstimate(s.StrictGain)
	}
	e.Days = kept(e.Days, func(d models.BlockComparison) bool { return finite(d.Candidate, d.Champion) })
	e.Reliability = finiteBins(e.Reliability)
	e.Reference = kept(e.Reference, func(v float64) bool { return finite(v) })
	e.Checks = kept(e.Checks, func(c models.CheckResult) bool { return finite(c.Figure, c.Limit) })
	if e.Serving != nil && e.Serving.Latency != nil && !finite(e.Serving.Latency.P50Millis, e.Serving.Latency.P99Millis) {
		serving := *e.Serving
		serving.Latency = nil
		e.Serving = &serving
	}
	return e
}

func finiteCurves(c metric.Curves) metric.Curves {
	point := func(p [2]float64) bool { return finite(p[0], p[1]) }
	c.ROC, c.ChampionROC = kept(c.ROC, point), kept(c.ChampionROC, point)
	c.PR, c.ChampionPR = kept(c.PR, point), kept(c.ChampionPR, point)
	c.Reliability, c.ChampionReliability = finiteBins(c.Reliability), finiteBins(c.ChampionReliability)
	return c
}

func finiteBins(bins []models.ReliabilityBin) []models.ReliabilityBin {
	return kept(bins, func(b models.ReliabilityBin) bool { return finite(b.Low, b.High, b.Predicted, b.Observed) })
}

// kept copies what passes; nil stays nil.
func kept[T any](values []T, keep func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(values), func(v T) bool { return !keep(v) })
}
