package monitors

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Training says what a version has seen.
type Training struct {
	AsOf            int // the day before which everything is known
	Window, Holdout int // days
}

// prediction is a model's answer for a row that it was not trained on. The gate
// calls the two columns otherwise than a training program does.
type (
	heldOut struct {
		Key       string  `parquet:"key"`
		Candidate float64 `parquet:"candidate"`
	}
	outOfFold struct {
		ID         string  `parquet:"id"`
		Prediction float64 `parquet:"prediction"`
	}
)

// champions are what the steward says of the story's versions.
func (s *Slot) champions(ctx context.Context, story Story) (watches []models.WatchRequest, err error) {
	for i := range story.Trainings {
		watch, err := s.champion(ctx, story, i+1)
		if err != nil {
			return nil, err
		}
		watches = append(watches, watch)
	}
	return watches, nil
}

// champion is what the steward says of a version: with a snapshot that the
// engine has prepared, and predictions of its rows.
func (s *Slot) champion(ctx context.Context, story Story, number int) (watch models.WatchRequest, err error) {
	w, training := story.World, story.Trainings[number-1]
	version := strconv.Itoa(number)
	prefix := "source/" + w.Endpoint + "/" + version + "/"
	phase := w.phase(training.AsOf)
	first := training.AsOf - training.Window
	var test []heldOut
	var train []outOfFold
	for day := first; day < training.AsOf; day++ {
		rows := w.Rows(day)
		if err := putRows(ctx, s.Store, fmt.Sprintf("%s%03d.parquet", prefix, day-first), rows); err != nil {
			return watch, err
		}
		for _, row := range rows {
			if day >= training.AsOf-training.Holdout {
				test = append(test, heldOut{row.ID, phase.Answer(row.X)})
			} else {
				train = append(train, outOfFold{row.ID, phase.Answer(row.X)})
			}
		}
	}
	watch = models.WatchRequest{
		RequestID: "watch/" + version, Model: w.Endpoint, Version: version, Spec: story.Spec, Prediction: "probability",
		Data: models.DataSpec{
			Source: "s3://" + s.Store.Bucket() + "/" + prefix, Time: "at", Key: "id", Label: "y", Task: models.TaskBinary, Features: []string{"x", "kind"},
			AsOf: w.Moment(training.AsOf), Window: models.Duration(training.Window) * models.Day, Holdout: models.Duration(training.Holdout) * models.Day,
		},
		Promised: models.Estimate{Value: 0.42, Low: 0.38, High: 0.46},
	}
	if watch.Snapshot, err = s.snapshot(ctx, watch); err != nil {
		return watch, err
	}
	if watch.HeldOut, err = putObject(ctx, s.Store, test); err != nil {
		return watch, err
	}
	folds, err := putObject(ctx, s.Store, train)
	watch.OutOfFold = &folds
	return watch, err
}

// snapshot has the engine prepare the rows, as a lifecycle does.
func (s *Slot) snapshot(ctx context.Context, watch models.WatchRequest) (models.Ref, error) {
	run, err := s.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: "prepare/" + watch.Version, TaskQueue: models.TaskQueue,
	}, models.PrepareDataWorkflow, models.PrepareDataInput{Model: watch.Model, Data: watch.Data})
	if err != nil {
		return models.Ref{}, err
	}
	var snapshot models.Snapshot
	err = run.Get(ctx, &snapshot)
	return snapshot.Manifest, err
}

func putRows[T any](ctx context.Context, store artifact.Store, key string, rows []T) error {
	var file bytes.Buffer
	if err := parquet.Write(&file, rows); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	_, err := artifact.PutBytes(ctx, store, key, file.Bytes(), artifact.PutOptions{})
	return err
}

func putObject[T any](ctx context.Context, store artifact.Store, rows []T) (models.Ref, error) {
	var file bytes.Buffer
	if err := parquet.Write(&file, rows); err != nil {
		return models.Ref{}, err
	}
	return artifact.PutObjectBytes(ctx, store, file.Bytes())
}
