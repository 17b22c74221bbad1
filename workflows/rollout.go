package workflows

import (
	"fmt"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/canary"
	"github.com/mainspring-ml/mainspring/models"
)

// Rollout gives a version more and more of the traffic while an always-valid
// judge watches: serve it, copy requests to it when the spec asks for that,
// then one step of weight after the other until the last one is proven safe,
// harm shows, time is up or a person decides. It publishes the canary's routes;
// what its verdict means for aliases and the final route is the steward's to
// carry out.
func Rollout(ctx workflow.Context, input models.RolloutInput) (models.RolloutResult, error) {
	r := newRollout(ctx, input)
	if err := answer(ctx, func() models.RolloutStatus { return r.status(workflow.Now(ctx)) }); err != nil {
		return models.RolloutResult{}, err
	}
	if err := r.takeOrders(ctx); err != nil {
		return models.RolloutResult{}, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StageRollout)),
		attributeVersion.ValueSet(input.Candidate.Version), attributeEndpoint.ValueSet(input.Deploy.Endpoint))
	end, err := r.run(ctx)
	if err != nil {
		return models.RolloutResult{}, err
	}
	publish(ctx, attributeVerdict.ValueSet(string(end.verdict)))
	return r.conclude(ctx, end), nil
}

type rollout struct {
	input      models.RolloutInput
	spec       models.CanarySpec // with its defaults
	judge      canary.Config
	plan       []models.CanaryStep // weights and shares of copies, in order
	state      models.RolloutState
	failed     *models.ServeFailed
	losses     *future[models.LossReading] // under way; nil: none
	unread     int                         // looks in a row that could not read the counters
	unreadable string                      // why
	news       int                         // counts orders, for who waits for one
	waiting    string
	ended      bool
}

// ending is what ends a rollout.
type ending struct {
	verdict models.Verdict
	reason  string
	by      string // the person who decided; empty: the judge did
	// refusedBy is who said no; empty: nobody did, as when the servers broke.
	refusedBy models.Refusal
}

func newRollout(ctx workflow.Context, input models.RolloutInput) *rollout {
	r := &rollout{
		input: input, spec: input.Deploy.Canary.WithDefaults(), judge: canary.FromSpec(input.Deploy.Canary),
		state: models.RolloutState{Generation: input.Generation},
	}
	if input.Prior != nil {
		r.state = *input.Prior
	}
	if r.spec.Shadow != nil {
		r.plan = append(r.plan, models.CanaryStep{Shadow: r.spec.Shadow.Share / 100})
	}
	for _, percent := range r.spec.Steps {
		r.plan = append(r.plan, models.CanaryStep{Weight: percent / 100})
	}
	listen(ctx, models.SignalServeReady, r.serveReady)
	listen(ctx, models.SignalServeFailed, r.serveFailed)
	return r
}

// run returns what ended the rollout.
func (r *rollout) run(ctx workflow.Context) (*ending, error) {
	if end, err := r.serve(ctx); end != nil || err != nil {
		return end, err
	}
	if end, err := r.held(ctx); end != nil || err != nil {
		return end, err
	}
	if r.input.Champion == "" {
		return &ending{verdict: models.VerdictPass, reason: "first version on the endpoint: its servers are ready and there is no champion to compare with"}, nil
	}
	for ; r.state.Step < len(r.plan); r.state.Step++ {
		if end, err := r.step(ctx); end != nil || err != nil {
			return end, err
		}
	}
	return &ending{verdict: models.VerdictPass, reason: r.current().Verdict.Reason}, nil
}

// settled is what ends the rollout as things stand; nil: nothing does. What
// shows that the version is bad comes before what people want.
func (r *rollout) settled(ctx workflow.Context) *ending {
	current := r.current()
	order := r.decision()
	switch {
	case current != nil && current.Verdict.Verdict == models.VerdictFail:
		return &ending{verdict: models.VerdictFail, reason: current.Verdict.Reason, refusedBy: models.RefusedByCanary}
	case r.failed != nil && current == nil:
		return &ending{verdict: models.VerdictFail, reason: "its servers do not start: " + r.failed.Reason}
	case r.failed != nil:
		return &ending{verdict: models.VerdictFail, reason: "its servers ended: " + r.failed.Reason}
	case order != nil && order.Action == models.RolloutAbort:
		return &ending{verdict: models.VerdictFail, reason: r.explainOrder(*order), by: order.By, refusedBy: models.RefusedByPerson}
	case order != nil && r.state.Serving:
		return &ending{verdict: models.VerdictPass, reason: r.explainOrder(*order), by: order.By}
	case current != nil && current.Verdict.Verdict != models.VerdictPass && r.unread != 1 && r.timeUp(ctx):
		// Nobody refused it: a retraining of too little traffic is no sign that
		// retraining does not help.
		return &ending{verdict: models.VerdictInconclusive,
			reason: fmt.Sprintf("not enough evidence after %s %s: %s", r.spec.StepDeadline, stage(*current), current.Verdict.Reason)}
	default:
		return nil
	}
}

// renewed continues as a new run once the history has grown long, between two
// looks. Labels that are being read then are read again by the next run.
func (r *rollout) renewed(ctx workflow.Context) error {
	if !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		return nil
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	drain(ctx, models.SignalServeReady, r.serveReady)
	drain(ctx, models.SignalServeFailed, r.serveFailed)
	if r.settled(ctx) != nil {
		return nil // ends here rather than there
	}
	if current := r.current(); current != nil { // the next look reads them again
		current.Champion.Latency, current.Canary.Latency = nil, nil
	}
	next := r.input
	next.Prior = &r.state
	return workflow.NewContinueAsNewError(ctx, models.RolloutWorkflow, next)
}

// current is the step that was begun last; nil: none was.
func (r *rollout) current() *models.CanaryStep {
	if len(r.state.Steps) == 0 {
		return nil
	}
	return &r.state.Steps[len(r.state.Steps)-1]
}

func (r *rollout) conclude(ctx workflow.Context, end *ending) models.RolloutResult {
	r.ended = true
	r.show(ctx, "")
	return models.RolloutResult{
		Verdict: end.verdict, Reason: end.reason, Generation: r.state.Generation, Steps: r.state.Steps,
		Exposed: exposure(r.state.Steps), By: end.by, Orders: r.state.Orders, RefusedBy: end.refusedBy,
	}
}

// rolloutOptions ties the rollout to the steward that judges by it.
func rolloutOptions(ctx workflow.Context, model, version string) workflow.Context {
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            models.RolloutID(model, version),
		WaitForCancellation:   true,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         fmt.Sprintf("Roll out %s version %s", model, version),
	})
}
