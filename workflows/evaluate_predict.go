package workflows

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// predictionTries is how often a model's answers are asked for when hosts or
// programs are lost meanwhile. Each try begins anew. One whose lease was lost or
// wanted back does not count: the pool says when the next may begin.
const predictionTries = 5

// predict gets one model's answers from what its spec names: the worker's own
// runtime, a program on a host, or either on leased devices.
func (e *evaluating) predict(ctx workflow.Context, request models.PredictRowsRequest) (models.Predictions, error) {
	if builtIn := request.Predict.Runtime == models.RuntimeONNX || request.Predict.Runtime == ""; builtIn && request.Predict.Resources == nil {
		e.waitFor(ctx, "", "the answers of the "+request.Who)
		return call(heavy(ctx, "Predict with the "+request.Who), models.Scoring.PredictRows, request)
	}
	request.ArtifactURI = e.input.ArtifactURI
	for try, failed := 1, 0; ; try++ {
		// A job that failed stays failed under its key.
		request.Key = key(ctx, fmt.Sprintf("predict %s, try %d", request.Who, try))
		answers, err := e.predictOnHost(ctx, request, try)
		if err == nil || ctx.Err() != nil || !elsewhere(err) {
			return answers, err
		}
		why, pause := "its lease was lost or wanted back", 500*time.Millisecond
		if !temporal.IsCanceledError(err) {
			failed++
			why, pause = reason(err), time.Duration(failed)*2*time.Second
		}
		if failed == predictionTries {
			return answers, err
		}
		e.waitFor(ctx, "", fmt.Sprintf("another host for the %s: %s", request.Who, why))
		if err := workflow.Sleep(ctx, pause); err != nil {
			return answers, err
		}
	}
}

// elsewhere reports whether another host or lease may do better.
func elsewhere(err error) bool {
	switch kindOf(err) {
	case models.KindRankLost, models.KindStaleFence:
		return true
	default:
		return silent(err) || temporal.IsCanceledError(err) // the lease was lost or wanted back
	}
}

func (e *evaluating) predictOnHost(ctx workflow.Context, request models.PredictRowsRequest, try int) (models.Predictions, error) {
	if request.Predict.Resources != nil {
		return e.predictOnLease(ctx, request)
	}
	host, err := e.anyHost(ctx, request, try)
	if err != nil {
		return models.Predictions{}, err
	}
	request.Node = models.LeaseNode{Node: host}
	e.waitFor(ctx, "", fmt.Sprintf("the answers of the %s, on %s", request.Who, host))
	return call(predicting(ctx, request, host), models.Hosts.PredictOnHost, request)
}

// nextRequest numbers what this run asks of pools.
func (e *evaluating) nextRequest(ctx workflow.Context) string {
	e.requests++
	return fmt.Sprintf("%s#%d", workflow.GetInfo(ctx).WorkflowExecution.RunID, e.requests)
}

// anyHost names a host that the training could have had, a different one for
// each try if there are several.
func (e *evaluating) anyHost(ctx workflow.Context, request models.PredictRowsRequest, try int) (string, error) {
	info := workflow.GetInfo(ctx)
	ask := models.HostsRequest{
		RequestID: e.nextRequest(ctx),
		Holder:    info.WorkflowExecution.ID,
		Resources: models.Resources{Pool: request.Train.Resources.Pool, NodeLabels: request.Train.Resources.NodeLabels}.WithDefaults(),
	}
	e.waitFor(ctx, ask.RequestID, "a host for the "+request.Who)
	hosts, err := e.desk.hosts(ctx, ask)
	if err != nil {
		return "", err
	}
	if len(hosts) == 0 {
		return "", failure(&models.Error{Kind: models.KindLeaseRefused, Subject: "pool " + ask.Resources.Pool,
			Message: "it has no host for the predictions of the " + request.Who, Hint: "start an agent with `mainspring agent`"})
	}
	return hosts[(try-1)%len(hosts)], nil
}

// predictOnLease holds devices for as long as the answers take. A lease that is
// lost or wanted back ends the program; the caller tries again.
func (e *evaluating) predictOnLease(ctx workflow.Context, request models.PredictRowsRequest) (models.Predictions, error) {
	info := workflow.GetInfo(ctx)
	lease := models.LeaseRequest{
		RequestID: e.nextRequest(ctx),
		Holder:    info.WorkflowExecution.ID, HolderRun: info.FirstRunID,
		Purpose: fmt.Sprintf("evaluate %s: %s", e.input.Model, request.Who), Resources: *request.Predict.Resources,
		Grace: models.Duration(10 * time.Second),
	}
	e.waitFor(ctx, lease.RequestID, waitingFor(lease.Resources))
	granted, err := e.desk.acquire(ctx, lease)
	if err != nil {
		return models.Predictions{}, err
	}
	defer e.desk.release(ctx, lease)
	request.Token, request.Node = granted.Token, granted.Nodes[0]
	e.waitFor(ctx, "", fmt.Sprintf("the answers of the %s, on %s", request.Who, request.Node.Node))

	running, cancel := workflow.WithCancel(ctx)
	defer cancel()
	answers := start(predicting(running, request, request.Node.Node), models.Hosts.PredictOnHost, request)
	over := func() bool {
		_, lost := e.desk.lossOf(lease.RequestID)
		_, asked := e.desk.preemptionOf(lease.RequestID)
		return lost || asked || answers.IsReady()
	}
	// A cancelled context ends the wait as well, and the activity with it.
	_ = workflow.Await(ctx, over)
	if !answers.IsReady() {
		cancel()
	}
	waiting, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	return answers.get(waiting)
}

func predicting(ctx workflow.Context, request models.PredictRowsRequest, host string) workflow.Context {
	limit := cmp.Or(request.Predict.Timeout.Std(), time.Hour) // a champion's spec may be older than the field
	return longOnHost(ctx, host, "Predict with the "+request.Who+" on "+host, limit+agentAbsent)
}
