package workflows

import (
	"fmt"
	"slices"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/canary"
	"github.com/mainspring-ml/mainspring/models"
)

// Rollout gives a version more and more of the traffic while an always-valid
// judge watches: serve it, then one step of weight after the other until the
// last one is proven safe, harm shows, or time is up. It publishes the canary's
// routes; what its verdict means for aliases and the final route is the
// steward's to carry out.
func Rollout(ctx workflow.Context, input models.RolloutInput) (models.RolloutResult, error) {
	r := newRollout(ctx, input)
	if err := answer(ctx, r.status); err != nil {
		return models.RolloutResult{}, err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeStage.ValueSet(string(models.StageRollout)),
		attributeVersion.ValueSet(input.Candidate.Version), attributeEndpoint.ValueSet(input.Deploy.Endpoint))
	result, err := r.run(ctx)
	if err == nil {
		publish(ctx, attributeVerdict.ValueSet(string(result.Verdict)))
	}
	return result, err
}

type rollout struct {
	input   models.RolloutInput
	state   models.RolloutState
	failed  *models.ServeFailed
	waiting string
}

func newRollout(ctx workflow.Context, input models.RolloutInput) *rollout {
	r := &rollout{input: input, state: models.RolloutState{Generation: input.Generation}}
	if input.Prior != nil {
		r.state = *input.Prior
	}
	listen(ctx, models.SignalServeReady, func(m models.ServeReady) {
		r.state.Serving = r.state.Serving || m.Version == input.Candidate.Version
	})
	listen(ctx, models.SignalServeFailed, func(m models.ServeFailed) {
		if m.Version == input.Candidate.Version {
			r.failed = &m
		}
	})
	return r
}

func (r *rollout) run(ctx workflow.Context) (models.RolloutResult, error) {
	if err := r.serve(ctx); err != nil {
		return models.RolloutResult{}, err
	}
	if r.failed != nil {
		return r.conclude(ctx, models.VerdictFail, "its servers do not start: "+r.failed.Reason), nil
	}
	if r.input.Champion == "" {
		return r.conclude(ctx, models.VerdictPass, "first version on the endpoint: its servers are ready and there is no champion to compare with"), nil
	}
	for ; r.state.Step < len(r.input.Deploy.Canary.Steps); r.state.Step++ {
		verdict, err := r.step(ctx)
		if err != nil {
			return models.RolloutResult{}, err
		}
		if verdict.Verdict != models.VerdictPass {
			return r.conclude(ctx, verdict.Verdict, verdict.Reason), nil
		}
	}
	last := r.state.Steps[len(r.state.Steps)-1]
	return r.conclude(ctx, models.VerdictPass, last.Verdict.Reason), nil
}

// serve starts the candidate's replicas, which outlive the rollout, and waits
// until they are ready or can't be.
func (r *rollout) serve(ctx workflow.Context) error {
	if r.state.Serving {
		return nil
	}
	r.show(ctx, "the candidate's replicas to become ready")
	id := models.ServeID(r.input.Deploy.Endpoint, r.input.Candidate.Version)
	started := workflow.ExecuteChildWorkflow(
		independent(ctx, id, fmt.Sprintf("Serve %s version %s", r.input.Deploy.Endpoint, r.input.Candidate.Version)),
		models.ServeWorkflow, models.ServeInput{
			Model: r.input.Model, Version: r.input.Candidate.Version, Deploy: r.input.Deploy,
			Artifact: r.input.Candidate.Candidate.Artifact, Signature: r.input.Candidate.Signature, Notify: workflow.GetInfo(ctx).WorkflowExecution.ID,
			Prediction: r.input.Candidate.Spec.Evaluate.Prediction, Task: r.input.Candidate.Spec.Data.Task,
		}).GetChildWorkflowExecution().Get(ctx, nil)
	if started != nil && !temporal.IsWorkflowExecutionAlreadyStartedError(started) {
		return started
	}
	return workflow.Await(ctx, func() bool { return r.state.Serving || r.failed != nil })
}

// step sets one weight and looks at the evidence until the judge is sure or
// the step's time is up.
func (r *rollout) step(ctx workflow.Context) (models.CanaryVerdict, error) {
	if len(r.state.Steps) == r.state.Step {
		if err := r.open(ctx); err != nil {
			return models.CanaryVerdict{}, err
		}
	}
	spec := r.input.Deploy.Canary
	current := &r.state.Steps[r.state.Step]
	for {
		left := spec.StepDeadline.Std() - workflow.Now(ctx).Sub(current.StartedAt)
		if left <= 0 && spec.OnDeadline != models.PolicyHold {
			current.Verdict.Reason = fmt.Sprintf("not enough evidence after %s at %.0f %%: %s", spec.StepDeadline, 100*current.Weight, current.Verdict.Reason)
			return current.Verdict, nil
		}
		if err := r.look(ctx, current); err != nil {
			return models.CanaryVerdict{}, err
		}
		if current.Verdict.Verdict != models.VerdictInconclusive {
			return current.Verdict, nil
		}
		if r.failed != nil {
			current.Verdict.Verdict, current.Verdict.Reason = models.VerdictFail, "its servers ended: "+r.failed.Reason
			return current.Verdict, nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			next := r.input
			next.Prior = &r.state
			return models.CanaryVerdict{}, workflow.NewContinueAsNewError(ctx, models.RolloutWorkflow, next)
		}
	}
}

// open publishes the step's route. A new weight is a new generation, so that
// the evidence of different weights is never mixed.
func (r *rollout) open(ctx workflow.Context) error {
	weight := r.input.Deploy.Canary.Steps[r.state.Step] / 100
	route := models.Route{
		Endpoint: r.input.Deploy.Endpoint, Model: r.input.Model, Generation: r.state.Generation + 1,
		Arms: []models.Arm{
			{Version: r.input.Champion, Role: models.RoleChampion, Weight: 1 - weight},
			{Version: r.input.Candidate.Version, Role: models.RoleCanary, Weight: weight},
		},
		Reason: fmt.Sprintf("canary of version %s at %.0f %%", r.input.Candidate.Version, 100*weight),
	}
	if err := do(quick(ctx, "Route: "+route.Reason), models.Routing.PublishRoute, route); err != nil {
		return err
	}
	r.state.Generation = route.Generation
	step := models.CanaryStep{
		Weight: weight, Generation: route.Generation, StartedAt: workflow.Now(ctx),
		Verdict: models.CanaryVerdict{Verdict: models.VerdictInconclusive, Harm: 1, Safe: 1, Reason: "no requests yet"},
	}
	r.state.Steps = append(r.state.Steps, step)
	r.state.Judge = canary.FromSpec(r.input.Deploy.Canary).Open(r.state.Judge, step)
	return nil
}

// look reads the counters once they have grown enough to matter, and judges.
func (r *rollout) look(ctx workflow.Context, current *models.CanaryStep) error {
	config := canary.FromSpec(r.input.Deploy.Canary)
	r.show(ctx, fmt.Sprintf("evidence at %.0f %% of the traffic", 100*current.Weight))
	generations := make([]int64, len(r.state.Steps))
	for i, s := range r.state.Steps {
		generations[i] = s.Generation
	}
	reading, err := call(heavy(ctx, "Read the arms' counters"), models.Routing.ReadArms, models.ReadArmsRequest{
		Endpoint: r.input.Deploy.Endpoint, Generations: generations, Canary: r.input.Candidate.Version,
		Seen: current.Canary.Requests, MinNew: canary.NextLook(config, current.Canary.Requests), Wait: r.input.Deploy.Canary.Poll,
	})
	if err != nil {
		return err
	}
	for _, counts := range reading.Arms {
		r.take(counts)
	}
	r.state.Judge = config.Observe(r.state.Judge, canary.Evidence{Champion: current.Champion, Canary: current.Canary, Blocks: reading.Blocks})
	current.Verdict = config.Judge(r.state.Judge)
	current.History = thin(append(current.History, models.CanaryLook{
		Requests: current.Canary.Requests, Harm: current.Verdict.Harm, Safe: current.Verdict.Safe,
	}), 60)
	return nil
}

func (r *rollout) take(counts models.ArmCounts) {
	i := slices.IndexFunc(r.state.Steps, func(s models.CanaryStep) bool { return s.Generation == counts.Generation })
	if i < 0 {
		return
	}
	switch counts.Version {
	case r.input.Champion:
		r.state.Steps[i].Champion = counts
	case r.input.Candidate.Version:
		r.state.Steps[i].Canary = counts
	}
}

func (r *rollout) conclude(ctx workflow.Context, verdict models.Verdict, reason string) models.RolloutResult {
	r.show(ctx, "")
	return models.RolloutResult{Verdict: verdict, Reason: reason, Generation: r.state.Generation, Steps: r.state.Steps}
}

func (r *rollout) status() models.RolloutStatus {
	return models.RolloutStatus{RolloutState: r.state, Version: r.input.Candidate.Version, Champion: r.input.Champion, Waiting: r.waiting}
}

func (r *rollout) show(ctx workflow.Context, waiting string) {
	r.waiting = waiting
	var p page
	p.linef("**Rollout of %s version %s** against version %s", r.input.Model, r.input.Candidate.Version, orNone(r.input.Champion))
	if waiting != "" {
		p.linef("")
		p.linef("Waiting for %s", waiting)
	}
	p.header("weight", "canary requests", "errors", "champion requests", "errors", "harm", "safe", "verdict")
	for _, s := range r.state.Steps {
		p.row(fmt.Sprintf("%.0f %%", 100*s.Weight), fmt.Sprint(s.Canary.Requests), fmt.Sprint(s.Canary.Errors),
			fmt.Sprint(s.Champion.Requests), fmt.Sprint(s.Champion.Errors),
			number(s.Verdict.Harm)+" of "+number(s.Verdict.HarmThreshold), number(s.Verdict.Safe)+" of "+number(s.Verdict.SafeThreshold), s.Verdict.Reason)
	}
	p.show(ctx)
}

func orNone(version string) string {
	if version == "" {
		return "none"
	}
	return version
}

// thin drops every second point once there are more than limit, keeping the
// last.
func thin[T any](points []T, limit int) []T {
	if len(points) <= limit {
		return points
	}
	kept := make([]T, 0, limit)
	for i := len(points) - 1; i >= 0; i -= 2 {
		kept = append(kept, points[i])
	}
	slices.Reverse(kept)
	return kept
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
