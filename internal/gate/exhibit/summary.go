package exhibit

import (
	"cmp"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/models"
)

// maxPageSlices is how many slices a version's page shows.
const maxPageSlices = 10

// Summarize keeps what a version's page shows of an evaluation; trainRows may be
// 0, not known.
func Summarize(input models.EvaluateInput, evaluation models.Evaluation) models.EvaluationSummary {
	task := cmp.Or(input.Data.Task, models.TaskBinary)
	spec := input.Spec.WithDefaultsFor(task)
	evaluation = finiteEvaluation(evaluation)
	s := models.EvaluationSummary{
		Task: task, Level: spec.Champion.Level, TrainRows: input.Snapshot.Train.Rows,
		Rows: evaluation.Rows, Blocks: evaluation.Blocks,
		Champion: evaluation.Champion, Gains: evaluation.Gains, Metric: spec.Champion.Metric, Serving: evaluation.Serving,
	}
	if input.Champion != nil && len(evaluation.Champion) > 0 {
		s.ChampionVersion = input.Champion.Version
	}
	s.Slices, s.AllSlices = worst(evaluation.Slices, spec.Champion.Metric)
	return s
}

// worst are the judged slices with the least gain or, without a champion, the
// worst figure, at most maxPageSlices; and how many there are.
func worst(all []models.SliceEvidence, m models.Metric) ([]models.SliceSummary, int) {
	var judged []models.SliceSummary
	for _, s := range all {
		figure, ok := s.Candidate[m]
		if !s.Judged || s.Blocks < gate.MinBlocks || !ok {
			continue
		}
		summary := models.SliceSummary{Slice: gate.SliceName(s), Rows: s.Rows, Candidate: figure, Gain: s.Gain}
		if champion, ok := s.Champion[m]; ok {
			summary.Champion = &champion
		}
		judged = append(judged, summary)
	}
	quality := func(s models.SliceSummary) float64 {
		switch {
		case s.Gain != nil:
			return s.Gain.Value
		case m.HigherIsBetter():
			return s.Candidate.Value
		default:
			return -s.Candidate.Value
		}
	}
	slices.SortStableFunc(judged, func(a, b models.SliceSummary) int { return cmp.Compare(quality(a), quality(b)) })
	return judged[:min(len(judged), maxPageSlices)], len(judged)
}
