package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/models"
)

// Scoring predicts held-out rows with the serving runtime and scores the
// answers.
type Scoring struct {
	Store  artifact.Store
	Models ModelLoader
}

var _ models.Scoring = (*Scoring)(nil)

// defaultPrediction is the default of EvaluateSpec.Prediction.
const defaultPrediction = "probability"

// The defaults of ChampionGate.
const (
	defaultLevel     = 0.1
	defaultResamples = 2000
)

// Bounds of what enters a workflow's history.
const (
	maxDays      = 200 // newest blocks in Evaluation.Days
	maxReference = 90  // newest blocks in Evaluation.Reference
	// minReferenceRows is the least rows of a block whose mean loss is worth
	// comparing with live blocks.
	minReferenceRows = 30
)

// heldOut is the test side of a snapshot with the answers to it.
type heldOut struct {
	spec      models.DataSpec
	table     dataset.Table
	times     []int64 // microseconds
	labels    []float64
	candidate []float64
	champion  []float64 // nil: there is none
}

// ScoreModel implements models.Scoring.
func (s *Scoring) ScoreModel(ctx context.Context, input models.EvaluateInput) (models.Evaluation, error) {
	rows, err := s.readHeldOut(ctx, input)
	if err != nil {
		return models.Evaluation{}, err
	}
	rows.candidate, err = s.predict(ctx, prediction{"candidate", input.Candidate, input}, rows.table)
	if err != nil {
		return models.Evaluation{}, err
	}
	if input.Champion != nil {
		name := "champion (version " + input.Champion.Version + ")"
		rows.champion, err = s.predict(ctx, prediction{name, input.Champion.Artifact, input}, rows.table)
		if err != nil {
			return models.Evaluation{}, err
		}
	}
	evaluation := measure(input, rows)
	if evaluation.Reference, err = s.reference(ctx, input, rows); err != nil {
		return models.Evaluation{}, err
	}
	if evaluation.Predictions, err = s.writePredictions(ctx, rows); err != nil {
		return models.Evaluation{}, err
	}
	return evaluation, nil
}

func (s *Scoring) readHeldOut(ctx context.Context, input models.EvaluateInput) (heldOut, error) {
	rows := heldOut{spec: input.Data}
	var names []string
	for _, c := range dataset.Kept(dataset.Declared(input.Data)) {
		names = append(names, c.Name)
	}
	var err error
	if rows.table, err = readSide(ctx, s.Store, input.Snapshot.Manifest, side{dataset.TestDir, names}); err != nil {
		return rows, err
	}
	if rows.table.Rows() == 0 {
		return rows, &models.Error{
			Kind: models.KindNoRows, Subject: input.Snapshot.Manifest.URI, Message: "the snapshot has no held-out rows",
			Hint: "prepare the data again with a longer data.holdout",
		}
	}
	rows.times = rows.table.Column(input.Data.Time).Ints
	rows.labels = numbers(rows.table.Column(input.Data.Label))
	return rows, nil
}

func numbers(s *dataset.Series) []float64 {
	out := make([]float64, s.Len())
	for i := range out {
		out[i], _ = s.Number(i) // labels have no nulls: rows without one are left out
	}
	return out
}

// reference is the candidate's out-of-sample log-loss by day, as the monitor
// will see it: out-of-fold days, then held-out days, the newest of them. It is
// log-loss by day whatever the gate compares.
func (s *Scoring) reference(ctx context.Context, input models.EvaluateInput, rows heldOut) ([]float64, error) {
	times, losses := slices.Clone(rows.times), make([]float64, len(rows.times))
	for i, p := range rows.candidate {
		losses[i] = gate.LogLoss(p, rows.labels[i])
	}
	if input.OutOfFold != nil {
		train, err := s.outOfFold(ctx, input)
		if err != nil {
			return nil, err
		}
		times = append(train.times, times...)
		losses = append(train.losses, losses...)
	}
	reference := []float64{}
	for _, day := range dataset.BlockMeans(times, losses, models.Day.Std()) {
		if day.Rows >= minReferenceRows {
			reference = append(reference, day.Mean)
		}
	}
	return newest(reference, maxReference), nil
}

// trainLosses are the losses of training rows that have an out-of-fold
// prediction.
type trainLosses struct {
	times  []int64
	losses []float64
}

// outOfFold joins the program's out-of-fold predictions with the training
// rows. Rows without one are no evidence; a file that fits none is an error.
func (s *Scoring) outOfFold(ctx context.Context, input models.EvaluateInput) (trainLosses, error) {
	var out trainLosses
	spec, ref := input.Data, *input.OutOfFold
	folds, err := readVerified(ctx, s.Store, ref, []string{spec.Key, predictionColumn})
	if errors.Is(err, parquetio.ErrNoColumn) || errors.Is(err, parquetio.ErrNotParquet) {
		return out, rejectFolds(ref, fmt.Sprintf("the file must be Parquet with the columns %q and %q", spec.Key, predictionColumn), err)
	}
	if err != nil {
		return out, err
	}
	train, err := readSide(ctx, s.Store, input.Snapshot.Manifest, side{dataset.TrainDir, []string{spec.Key, spec.Time, spec.Label}})
	if err != nil {
		return out, err
	}
	rowOf := make(map[string]int, train.Rows())
	for row := range train.Rows() {
		rowOf[train.Column(spec.Key).Text(row)] = row
	}
	labels := numbers(train.Column(spec.Label))
	for i := range folds.Rows() {
		key := folds.Column(spec.Key).Text(i)
		row, known := rowOf[key]
		if !known {
			continue
		}
		p, ok := folds.Column(predictionColumn).Number(i)
		if !ok || p < 0 || p > 1 {
			return out, rejectFolds(ref, fmt.Sprintf("the prediction for %q is no probability", key), nil)
		}
		out.times = append(out.times, train.Column(spec.Time).Ints[row])
		out.losses = append(out.losses, gate.LogLoss(p, labels[row]))
	}
	if len(out.times) == 0 {
		return out, rejectFolds(ref, fmt.Sprintf("none of the %d keys is a training row's", folds.Rows()), nil)
	}
	return out, nil
}

// predictionColumn is the name of the probability in files of predictions.
const predictionColumn = "prediction"

func rejectFolds(ref models.Ref, message string, cause error) error {
	return &models.Error{
		Kind: models.KindModelRejected, Subject: ref.URI, Message: "out-of-fold predictions: " + message, Cause: cause,
		Hint: "write Parquet with the key and the predicted probability of each training row, or write no file",
	}
}

// writePredictions keeps the evidence: key, label and both predictions.
func (s *Scoring) writePredictions(ctx context.Context, rows heldOut) (models.Ref, error) {
	keys := *rows.table.Column(rows.spec.Key)
	keys.Name = "key"
	table := dataset.Table{Series: []dataset.Series{
		keys,
		{Name: "label", Type: dataset.TypeFloat64, Floats: rows.labels},
		{Name: "candidate", Type: dataset.TypeFloat64, Floats: rows.candidate},
	}}
	if rows.champion != nil {
		table.Series = append(table.Series, dataset.Series{Name: "champion", Type: dataset.TypeFloat64, Floats: rows.champion})
	}
	return writeTable(ctx, s.Store, table, nil)
}

func newest[T any](values []T, limit int) []T { return values[max(0, len(values)-limit):] }

// PredictRows implements models.Scoring.
func (s *Scoring) PredictRows(context.Context, models.PredictRowsRequest) (models.Predictions, error) {
	return models.Predictions{}, errors.New("no separate predictions yet")
}

// MeasurePredictions implements models.Scoring.
func (s *Scoring) MeasurePredictions(context.Context, models.MeasureRequest) (models.Evaluation, error) {
	return models.Evaluation{}, errors.New("no separate measurement yet")
}
