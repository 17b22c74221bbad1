package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// retrain starts a lifecycle on the newest window, unless one is in flight,
// the last is too recent, or too many in a row promoted nothing.
func (s *steward) retrain(ctx workflow.Context, request models.RetrainRequest) {
	if slices.ContainsFunc(s.state.Retrainings, func(r models.Retraining) bool { return r.RequestID == request.RequestID }) {
		return // its end will be reported, or has been
	}
	champion := s.state.Champion // by the time that the lifecycle has started it may be another
	if why := s.refusal(s.version(champion), request); why != "" {
		s.record(ctx, models.Record{Action: models.ActionRetrainRefused, Version: s.state.Champion, By: request.RequestID, Reason: why})
		s.tellMonitor(ctx, request.Endpoint, models.RetrainSettled{RequestID: request.RequestID, Outcome: models.RetrainImpossible, Reason: why})
		return
	}
	spec := retrainingSpec(*s.version(champion), request)
	id := models.LifecycleID(s.state.Model, models.DayKey(request.AsOf))
	started := workflow.ExecuteChildWorkflow(
		independent(ctx, id, fmt.Sprintf("Retrain %s as of %s: %s", s.state.Model, models.DayKey(request.AsOf), request.Trigger.Reason)),
		models.LifecycleWorkflow, spec).GetChildWorkflowExecution().Get(ctx, nil)
	if started != nil {
		why := "the lifecycle did not start: " + reason(started)
		s.record(ctx, models.Record{Action: models.ActionRetrainRefused, Version: s.state.Champion, By: request.RequestID, Reason: why})
		s.tellMonitor(ctx, request.Endpoint, models.RetrainSettled{RequestID: request.RequestID, Outcome: models.RetrainImpossible, Reason: why})
		return
	}
	s.state.Retrainings = append(s.state.Retrainings, models.Retraining{
		RequestID: request.RequestID, LifecycleID: id, Trigger: request.Trigger, AsOf: request.AsOf, Endpoint: request.Endpoint,
		Champion: champion,
	})
	s.record(ctx, models.Record{Action: models.ActionRetrainStarted, Version: s.state.Champion, By: request.RequestID, Reason: request.Trigger.Reason})
}

// refusal says why no retraining starts now; empty: it may.
func (s *steward) refusal(champion *models.ModelVersion, request models.RetrainRequest) string {
	if champion == nil {
		return "there is no champion to retrain"
	}
	if open := s.openRetrainings(); len(open) > 0 {
		return "one is in flight already: " + open[0].LifecycleID
	}
	if champion.Spec.Monitor == nil {
		return fmt.Sprintf("the spec of version %s has no monitor section: it does not say how to retrain", champion.Version)
	}
	if len(s.state.Retrainings) == 0 {
		return ""
	}
	policy := champion.Spec.Monitor.Retrain
	last := s.state.Retrainings[len(s.state.Retrainings)-1]
	if since := request.AsOf.Sub(last.AsOf); since < policy.Cooldown.Std() {
		return fmt.Sprintf("the last was %s before, and the cooldown is %s", models.Duration(since), policy.Cooldown)
	}
	if failed := s.failedInARow(); failed >= policy.MaxFailures {
		return fmt.Sprintf("the last %d promoted nothing; start a lifecycle by hand after looking at the data", failed)
	}
	return ""
}

// failedInARow counts back to the last that was promoted. With another champion,
// which a person has released or gone back to, it begins anew.
func (s *steward) failedInARow() (n int) {
	for _, r := range slices.Backward(s.state.Retrainings) {
		if r.Promoted || r.Champion != s.state.Champion {
			break
		}
		n++
	}
	return n
}

func retrainingSpec(champion models.ModelVersion, request models.RetrainRequest) models.LifecycleSpec {
	spec := champion.Spec
	policy := spec.Monitor.Retrain
	spec.Data.AsOf = request.AsOf
	if policy.Window > 0 {
		spec.Data.Window = policy.Window
	}
	if policy.Holdout > 0 {
		spec.Data.Holdout = policy.Holdout
	}
	trigger := request.Trigger
	spec.Trigger = &trigger
	return spec
}

func (s *steward) openRetrainings() (open []models.Retraining) {
	for _, r := range s.state.Retrainings {
		if !r.Ended {
			open = append(open, r)
		}
	}
	return open
}

// settle notes that a lifecycle has ended. If it was a retraining, the monitor
// that asked for it is told.
func (s *steward) settle(ctx workflow.Context, closed models.LifecycleClosed) {
	s.part(ctx, closed.LifecycleID, "the lifecycle has ended")
	i := slices.IndexFunc(s.state.Retrainings, func(r models.Retraining) bool { return r.LifecycleID == closed.LifecycleID && !r.Ended })
	if i < 0 {
		return // started by a person, or reported before
	}
	r := &s.state.Retrainings[i]
	r.Ended, r.Promoted, r.Version, r.Reason = true, closed.Result.Promoted, closed.Result.Version, closed.Result.Reason
	r.Outcome = models.RetrainNotHelping
	if r.Promoted {
		r.Outcome = models.RetrainPromoted
	}
	if closed.Error != "" {
		r.Reason, r.Outcome = closed.Error, models.RetrainFailed
	}
	r.Reason = clip(r.Reason, longestReason)
	s.record(ctx, models.Record{Action: models.ActionRetrainEnded, Version: r.Version, By: r.LifecycleID, Reason: r.Reason})
	s.tellMonitor(ctx, r.Endpoint, models.RetrainSettled{RequestID: r.RequestID, Outcome: r.Outcome, Reason: r.Reason})
}

// sweep settles lifecycles that ended without a word, terminated or reset to
// nothing: retrainings, and those for which a person would decide in vain.
func (s *steward) sweep(ctx workflow.Context) {
	var ids []string
	for _, r := range s.openRetrainings() {
		ids = append(ids, r.LifecycleID)
	}
	for _, p := range s.state.Approvals {
		ids = append(ids, p.Request.ReplyTo)
	}
	if len(ids) == 0 {
		return
	}
	found, err := aside(ctx, models.Entities.FindClosed, models.FindClosedRequest{WorkflowIDs: ids})
	if err != nil {
		return // the next sweep looks again
	}
	if len(found.WorkflowIDs) > 0 {
		// A report that came in meanwhile is read first.
		_ = workflow.Sleep(ctx, time.Second)
	}
	for _, id := range found.WorkflowIDs {
		s.settle(ctx, models.LifecycleClosed{LifecycleID: id, Error: "the lifecycle ended without a report; it was terminated"})
	}
}

func (s *steward) tellMonitor(ctx workflow.Context, endpoint string, settled models.RetrainSettled) {
	if endpoint == "" {
		return
	}
	s.must(ctx, do(quick(ctx, "Tell the monitor"), models.Entities.SignalMonitor,
		models.MonitorSignal{Endpoint: endpoint, Settled: &settled}))
}
