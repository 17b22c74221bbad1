package workflows

import (
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// Train runs a gang of ranks on leased devices until one attempt ends well:
// create the run, prove the environment, then lease, resume, run the gang. A
// lost rank, host or device costs an attempt that starts from the last
// checkpoint. A preemption, a move to a larger lease and a used-up budget end
// the gang at a checkpoint and cost nothing but time. However it ends, it
// accounts for the GPU-seconds it used.
func Train(ctx workflow.Context, input models.TrainInput) (models.TrainResult, error) {
	t := newTraining(ctx, input)
	if err := answer(ctx, func() models.TrainStatus { return t.status }); err != nil {
		return models.TrainResult{}, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StageTrain)))
	told := tellLineage(ctx, input.Model, "train", models.LineageEvent{Inputs: []models.LineageDataset{snapshotTold(input.Snapshot, trainSide)}})
	t.hearTopUps(ctx)
	result, err := t.execute(ctx)
	if err = t.close(ctx, err); err != nil {
		told.end(ctx, err)
		return result, err
	}
	told.end(ctx, nil, modelTold(result.Artifact))
	return result, nil
}

// training is all that a Train workflow knows.
type training struct {
	input  models.TrainInput
	runKey string
	desk   *leaseDesk
	run    models.Run
	status models.TrainStatus

	ledger   ledger
	budget   budget
	restarts int      // that count against max_restarts
	avoid    []string // nodes that were lost under an attempt
	exclude  []string // devices that failed under an attempt
	devices  []string // of the last lease
	prepared string   // what was prepared where, for people
	// asked is the request that is waited for, and askedFor what it asks for;
	// empty: none is.
	asked, askedFor string
}

func newTraining(ctx workflow.Context, input models.TrainInput) *training {
	input.Train = input.Train.WithDefaults()
	t := &training{
		input:  input,
		runKey: key(ctx, "ranks")[:32],
		desk:   newLeaseDesk(ctx),
		budget: newBudget(input.Train.Budget),
		status: models.TrainStatus{State: models.TrainPreparing, Attempt: 1, Budget: input.Train.Budget.GPUSeconds},
	}
	t.desk.changed = t.reasonChanged
	return t
}

func (t *training) execute(ctx workflow.Context) (models.TrainResult, error) {
	if err := t.createRun(ctx); err != nil {
		return models.TrainResult{}, err
	}
	if err := t.prepare(ctx); err != nil {
		return models.TrainResult{}, err
	}
	for {
		if err := t.awaitBudget(ctx); err != nil {
			return models.TrainResult{}, err
		}
		result, ended, err := t.attempt(ctx)
		switch {
		case err != nil:
			return models.TrainResult{}, err
		case ended.reason == models.ExitFinished:
			return result, nil
		case ended.reason == models.ExitCancelled:
			return models.TrainResult{}, ended.err
		case ended.err != nil && !t.worthRestarting(ended):
			return models.TrainResult{}, t.explain(ended)
		}
		t.goOn(ctx, ended)
	}
}

func (t *training) worthRestarting(o outcome) bool {
	return o.counted && t.restarts < *t.input.Train.MaxRestarts
}

// goOn begins the next attempt.
func (t *training) goOn(ctx workflow.Context, o outcome) {
	if o.err != nil {
		t.restarts++
		t.status.Failures = append(t.status.Failures, fmt.Sprintf("attempt %d: %s", t.status.Attempt, failed(o)))
		t.status.Failures = t.status.Failures[max(len(t.status.Failures)-keptAttempts, 0):]
	}
	t.status.Attempt++
	t.show(ctx)
}

func (t *training) createRun(ctx workflow.Context) error {
	params := make(map[string]string, len(t.input.Train.Params))
	for _, name := range workflow.DeterministicKeys(t.input.Train.Params) {
		value, err := json.Marshal(t.input.Train.Params[name])
		if err != nil {
			return failure(&models.Error{Kind: models.KindInvalidSpec, Subject: "train.params." + name, Message: "not representable as JSON", Cause: err})
		}
		params[name] = string(value)
	}
	run, err := call(quick(ctx, "Create the MLflow run"), models.Tracking.CreateRun, models.CreateRunRequest{
		Key: key(ctx, "run"), Experiment: t.input.Model, Name: t.runName(), StartTime: workflow.Now(ctx),
		Params: params, Tags: t.input.Tags, Snapshot: t.input.Snapshot,
	})
	t.run, t.status.RunID = run, run.RunID
	return err
}

func (t *training) runName() string {
	return fmt.Sprintf("%s as of %s", t.input.Model, t.input.Data.AsOf.Format(time.DateOnly))
}

// close records how the training ended, and what it used, in MLflow. A run that
// ended well stays open for the evaluation's figures. It returns the
// training's own error.
func (t *training) close(ctx workflow.Context, cause error) error {
	t.status.Waiting = ""
	metrics, tags := t.accountForMLflow()
	if cause == nil {
		t.status.State = models.TrainFinished
		t.show(ctx)
		if err := do(quick(ctx, "Record the account in MLflow"), models.Tracking.AnnotateRun, models.AnnotateRunRequest{
			RunID: t.run.RunID, At: workflow.Now(ctx), Metrics: metrics, Tags: tags,
		}); err != nil {
			// Refused or cancelled: the model is there, and the result has the account.
			workflow.GetLogger(ctx).Error("account not recorded", "run", t.run.RunID, "error", err)
		}
		return nil
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	status := "FAILED"
	t.status.State = models.TrainFailed
	if temporal.IsCanceledError(cause) {
		status, t.status.State = "KILLED", models.TrainCancelled
	}
	t.settle()
	t.show(ctx)
	cause = accounted(cause, t.status.Account)
	if t.run.RunID == "" {
		return cause // there is nothing to close
	}
	tags["mainspring.failure"] = clip(reason(cause), tagLimit)
	if err := do(quick(ctx, "Close the MLflow run"), models.Tracking.FinishRun, models.FinishRunRequest{
		RunID: t.run.RunID, Status: status, EndTime: workflow.Now(ctx), Metrics: metrics, Tags: tags,
	}); err != nil {
		workflow.GetLogger(ctx).Error("run not closed", "run", t.run.RunID, "error", err)
	}
	return cause
}
