package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// Train runs a gang of ranks on leased devices until one attempt ends well:
// create the run, then lease, resume, run the gang; a lost rank or host costs
// an attempt that starts from the last checkpoint.
func Train(ctx workflow.Context, input models.TrainInput) (models.TrainResult, error) {
	t := newTraining(ctx, input)
	if err := answer(ctx, func() models.TrainStatus { return t.status }); err != nil {
		return models.TrainResult{}, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StageTrain)))
	return t.execute(ctx)
}

type training struct {
	input  models.TrainInput
	runKey string
	desk   *leaseDesk
	run    models.Run
	status models.TrainStatus
	avoid  []string // nodes that were lost under an attempt
}

func newTraining(ctx workflow.Context, input models.TrainInput) *training {
	return &training{
		input:  input,
		runKey: key(ctx, "ranks")[:32],
		desk:   newLeaseDesk(ctx),
		status: models.TrainStatus{State: models.TrainLeasing, Attempt: 1},
	}
}

func (t *training) execute(ctx workflow.Context) (models.TrainResult, error) {
	if err := t.createRun(ctx); err != nil {
		return models.TrainResult{}, err
	}
	for {
		result, err := t.attempt(ctx)
		if err == nil {
			t.status.State = models.TrainFinished
			t.show(ctx)
			return result, nil
		}
		if ctx.Err() != nil || !t.worthRestarting(err) {
			t.closeRun(ctx, err)
			return models.TrainResult{}, err
		}
		t.status.Failures = append(t.status.Failures, fmt.Sprintf("attempt %d: %s", t.status.Attempt, reason(err)))
		t.status.Attempt++
		t.show(ctx)
	}
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

// attempt leases, resumes and runs the gang once. Devices are given back
// whatever happens, after every rank has ended.
func (t *training) attempt(ctx workflow.Context) (models.TrainResult, error) {
	request := models.LeaseRequest{
		RequestID: fmt.Sprintf("%s#%d", workflow.GetInfo(ctx).WorkflowExecution.RunID, t.status.Attempt),
		Holder:    workflow.GetInfo(ctx).WorkflowExecution.ID,
		Purpose:   "train " + t.input.Model,
		Resources: t.input.Train.Resources,
		Avoid:     t.avoid,
	}
	t.status.State, t.status.Waiting = models.TrainLeasing, waitingFor(request.Resources)
	t.show(ctx)
	lease, err := t.desk.acquire(ctx, request)
	if err != nil {
		return models.TrainResult{}, err
	}
	defer t.desk.release(ctx, request)
	t.status.Lease, t.status.Waiting, t.status.State = &lease, "", models.TrainRunning

	resume, err := call(quick(ctx, "Find the last checkpoint"), models.Checkpoints.FindCheckpoint,
		models.FindCheckpointRequest{RunKey: t.runKey})
	if err != nil {
		return models.TrainResult{}, err
	}
	t.status.Resumed = resume.Step
	t.show(ctx)
	return t.runGang(ctx, lease, resume)
}

func (t *training) runGang(ctx workflow.Context, lease models.Lease, resume models.Checkpoint) (models.TrainResult, error) {
	master, err := call(onHost(ctx, lease.Nodes[0].Node, "Reserve a port for rank 0"), models.Hosts.ReserveMasterPort,
		models.ReserveMasterPortRequest{RunKey: t.runKey, Token: lease.Token})
	if err != nil {
		t.avoidAfter(err, lease.Nodes[0].Node)
		return models.TrainResult{}, err
	}
	results, err := t.runMembers(ctx, lease, func(i int) models.RunRanksRequest {
		return models.RunRanksRequest{
			RunKey: t.runKey, Token: lease.Token, Node: lease.Nodes[i], GroupRank: i, Groups: len(lease.Nodes),
			WorldSize: worldSize(lease), Restart: t.status.Attempt - 1, Master: master, Train: t.input.Train,
			Snapshot: t.input.Snapshot.Manifest, Data: t.input.Data, Resume: resume, Run: t.run,
			Lease: lease.RequestID, Pool: lease.Resources.Pool, Preemptible: lease.Resources.Preemptible,
			Features: features(t.input.Snapshot.Columns),
		}
	})
	if err != nil {
		return models.TrainResult{}, err
	}
	first := results[0]
	if first.Artifact == nil {
		return models.TrainResult{}, failure(&models.Error{Kind: models.KindModelRejected, Subject: "rank 0", Message: "the agent returned no model"})
	}
	return models.TrainResult{
		RunID: t.run.RunID, RunURL: t.run.URL, Artifact: *first.Artifact, OutOfFold: first.OutOfFold,
		Metrics: first.Metrics, Steps: first.Steps, Curve: first.Curve, Restarts: t.status.Attempt - 1, Devices: deviceUUIDs(lease),
	}, nil
}

// runMembers starts one activity per host and waits for all of them. The first
// failure, or the loss of the lease, cancels the others; none is left running.
func (t *training) runMembers(ctx workflow.Context, lease models.Lease, request func(int) models.RunRanksRequest) ([]models.RanksResult, error) {
	gang, cancel := workflow.WithCancel(ctx)
	defer cancel()
	results := make([]models.RanksResult, len(lease.Nodes))
	failures := make([]error, len(lease.Nodes))
	selector := workflow.NewSelector(ctx)
	for i, node := range lease.Nodes {
		summary := fmt.Sprintf("Ranks on %s: %s", node.Node, t.input.Model)
		f := start(longOnHost(gang, node.Node, summary, t.input.Train.Timeout.Std()), models.Hosts.RunRanks, request(i))
		selector.AddFuture(f.Future, func(workflow.Future) {
			if results[i], failures[i] = f.get(ctx); failures[i] != nil {
				cancel()
			}
		})
	}
	watching := true
	workflow.Go(ctx, func(ctx workflow.Context) {
		_ = workflow.Await(ctx, func() bool { _, lost := t.desk.lossOf(lease.RequestID); return lost || !watching })
		if _, lost := t.desk.lossOf(lease.RequestID); lost {
			cancel()
		}
	})
	for range lease.Nodes {
		selector.Select(ctx)
	}
	watching = false
	return results, t.gangFailure(ctx, lease, failures)
}

// gangFailure picks the failure that tells the most: cancellation from outside,
// then the loss of a rank or host (which makes its peers fail as well), then a
// rank's own error.
func (t *training) gangFailure(ctx workflow.Context, lease models.Lease, failures []error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if lost, ok := t.desk.lossOf(lease.RequestID); ok {
		t.avoid = append(t.avoid, lost.Node)
		return failure(&models.Error{Kind: models.KindRankLost, Subject: lost.Node, Message: lost.Reason})
	}
	var own error
	for i, err := range failures {
		switch {
		case err == nil || temporal.IsCanceledError(err):
		case restartable(err):
			t.avoidAfter(err, lease.Nodes[i].Node)
			return err
		case own == nil:
			own = err
		}
	}
	return own
}

// avoidAfter remembers a host that did not answer.
func (t *training) avoidAfter(err error, node string) {
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		t.avoid = append(t.avoid, node)
	}
}

func (t *training) worthRestarting(err error) bool {
	return restartable(err) && t.status.Attempt <= *t.input.Train.MaxRestarts
}

// restartable: the ranks' surroundings failed, not the program.
func restartable(err error) bool {
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return true
	}
	switch kindOf(err) {
	case models.KindRankLost, models.KindStaleFence, models.KindUnavailable:
		return true
	default:
		return false
	}
}

// closeRun marks the MLflow run of a training that won't go on.
func (t *training) closeRun(ctx workflow.Context, cause error) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	status := "FAILED"
	if temporal.IsCanceledError(cause) {
		status = "KILLED"
	}
	if err := do(quick(ctx, "Close the MLflow run"), models.Tracking.FinishRun, models.FinishRunRequest{
		RunID: t.run.RunID, Status: status, EndTime: workflow.Now(ctx), Tags: map[string]string{"mainspring.failure": reason(cause)},
	}); err != nil {
		workflow.GetLogger(ctx).Error("run not closed", "run", t.run.RunID, "error", err)
	}
}

func (t *training) show(ctx workflow.Context) {
	var p page
	p.linef("**Train %s**: %s, attempt %d", t.input.Model, t.status.State, t.status.Attempt)
	if t.status.Waiting != "" {
		p.linef("")
		p.linef("Waiting for %s", t.status.Waiting)
	}
	if t.status.Resumed > 0 {
		p.linef("")
		p.linef("Resumed from the checkpoint of step %d", t.status.Resumed)
	}
	if t.status.Lease != nil && t.status.State == models.TrainRunning {
		p.header("rank host", "devices", "lease token")
		for _, n := range t.status.Lease.Nodes {
			p.row(n.Node, fmt.Sprint(uuids(n.Devices)), fmt.Sprint(t.status.Lease.Token))
		}
	}
	if t.run.URL != "" {
		p.linef("")
		p.linef("[MLflow run](%s)", t.run.URL)
	}
	for _, f := range t.status.Failures {
		p.linef("- %s", f)
	}
	p.show(ctx)
}

func worldSize(lease models.Lease) (n int) {
	for _, node := range lease.Nodes {
		n += len(node.Devices)
	}
	return n
}

func deviceUUIDs(lease models.Lease) (all []string) {
	for _, node := range lease.Nodes {
		all = append(all, uuids(node.Devices)...)
	}
	return all
}

func uuids(devices []models.Device) []string {
	all := make([]string, len(devices))
	for i, d := range devices {
		all[i] = d.UUID
	}
	return all
}

func features(columns []models.Column) (found []models.Column) {
	for _, c := range columns {
		if c.Role == "feature" {
			found = append(found, c)
		}
	}
	return found
}
