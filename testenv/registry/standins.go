package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/models"
)

// The stand-ins take the places of the stages that are slow and not under test.
// What they write in MLflow they write as the stages do: the run with the
// training's key, its figures, its end.

func asQuick(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 1.7, MaximumInterval: 30 * time.Second},
	})
}

func digestOf(parts ...any) string {
	text, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("digest of %T: %v", parts, err)) // a programming error
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func prepareData(_ workflow.Context, input models.PrepareDataInput) (models.Snapshot, error) {
	from, to := input.Data.AsOf.Add(-input.Data.Window.Std()), input.Data.AsOf
	middle := to.Add(-input.Data.Holdout.Std())
	digest := digestOf(input.Model, input.Data)
	return models.Snapshot{
		Manifest: models.Ref{URI: "s3://mainspring/snapshots/" + digest + ".json", SHA256: digest, Size: 100},
		Train:    models.Span{Rows: 900, From: from, To: middle}, Test: models.Span{Rows: 100, From: middle, To: to},
		Columns: []models.Column{{Name: "x", Type: "float64", Role: "feature"}}, Files: 2, Bytes: 1000,
		Checks: []models.CheckResult{{Check: "rows", Passed: true, Figure: 900, Limit: 1, Message: "900 rows"}},
	}, nil
}

func train(ctx workflow.Context, input models.TrainInput) (models.TrainResult, error) {
	info := workflow.GetInfo(ctx)
	began := workflow.Now(ctx)
	ctx = asQuick(ctx)
	var run models.Run
	if err := workflow.SetQueryHandler(ctx, models.StatusQuery, func() (models.TrainStatus, error) {
		return models.TrainStatus{State: models.TrainPreparing, RunID: run.RunID, Attempt: 1}, nil
	}); err != nil {
		return models.TrainResult{}, err
	}
	if err := workflow.ExecuteActivity(ctx, models.Tracking.CreateRun, models.CreateRunRequest{
		Key:        digestOf(info.Namespace, info.WorkflowExecution.ID, info.FirstRunID, "run"),
		Experiment: input.Model, Name: input.Model, StartTime: workflow.Now(ctx),
		Params: map[string]string{"depth": "3"}, Tags: input.Tags, Snapshot: input.Snapshot,
	}).Get(ctx, &run); err != nil {
		return models.TrainResult{}, err
	}
	trained, err := model(ctx, input, run)
	if err != nil {
		return models.TrainResult{}, err
	}
	if err := workflow.ExecuteActivity(ctx, models.Tracking.AnnotateRun, models.AnnotateRunRequest{
		RunID: run.RunID, At: workflow.Now(ctx), Metrics: map[string]float64{"gpu_seconds": 1},
	}).Get(ctx, nil); err != nil {
		return models.TrainResult{}, err
	}
	return models.TrainResult{
		RunID: run.RunID, RunURL: run.URL, Artifact: trained, Metrics: map[string]float64{"loss": 0.5}, Steps: 1, Devices: []string{"GPU-of-nobody"},
		Hosts:    []models.HostFacts{{Node: "nobody", OS: "linux", Devices: []models.DeviceFact{{UUID: "GPU-of-nobody", Model: "virtual"}}}},
		Attempts: []models.AttemptSummary{{Attempt: 1, Token: 1, Nodes: []string{"nobody"}, Began: began, Ended: workflow.Now(ctx), Reason: models.ExitFinished}},
	}, nil
}

// model is what the training's program left, or one that is as good.
func model(ctx workflow.Context, input models.TrainInput, run models.Run) (trained models.ModelArtifact, err error) {
	if !runsProgram(input.Train) {
		err = workflow.ExecuteActivity(ctx, storeModelActivity, run).Get(ctx, &trained)
		return trained, err
	}
	result, err := runProgram(ctx, input, run)
	if err != nil {
		return trained, err
	}
	return *result.Artifact, nil
}

// evaluate has the real gate judge figures that a good candidate would have.
func evaluate(ctx workflow.Context, input models.EvaluateInput) (models.EvaluateResult, error) {
	good := models.Estimate{Value: 0.3, Low: 0.28, High: 0.32}
	evidence := models.Evaluation{
		Rows: 100, Blocks: 14, Candidate: map[models.Metric]models.Estimate{models.LogLoss: good}, Checks: input.Snapshot.Checks,
		Reference: []float64{0.3, 0.31, 0.29},
	}
	if input.Champion != nil {
		gain := models.Estimate{Value: 0.02, Low: 0.01, High: 0.03}
		evidence.Champion = map[models.Metric]models.Estimate{models.LogLoss: {Value: 0.32, Low: 0.3, High: 0.34}}
		evidence.Gain, evidence.Gains = &gain, map[models.Metric]models.Estimate{models.LogLoss: gain}
	}
	result := models.EvaluateResult{Evaluation: evidence, Gate: gate.Decide(input.Spec, input.Data.Task, evidence)}
	ctx = asQuick(ctx)
	return result, workflow.ExecuteActivity(ctx, models.Tracking.FinishRun, models.FinishRunRequest{
		RunID: input.RunID, Status: "FINISHED", EndTime: workflow.Now(ctx), Metrics: map[string]float64{"test_log_loss": good.Value},
		Tags: map[string]string{"mainspring.gate": string(result.Gate.Verdict)},
	}).Get(ctx, nil)
}

// serve is ready at once and answers until it is told to stop.
func serve(ctx workflow.Context, input models.ServeInput) error {
	if err := workflow.SetQueryHandler(ctx, models.StatusQuery, func() (models.ServeStatus, error) {
		return models.ServeStatus{Version: input.Version}, nil
	}); err != nil {
		return err
	}
	tell := func(ctx workflow.Context, whom string) {
		ready := models.ServeReady{Version: input.Version, Replicas: []models.Replica{{Node: "nobody", URL: "http://127.0.0.1:1"}}}
		// Whoever asked may be gone by now.
		_ = workflow.SignalExternalWorkflow(ctx, whom, "", models.SignalServeReady, ready).Get(ctx, nil)
	}
	workflow.Go(ctx, func(ctx workflow.Context) { // as the real one does, see workflows/serve_tell.go
		for {
			var asker models.TellServe
			workflow.GetSignalChannel(ctx, models.SignalTell).Receive(ctx, &asker)
			tell(ctx, asker.Notify)
		}
	})
	if input.Notify != "" {
		tell(ctx, input.Notify)
	}
	workflow.GetSignalChannel(ctx, models.SignalStop).Receive(ctx, nil)
	return nil
}

const storeModelActivity = "StoreTinyModel"

type modelStore struct{ store artifact.Store }

// storeModel leaves a model directory where the agent of rank 0 would.
func (m *modelStore) storeModel(ctx context.Context, run models.Run) (models.ModelArtifact, error) {
	dir, err := os.MkdirTemp("", "mainspring-tiny-model-")
	if err != nil {
		return models.ModelArtifact{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the directory for such files
	for name, text := range map[string]string{
		"MLmodel": "flavors:\n  onnx:\n    data: model.onnx\nrun_id: " + run.RunID + "\n", "model.onnx": "weights of " + run.RunID,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return models.ModelArtifact{}, err
		}
	}
	source := strings.TrimSuffix(run.ArtifactURI, "/") + "/model"
	bucket, key, err := artifact.ParseURI(source)
	if err != nil {
		return models.ModelArtifact{}, err
	}
	manifest, err := artifact.PutTree(ctx, m.store.InBucket(bucket), dir, key)
	return models.ModelArtifact{
		Manifest: manifest, Source: source,
		Inputs:  []models.ModelPort{{Name: "x", Datatype: "FP64", Shape: []int64{-1}}},
		Outputs: []models.ModelPort{{Name: "probability", Datatype: "FP64", Shape: []int64{-1}}},
	}, err
}
