package activities

import (
	"context"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// Bounds of what enters a workflow's history.
const (
	maxDays      = 200 // newest blocks in Evaluation.Days
	maxReference = 90  // newest blocks in Evaluation.Reference
	// minReferenceRows is the least rows of a block whose mean loss is worth
	// comparing with live blocks.
	minReferenceRows = 30
)

// MeasurePredictions implements models.Scoring. The same request writes the
// same evidence to the same places.
func (s *Scoring) MeasurePredictions(ctx context.Context, request models.MeasureRequest) (models.Evaluation, error) {
	defer pulse(ctx, busy("measuring"))() // sorting and resampling have nothing to tell for long
	rows, err := s.readEvidence(ctx, request)
	if err != nil {
		return models.Evaluation{}, err
	}
	slicings, err := cutSlices(rows.input.Spec.Slices, rows.table)
	if err != nil {
		return models.Evaluation{}, err
	}
	evaluation, curves, err := measure(rows, slicings)
	if err != nil {
		return models.Evaluation{}, err
	}
	if evaluation.Reference, err = s.reference(ctx, rows); err != nil {
		return models.Evaluation{}, err
	}
	if evaluation.Serving, err = s.servingFigures(ctx, request); err != nil {
		return models.Evaluation{}, err
	}
	evaluation.Checks = rows.input.Snapshot.Checks
	if evaluation.Predictions, err = s.writePredictions(ctx, rows); err != nil {
		return models.Evaluation{}, err
	}
	evaluation.Files, err = s.writeExhibits(ctx, rows.input, evaluation, curves)
	return evaluation, err
}

// readEvidence reads the rows and both models' answers to them.
func (s *Scoring) readEvidence(ctx context.Context, request models.MeasureRequest) (heldOut, error) {
	rows, err := s.readHeldOut(ctx, request.Input)
	if err != nil {
		return rows, err
	}
	if rows.candidate, err = s.readAnswers(ctx, whoCandidate, request.Candidate, rows); err != nil {
		return rows, err
	}
	if c := request.Input.Champion; c != nil {
		if err := gate.Comparable(rows.input.Data, *c); err != nil {
			return rows, err
		}
		if request.Champion == nil {
			return rows, &models.Error{
				Kind: models.KindInvalidSpec, Subject: whoChampion(c), Message: "its answers are missing", Hint: "predict with it first",
			}
		}
	}
	if request.Champion != nil {
		who := "champion"
		if request.Input.Champion != nil {
			who = whoChampion(request.Input.Champion)
		}
		champion, err := s.readAnswers(ctx, who, *request.Champion, rows)
		if err != nil {
			return rows, err
		}
		if champion.width != rows.candidate.width {
			return rows, &models.Error{
				Kind: models.KindModelRejected, Subject: whoCandidate + " " + request.Input.Candidate.Source,
				Message: fmt.Sprintf("it answers with %d classes and the %s with %d, so they can't be compared", rows.candidate.width, who, champion.width),
				Hint:    "name all classes in data.classes, and train with them; a model of other classes needs another name",
			}
		}
		rows.champion = &champion
	}
	rows.labels, err = labelNumbers(rows.input.Data, rows.table.Column(rows.input.Data.Label), rows.candidate.width)
	return rows, err
}

// maxMeasure bounds the memory of a measurement: a worker that is killed for it
// would take other activities along, and the next attempt would end it again.
const maxMeasure = 4 << 30

// measure turns predictions into the evidence that enters the history: all
// figures, and the newest blocks.
func measure(rows heldOut, slicings []metric.Slicing) (models.Evaluation, metric.Curves, error) {
	task := taskOf(rows.input.Data)
	spec := rows.input.Spec.WithDefaultsFor(task)
	starts, blocks := numberBlocks(rows.times, spec.Champion.Block.Std())
	sample := metric.Sample{
		Task: task, Labels: rows.labels, Candidate: metric.Answers{Values: rows.candidate.values, Classes: rows.candidate.width},
		Blocks: blocks, Slicings: slicings,
	}
	if rows.champion != nil {
		sample.Champion = &metric.Answers{Values: rows.champion.values, Classes: rows.champion.width}
	}
	settings := metric.Settings{
		Metric: spec.Champion.Metric, Level: spec.Champion.Level, Resamples: spec.Champion.Resamples, Seed: rows.input.Seed,
		Threshold: spec.Threshold, Quantile: spec.Quantile,
	}
	if need := metric.Memory(sample, settings); need > maxMeasure {
		return models.Evaluation{}, metric.Curves{}, tooMuch(need, len(starts), sample, spec.Champion)
	}
	m := metric.Measure(sample, settings)
	evaluation := models.Evaluation{
		Rows: int64(len(rows.labels)), Blocks: len(starts),
		Candidate: m.Candidate, Champion: m.Champion, Gains: m.Gains, Slices: m.Slices, Reliability: m.Curves.Reliability,
		Days: make([]models.BlockComparison, len(m.Blocks)),
	}
	if c := rows.input.Champion; c != nil {
		evaluation.ChampionVersion = c.Version
	}
	if gain, ok := m.Gains[spec.Champion.Metric]; ok {
		evaluation.Gain = &gain
	}
	for i, b := range m.Blocks {
		evaluation.Days[i] = models.BlockComparison{Start: starts[i], Rows: b.Rows, Candidate: b.Candidate, Champion: b.Champion}
	}
	evaluation.Days = newest(evaluation.Days, maxDays)
	return evaluation, m.Curves, nil
}

func tooMuch(need int64, blocks int, sample metric.Sample, champion models.ChampionGate) error {
	parts := 0
	for _, slicing := range sample.Slicings {
		parts += len(slicing.Names)
	}
	const gibi = 1 << 30
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: "evaluate.champion",
		Message: fmt.Sprintf("%d blocks of %s, %d resamples and %d slices take about %d GiB to measure; the limit is %d",
			blocks, champion.Block, champion.Resamples, parts, (need+gibi-1)/gibi, maxMeasure/gibi),
		Hint: "set a longer evaluate.champion.block, fewer evaluate.champion.resamples, or fewer slices",
	}
}

// servingFigures are the candidate's: what its files weigh, and the latency that
// its prediction measured.
func (s *Scoring) servingFigures(ctx context.Context, request models.MeasureRequest) (*models.ServingFigures, error) {
	manifest := request.Input.Candidate.Manifest
	tree, err := artifact.ReadTree(ctx, s.Store, manifest)
	if err != nil {
		return nil, unavailable(manifest.URI, "the list of the candidate's files can't be read", err)
	}
	figures := &models.ServingFigures{Runtime: runtimeOf(request.Input.Spec.Predict), Latency: request.Candidate.Latency}
	for _, file := range tree.Files {
		figures.SizeBytes += file.Size
	}
	return figures, nil
}

// writePredictions keeps the evidence: key, label and both predictions.
func (s *Scoring) writePredictions(ctx context.Context, rows heldOut) (models.Ref, error) {
	keys := *rows.table.Column(rows.input.Data.Key)
	keys.Name = "key"
	table := dataset.Table{Series: []dataset.Series{keys, {Name: "label", Type: dataset.TypeFloat64, Floats: rows.labels}}}
	add := func(model string, a answers) {
		for column := range a.width {
			name := model
			if a.width > 1 {
				name = fmt.Sprintf("%s_p%d", model, column)
			}
			table.Series = append(table.Series, answerColumn(name, a, column))
		}
	}
	add("candidate", rows.candidate)
	if rows.champion != nil {
		add("champion", *rows.champion)
	}
	return writeTable(ctx, s.Store, table, nil)
}

func newest[T any](values []T, limit int) []T { return values[max(0, len(values)-limit):] }
