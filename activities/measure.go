package activities

import (
	"cmp"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/models"
)

// measure turns predictions into the evidence that enters the history: all
// figures, and the newest blocks.
func measure(input models.EvaluateInput, rows heldOut) models.Evaluation {
	starts, blocks := numberBlocks(rows.times, cmp.Or(input.Spec.Champion.Block, models.Day).Std())
	m := gate.Measure(
		gate.Sample{Labels: rows.labels, Candidate: rows.candidate, Champion: rows.champion, Blocks: blocks},
		gate.Settings{
			Metric:    cmp.Or(input.Spec.Champion.Metric, models.LogLoss),
			Level:     cmp.Or(input.Spec.Champion.Level, defaultLevel),
			Resamples: cmp.Or(input.Spec.Champion.Resamples, defaultResamples),
			Seed:      input.Seed,
		})
	evaluation := models.Evaluation{
		Rows: int64(len(rows.labels)), Blocks: len(starts),
		Candidate: m.Candidate, Champion: m.Champion, Gain: m.Gain,
		Days: make([]models.BlockComparison, len(starts)),
	}
	for i, b := range m.Blocks {
		evaluation.Days[i] = models.BlockComparison{Start: starts[i], Rows: b.Rows, Candidate: b.Candidate, Champion: b.Champion}
	}
	evaluation.Days = newest(evaluation.Days, maxDays)
	return evaluation
}

// numberBlocks numbers the blocks that have rows from 0, oldest first, and
// returns each block's start and each row's block.
func numberBlocks(times []int64, length time.Duration) (starts []time.Time, blocks []int) {
	number := map[int64]int{}
	for _, at := range times {
		number[dataset.BlockStart(at, length).UnixMicro()] = 0
	}
	for start := range number {
		starts = append(starts, time.UnixMicro(start).UTC())
	}
	slices.SortFunc(starts, time.Time.Compare)
	for i, start := range starts {
		number[start.UnixMicro()] = i
	}
	blocks = make([]int, len(times))
	for i, at := range times {
		blocks[i] = number[dataset.BlockStart(at, length).UnixMicro()]
	}
	return starts, blocks
}
