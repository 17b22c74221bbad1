package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// Tracking records runs in MLflow.
type Tracking struct {
	MLflow *mlflow.Client
	// Store has the profiles of snapshots; nil: datasets are logged without figures.
	Store artifact.Store
	// WorkflowPage is where a person sees a workflow; nil or empty: nowhere.
	WorkflowPage func(workflowID, runID string) string
}

var _ models.Tracking = (*Tracking)(nil)

// CreateRun makes the lifecycle's one run, with its parameters and its data.
func (t *Tracking) CreateRun(ctx context.Context, request models.CreateRunRequest) (models.Run, error) {
	experiment, err := t.MLflow.EnsureExperiment(ctx, request.Experiment, map[string]string{experimentKind: "custom_model_development"})
	if err != nil {
		return models.Run{}, trackingFailure(err)
	}
	run, err := t.MLflow.EnsureRun(ctx, mlflow.EnsureRunRequest{
		ExperimentID: experiment.ID, Key: request.Key, Name: request.Name, Start: request.StartTime, Tags: t.pageTags(request),
	})
	if err != nil {
		return models.Run{}, trackingFailure(err)
	}
	if err := t.MLflow.LogBatch(ctx, mlflow.Batch{RunID: run.ID, Params: request.Params}); err != nil {
		return models.Run{}, trackingFailure(err)
	}
	datasets, err := t.datasets(ctx, request.Experiment, request.Snapshot)
	if err != nil {
		return models.Run{}, err
	}
	if err := t.MLflow.LogDatasets(ctx, run.ID, datasets...); err != nil {
		return models.Run{}, trackingFailure(err)
	}
	return models.Run{
		RunID: run.ID, ExperimentID: experiment.ID, ArtifactURI: run.ArtifactURI,
		URL: t.MLflow.RunURL(experiment.ID, run.ID), StartTime: request.StartTime,
	}, nil
}

// The tags that MLflow's own pages read. Without the first an experiment opens
// in the pages for language models' traces.
const (
	experimentKind = "mlflow.experimentKind"
	noteTag        = "mlflow.note.content"
	userTag        = "mlflow.user"
	sourceTag      = "mlflow.source.name"
	sourceTypeTag  = "mlflow.source.type"
	commitTag      = "mlflow.source.git.commit"
)

// pageTags are the request's tags and what MLflow's run page shows of them:
// who made the run, from which lifecycle, and what it learns from.
func (t *Tracking) pageTags(request models.CreateRunRequest) map[string]string {
	tags := nonEmpty(request.Tags)
	snapshot := request.Snapshot
	lifecycle, page, story := tags["mainspring.lifecycle"], "", ""
	if t.WorkflowPage != nil && lifecycle != "" {
		page = t.WorkflowPage(lifecycle, "")
		story = " " + madeBy(lifecycle, page)
	}
	maps.Copy(tags, nonEmpty(map[string]string{
		userTag: "mainspring", sourceTag: lifecycle, sourceTypeTag: "JOB",
		commitTag: tags["mainspring.code_commit"], workflowURLTag: page,
		noteTag: learnedFrom(snapshot.Train, snapshot.Test) + aboutSnapshot(snapshot) + story,
	}))
	return tags
}

// learnedFrom says which rows a run is about. Where a hash splits, both sides
// cover the whole window.
func learnedFrom(train, test models.Span) string {
	from, to := train.From.Format(time.DateOnly), train.To.Format(time.DateOnly)
	if train.From.Equal(test.From) && train.To.Equal(test.To) {
		return fmt.Sprintf("Trained on **%d rows**; judged on **%d rows** that it has not seen; both from %s to %s.", train.Rows, test.Rows, from, to)
	}
	return fmt.Sprintf("Trained on **%d rows** from %s to %s; judged on **%d rows** to %s that it has not seen.",
		train.Rows, from, to, test.Rows, test.To.Format(time.DateOnly))
}

// aboutSnapshot says what a reader of the run should know of its data.
func aboutSnapshot(snapshot models.Snapshot) (text string) {
	if origin := snapshot.Origin(); origin != "" {
		text = " The snapshot is " + origin + "."
	}
	if warnings := snapshot.Warnings(); len(warnings) > 0 {
		text += " Data checks warned:\n"
		for _, w := range warnings {
			text += fmt.Sprintf("\n- `%s`: %s", w.Check, w.Message)
		}
		text += "\n\n"
	}
	return text
}

// AnnotateRun adds figures and tags.
func (t *Tracking) AnnotateRun(ctx context.Context, request models.AnnotateRunRequest) error {
	batch := mlflow.Batch{RunID: request.RunID, Tags: nonEmpty(request.Tags)}
	for _, name := range slices.Sorted(maps.Keys(request.Metrics)) {
		// A column's name can be part of a metric's: no name is a reason to fail.
		batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: metricKey(name), Value: request.Metrics[name], Time: request.At})
	}
	return trackingFailure(t.MLflow.LogBatch(ctx, batch))
}

// FinishRun sets the final figures first and the status last.
func (t *Tracking) FinishRun(ctx context.Context, request models.FinishRunRequest) error {
	if err := t.AnnotateRun(ctx, models.AnnotateRunRequest{
		RunID: request.RunID, At: request.EndTime, Metrics: request.Metrics, Tags: request.Tags,
	}); err != nil {
		return err
	}
	err := t.MLflow.UpdateRun(ctx, mlflow.UpdateRunRequest{RunID: request.RunID, Status: mlflow.RunStatus(request.Status), End: request.EndTime})
	return trackingFailure(err)
}

func nonEmpty(tags map[string]string) map[string]string {
	kept := make(map[string]string, len(tags))
	for name, value := range tags {
		if value != "" {
			kept[name] = value
		}
	}
	return kept
}

// trackingFailure says whether waiting may help: an MLflow that does not answer
// is waited for, one that refuses is not. Access that is denied is waited for as
// well: a token that has expired is no reason to throw a trained model away.
func trackingFailure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, mlflow.ErrHeld): // first: withdrawing may have failed as well
		return &models.Error{Kind: models.KindNotOwner, Message: err.Error()}
	case errors.Is(err, mlflow.ErrUnavailable), errors.Is(err, mlflow.ErrDenied):
		return &models.Error{Kind: models.KindUnavailable, Message: err.Error()}
	case errors.Is(err, mlflow.ErrNotFound):
		return &models.Error{Kind: models.KindNotFound, Message: err.Error()}
	case errors.Is(err, mlflow.ErrInvalid):
		return &models.Error{Kind: models.KindInvalidSpec, Message: strings.TrimSpace(err.Error())}
	default:
		return err
	}
}
