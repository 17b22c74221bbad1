package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// step sets one weight, or share of copies, and looks at the evidence until the
// judge is sure. nil: the next step's turn.
func (r *rollout) step(ctx workflow.Context) (*ending, error) {
	if len(r.state.Steps) == r.state.Step {
		if err := r.open(ctx); err != nil {
			return nil, err
		}
		if end := r.settled(ctx); end != nil { // decided while the route was being published
			return end, nil
		}
	}
	for {
		if err := r.look(ctx); err != nil {
			return nil, err
		}
		if end := r.settled(ctx); end != nil {
			return end, nil
		}
		// What was proven while people held the step must still be when they let
		// it go.
		if r.current().Verdict.Verdict == models.VerdictPass && !r.state.Paused {
			if end, err := r.lastLabels(ctx); end != nil || err != nil || !r.state.Paused {
				return end, err
			}
		}
		if err := r.renewed(ctx); err != nil {
			return nil, err
		}
	}
}

// lastLabelsMost is how long a step that has passed waits for labels.
const lastLabelsMost = 5 * time.Minute

// lastLabels waits for a reading of labels that is under way when the step has
// passed: it is the last to say that the version is bad before it gets more
// traffic. One that takes long changes nothing in what was proven.
func (r *rollout) lastLabels(ctx workflow.Context) (*ending, error) {
	if r.losses == nil {
		return nil, nil
	}
	r.show(ctx, "the labels that are being read")
	if _, err := workflow.AwaitWithTimeout(ctx, lastLabelsMost, func() bool {
		return r.losses.IsReady() || r.state.Paused || r.settled(ctx) != nil
	}); err != nil {
		return nil, err
	}
	passed := r.current().Verdict
	if err := r.takeLosses(ctx); err != nil {
		return nil, err
	}
	r.settle(workflow.Now(ctx))
	if r.current().Verdict.Verdict != models.VerdictFail {
		r.current().Verdict = passed // proven once is proven
	}
	return r.settled(ctx), nil
}

// held waits for people who paused the rollout before its first step. A step
// that is paused goes on to look for harm, in the next run too.
func (r *rollout) held(ctx workflow.Context) (*ending, error) {
	for r.state.Paused && r.current() == nil {
		r.show(ctx, "a person to resume")
		news := r.news
		if err := workflow.Await(ctx, func() bool { return r.news != news || r.failed != nil }); err != nil {
			return nil, err
		}
		if end := r.settled(ctx); end != nil {
			return end, nil
		}
	}
	return nil, nil
}

// open publishes the step's route. A new weight is a new generation, so that
// the evidence of different weights is never mixed.
func (r *rollout) open(ctx workflow.Context) error {
	step := r.plan[r.state.Step]
	route := r.route(step)
	r.show(ctx, "the route to be published")
	if err := do(quick(ctx, "Route: "+route.Reason), models.Routing.PublishRoute, route); err != nil {
		return err
	}
	now := workflow.Now(ctx)
	slimAll(r.state.Steps)
	step.Generation, step.StartedAt = route.Generation, now
	r.state.Generation = route.Generation
	r.state.Judge = r.judge.Open(r.state.Judge, step)
	step.Verdict = r.judge.Judge(r.state.Judge)
	r.state.Steps = append(r.state.Steps, step)
	r.state.LastRequest, r.state.BlocksFrom = now, time.Time{}
	if r.state.Since.IsZero() {
		r.state.Since = now
	}
	return nil
}

// route has the champion's traffic settings, since the endpoint is the
// champion's until the steward says otherwise, and counts what the candidate's
// spec has judged.
func (r *rollout) route(step models.CanaryStep) models.Route {
	traffic := r.input.Deploy.Traffic
	if r.input.Traffic != nil {
		traffic = *r.input.Traffic
	}
	role := models.RoleCanary
	if step.Shadow > 0 {
		role = models.RoleShadow
	}
	route := models.Route{
		Endpoint: r.input.Deploy.Endpoint, Model: r.input.Model, Generation: r.state.Generation + 1,
		Arms: []models.Arm{
			{Version: r.input.Champion, Role: models.RoleChampion, Weight: 1 - step.Weight},
			{Version: r.input.Candidate.Version, Role: role, Weight: step.Weight, Shadow: step.Shadow},
		},
		Reason:  fmt.Sprintf("canary of version %s %s", r.input.Candidate.Version, stage(step)),
		Traffic: traffic.WithDefaults(), Task: r.input.Candidate.Spec.Data.Task, Block: r.spec.Block,
	}
	if r.spec.Latency != nil {
		route.SlowAbove = r.spec.Latency.SLO
	}
	return route
}

// stage says where in the rollout a step is.
func stage(step models.CanaryStep) string {
	if step.Shadow > 0 {
		return fmt.Sprintf("on copies of %.4g %% of the requests", 100*step.Shadow)
	}
	return fmt.Sprintf("at %.4g %%", 100*step.Weight)
}

// left is how much of the step's time is left; people who hold it stop its clock.
func (r *rollout) left(now time.Time) time.Duration {
	current := r.current()
	used := now.Sub(current.StartedAt) - current.Paused.Std()
	if r.state.Paused {
		used -= now.Sub(later(r.state.PausedSince, current.StartedAt))
	}
	return r.spec.StepDeadline.Std() - used
}

// timeUp ends a step undecided. A spec may say to go on without end instead.
func (r *rollout) timeUp(ctx workflow.Context) bool {
	return r.ends() && r.left(workflow.Now(ctx)) <= 0
}

// ends is whether the step's clock runs, and matters.
func (r *rollout) ends() bool {
	return !r.state.Paused && r.spec.OnDeadline != models.PolicyHold
}

// What a rollout carries into its next run stays below 20 KiB, with a dozen steps
// and three metrics.
const (
	looksKept    = 24 // of the current step
	oldLooksKept = 16 // of the earlier ones together
	oldReason    = 160
	// stepsWhole are the earlier steps of which there are plots.
	stepsWhole = 4
)

// slimAll cuts the earlier steps down, the more the more there are.
func slimAll(steps []models.CanaryStep) {
	for i, step := range steps {
		if i < len(steps)-stepsWhole {
			step.History, step.Verdict.Metrics = lastOf(step.History, 1), nil
		}
		steps[i] = slim(step, oldLooksKept/min(len(steps), stepsWhole))
	}
}

// slim cuts an earlier step down to what a plot and a table of it need.
func slim(step models.CanaryStep, looks int) models.CanaryStep {
	for len(step.History) > looks {
		step.History = thin(step.History, looks)
	}
	step.Champion.Latency, step.Canary.Latency = nil, nil
	v := &step.Verdict
	v.Reason, v.Harm, v.Safe = clip(v.Reason, oldReason), rounded(v.Harm), rounded(v.Safe)
	v.Metrics = slices.Clone(v.Metrics)
	for i, m := range v.Metrics {
		m.Reason = "" // the step's has them all
		m.Harm, m.Safe, m.HarmThreshold = rounded(m.Harm), rounded(m.Safe), rounded(m.HarmThreshold)
		m.Champion, m.Canary = rounded(m.Champion), rounded(m.Canary)
		v.Metrics[i] = m
	}
	return step
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
