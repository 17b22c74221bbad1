package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// serveAskedFirst and serveAskedMost bound how long a rollout waits for word
	// of the candidate's servers before it asks for them again: their Serve may
	// have been on its way out, or was terminated.
	serveAskedFirst = 5 * time.Second
	serveAskedMost  = 5 * time.Minute
)

// serve starts the candidate's replicas, which outlive the rollout, and waits
// until they are ready or something ends the rollout.
func (r *rollout) serve(ctx workflow.Context) (*ending, error) {
	for pause := serveAskedFirst; !r.state.Serving; pause = min(2*pause, serveAskedMost) {
		r.show(ctx, r.waitingForServers())
		if err := serveOrTell(ctx, serveInput(ctx, r.input.Model, r.input.Deploy, r.input.Candidate)); err != nil {
			return nil, err
		}
		if err := r.awaitServers(ctx, pause); err != nil {
			return nil, err
		}
		if end := r.settled(ctx); end != nil {
			return end, nil
		}
		if r.state.Serving {
			break
		}
		if err := r.renewed(ctx); err != nil {
			return nil, err
		}
	}
	return r.settled(ctx), nil
}

// awaitServers shows meanwhile what people order.
func (r *rollout) awaitServers(ctx workflow.Context, atMost time.Duration) error {
	until := workflow.Now(ctx).Add(atMost)
	for !r.state.Serving && r.settled(ctx) == nil && workflow.Now(ctx).Before(until) {
		news := r.news
		if _, err := workflow.AwaitWithTimeout(ctx, until.Sub(workflow.Now(ctx)), func() bool {
			return r.state.Serving || r.failed != nil || r.news != news
		}); err != nil {
			return err
		}
		r.show(ctx, r.waitingForServers())
	}
	return nil
}

func (r *rollout) waitingForServers() string {
	waiting := "the candidate's replicas to become ready"
	if order := r.decision(); order != nil {
		return waiting + ", to be promoted then as " + order.By + " ordered"
	}
	return waiting
}

func (r *rollout) serveReady(m models.ServeReady) {
	r.state.Serving = r.state.Serving || m.Version == r.input.Candidate.Version
}

func (r *rollout) serveFailed(m models.ServeFailed) {
	if m.Version == r.input.Candidate.Version {
		r.failed = &m
	}
}

// serveInput asks for a version's servers, and for word of them here.
func serveInput(ctx workflow.Context, model string, deploy models.DeploySpec, v models.ModelVersion) models.ServeInput {
	return models.ServeInput{
		Model: model, Version: v.Version, Deploy: deploy, Artifact: v.Candidate.Artifact, Signature: v.Signature,
		Prediction: v.Spec.Evaluate.Prediction, Task: v.Spec.Data.Task, Notify: workflow.GetInfo(ctx).WorkflowExecution.ID,
	}
}

// serveOrTell starts a version's Serve. One that runs already is told whom to
// notify instead; one that ended in between is not, and the caller asks again.
func serveOrTell(ctx workflow.Context, input models.ServeInput) error {
	id := models.ServeID(input.Deploy.Endpoint, input.Version)
	err := workflow.ExecuteChildWorkflow(
		independent(ctx, id, fmt.Sprintf("Serve %s version %s", input.Deploy.Endpoint, input.Version)), models.ServeWorkflow, input,
	).GetChildWorkflowExecution().Get(ctx, nil)
	if !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return err
	}
	err = workflow.SignalExternalWorkflow(ctx, id, "", models.SignalTell, models.TellServe{Notify: input.Notify}).Get(ctx, nil)
	if temporal.IsCanceledError(err) {
		return err
	}
	return nil
}
