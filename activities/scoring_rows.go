package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// heldOut is the test side of a snapshot with the answers to it.
type heldOut struct {
	input     models.EvaluateInput
	table     dataset.Table // key, time, label and the columns of slices
	times     []int64       // microseconds
	labels    []float64
	candidate answers
	champion  *answers // nil: there is none
}

// readHeldOut reads the columns that the evidence needs.
func (s *Scoring) readHeldOut(ctx context.Context, input models.EvaluateInput) (heldOut, error) {
	rows := heldOut{input: input}
	data := input.Data
	names := []string{data.Key, data.Time, data.Label}
	var kept []string
	for _, c := range dataset.Kept(dataset.Declared(data)) {
		kept = append(kept, c.Name)
	}
	for _, slice := range input.Spec.Slices {
		if !slices.Contains(kept, slice.Column) {
			return rows, &models.Error{
				Kind: models.KindInvalidSpec, Subject: "evaluate.slices",
				Message: fmt.Sprintf("there is no column %q; the snapshot has %s", slice.Column, strings.Join(kept, ", ")),
				Hint:    "slice by a feature, the time or the label",
			}
		}
		if !slices.Contains(names, slice.Column) {
			names = append(names, slice.Column)
		}
	}
	var err error
	if rows.table, err = readSide(ctx, s.Store, input.Snapshot.Manifest, side{dataset.TestDir, names}); err != nil {
		return rows, err
	}
	if rows.table.Rows() == 0 {
		return rows, noHeldOutRows(input.Snapshot.Manifest)
	}
	rows.times = rows.table.Column(data.Time).Ints
	return rows, nil
}

// labelNumbers turns a column of labels into what is measured against: 0 or 1,
// the number, or the index among as many classes as the model answers with.
func labelNumbers(data models.DataSpec, column *dataset.Series, classes int) ([]float64, error) {
	labels, out := dataset.NewLabels(data), make([]float64, column.Len())
	for i := range out {
		v, known := labels.Number(column, i)
		if !known || taskOf(data) == models.TaskMulticlass && v >= float64(classes) {
			return nil, &models.Error{
				Kind: models.KindInvalidSpec, Subject: data.Label,
				Message: fmt.Sprintf("the label %q of row %d is not %s", column.Text(i), i, wantedLabel(data, classes)),
				Hint:    "correct data.task and data.classes, or the data",
			}
		}
		out[i] = v
	}
	return out, nil
}

func wantedLabel(data models.DataSpec, classes int) string {
	switch taskOf(data) {
	case models.TaskMulticlass:
		if len(data.Classes) > 0 {
			return "one of data.classes"
		}
		return fmt.Sprintf("an integer from 0 to %d: the model answers with %d classes, and data.classes names none", classes-1, classes)
	case models.TaskRegression:
		return "a finite number"
	case models.TaskBinary:
	}
	return "0 or 1"
}

// reference is the candidate's out-of-sample loss by block, as the monitor will
// see it: out-of-fold blocks, then held-out ones, the newest of them. It is in
// the task's loss whatever the gate compares.
func (s *Scoring) reference(ctx context.Context, rows heldOut) ([]float64, error) {
	task := taskOf(rows.input.Data)
	times, losses := slices.Clone(rows.times), make([]float64, len(rows.times))
	for i := range losses {
		losses[i] = metric.Loss(task, rows.candidate.row(i), rows.labels[i])
	}
	if rows.input.OutOfFold != nil {
		train, err := s.outOfFold(ctx, rows)
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

// outOfFold are the losses of the program's out-of-fold predictions.
func (s *Scoring) outOfFold(ctx context.Context, rows heldOut) (trainLosses, error) {
	var out trainLosses
	data := rows.input.Data
	folds, err := readFolds(ctx, s.Store, foldRequest{
		data: data, manifest: rows.input.Snapshot.Manifest, file: *rows.input.OutOfFold, width: rows.candidate.width,
		columns: []string{data.Key, data.Time, data.Label},
	})
	if err != nil {
		return out, err
	}
	labels, err := labelNumbers(data, folds.table.Column(data.Label), rows.candidate.width)
	if err != nil {
		return out, err
	}
	for row := range labels {
		out.losses = append(out.losses, metric.Loss(taskOf(data), folds.answers.row(row), labels[row]))
	}
	out.times = folds.table.Column(data.Time).Ints
	return out, nil
}

// numberBlocks numbers the blocks that have rows from 0, oldest first, and
// returns each block's start and each row's block.
func numberBlocks(times []int64, length time.Duration) (starts []time.Time, blocks []int32) {
	number := map[int64]int32{}
	for _, at := range times {
		number[dataset.BlockStart(at, length).UnixMicro()] = 0
	}
	for start := range number {
		starts = append(starts, time.UnixMicro(start).UTC())
	}
	slices.SortFunc(starts, time.Time.Compare)
	for i, start := range starts {
		number[start.UnixMicro()] = int32(i)
	}
	blocks = make([]int32, len(times))
	for i, at := range times {
		blocks[i] = number[dataset.BlockStart(at, length).UnixMicro()]
	}
	return starts, blocks
}
