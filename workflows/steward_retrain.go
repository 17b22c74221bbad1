package workflows

import (
	"fmt"
	"slices"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/models"
)

// retrain starts a lifecycle on the newest window, unless the policy refuses.
// Whoever asked is told of the start, and of the end when it comes.
func (s *steward) retrain(ctx workflow.Context, request models.RetrainRequest) {
	if i := slices.IndexFunc(s.state.Retrainings, func(r models.Retraining) bool { return r.RequestID == request.RequestID }); i >= 0 {
		// Who asks again may have missed the answer. Where that is another workflow,
		// the monitor has been told, or will be.
		endpoint := request.Endpoint
		if request.ReplyTo != "" {
			endpoint = ""
		}
		s.tellRetraining(ctx, endpoint, request.ReplyTo, s.told(s.state.Retrainings[i]))
		return
	}
	if request.AsOf.IsZero() {
		request.AsOf = workflow.Now(ctx).UTC() // as a lifecycle takes it
	}
	champion := s.state.Champion // by the time that the lifecycle has started it may be another
	if why := s.refusal(request); why != nil {
		s.refuseRetraining(ctx, request, *why)
		return
	}
	id, err := s.startRetraining(ctx, request, retrainingSpec(*s.version(champion), request))
	if err != nil {
		s.refuseRetraining(ctx, request, refusal{outcome: models.RetrainImpossible, reason: "the lifecycle did not start: " + reason(err)})
		return
	}
	started := models.Retraining{
		RequestID: request.RequestID, LifecycleID: id, Trigger: request.Trigger, AsOf: request.AsOf, Endpoint: request.Endpoint,
		Champion: champion, ReplyTo: request.ReplyTo, Forced: request.Force,
	}
	s.state.Retrainings = append(s.state.Retrainings, started)
	s.record(ctx, models.Record{Action: models.ActionRetrainStarted, Version: s.state.Champion, By: request.RequestID, Reason: triggered(request)})
	s.tellRetraining(ctx, started.Endpoint, started.ReplyTo, s.told(started))
}

// triggered says in the record what a retraining is for, and who insisted on it.
func triggered(request models.RetrainRequest) string {
	why := fmt.Sprintf("%s: %s", request.Trigger.Kind, request.Trigger.Reason)
	if request.Force {
		why += fmt.Sprintf(" (%s insists: cooldown, budget and failures did not count)", orNone(request.Trigger.By))
	}
	return why
}

// mostADay bounds the search for a free lifecycle ID.
const mostADay = 100

// startRetraining starts the lifecycle under an ID that nobody has used: that of
// the day, or of the day with a number. A used one would be taken for a
// repetition by everything that remembers the lifecycle by its ID.
func (s *steward) startRetraining(ctx workflow.Context, request models.RetrainRequest, spec models.LifecycleSpec) (id string, err error) {
	summary := fmt.Sprintf("Retrain %s as of %s: %s", s.state.Model, models.DayKey(request.AsOf), clip(request.Trigger.Reason, 100))
	for n := 1; n <= mostADay; n++ {
		key := models.DayKey(request.AsOf)
		if n > 1 {
			key = fmt.Sprintf("%s-%d", key, n)
		}
		if id = models.LifecycleID(s.state.Model, key); s.knowsLifecycle(id) {
			continue
		}
		options := workflow.GetChildWorkflowOptions(independent(ctx, id, summary))
		options.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
		err = workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), models.LifecycleWorkflow, spec).
			GetChildWorkflowExecution().Get(ctx, nil)
		if !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return id, err
		}
	}
	return "", failure(&models.Error{Kind: models.KindInvalidSpec, Subject: "model " + s.state.Model,
		Message: fmt.Sprintf("%d lifecycles as of %s exist already", mostADay, models.DayKey(request.AsOf))})
}

func (s *steward) knowsLifecycle(id string) bool {
	return slices.ContainsFunc(s.state.Retrainings, func(r models.Retraining) bool { return r.LifecycleID == id }) ||
		slices.ContainsFunc(s.state.Versions, func(v models.ModelVersion) bool { return v.Candidate.Lifecycle == id })
}

func (s *steward) openRetrainings() (open []models.Retraining) {
	for _, r := range s.state.Retrainings {
		if !r.Ended {
			open = append(open, r)
		}
	}
	return open
}

// settle notes that a lifecycle has ended. If it was a retraining, whoever asked
// for it is told, and then those whom it stood in the way.
func (s *steward) settle(ctx workflow.Context, closed models.LifecycleClosed) {
	s.part(ctx, closed.LifecycleID, "the lifecycle has ended")
	i := slices.IndexFunc(s.state.Retrainings, func(r models.Retraining) bool { return r.LifecycleID == closed.LifecycleID && !r.Ended })
	if i < 0 {
		return // started by a person, or reported before
	}
	r := &s.state.Retrainings[i]
	r.Ended, r.Promoted, r.Version, r.GPUSeconds = true, closed.Result.Promoted, closed.Result.Version, closed.GPUSeconds
	r.Outcome, r.Reason = endOf(closed)
	r.Reason = clip(r.Reason, longestReason)
	ended := *r // telling takes its time, and the list may have grown meanwhile
	s.record(ctx, models.Record{Action: models.ActionRetrainEnded, Version: ended.Version, By: ended.LifecycleID, Reason: string(ended.Outcome) + ": " + ended.Reason})
	settled := s.told(ended)
	if verdict := closed.Result.Gate; verdict.Verdict != "" {
		brief := gate.Brief(verdict)
		settled.Gate = &brief
	}
	s.tellRetraining(ctx, ended.Endpoint, ended.ReplyTo, settled)
	s.tellRefused(ctx, ended)
}

// endOf tells a retraining that was judged and found of no use from one that
// broke. A person's no says nothing about the model either.
func endOf(closed models.LifecycleClosed) (models.RetrainOutcome, string) {
	result := closed.Result
	switch {
	case closed.Error != "":
		return models.RetrainFailed, closed.Error
	case result.Promoted:
		return models.RetrainPromoted, result.Reason
	case result.RefusedBy == models.RefusedByGate || result.RefusedBy == models.RefusedByCanary:
		return models.RetrainNotHelping, fmt.Sprintf("the %s said no: %s", result.RefusedBy, result.Reason)
	default:
		return models.RetrainFailed, result.Reason
	}
}

// sweep settles lifecycles that ended without a word, terminated or reset to
// nothing: retrainings, and those for which a person would decide in vain. A
// monitor that somebody terminated is begun anew.
func (s *steward) sweep(ctx workflow.Context) {
	var ids []string
	for _, r := range s.openRetrainings() {
		ids = append(ids, r.LifecycleID)
	}
	for _, p := range s.state.Approvals {
		ids = append(ids, p.Request.ReplyTo)
	}
	monitor := ""
	if champion := s.version(s.state.Champion); champion != nil && champion.Spec.Monitor != nil && champion.Spec.Deploy != nil {
		monitor = models.MonitorID(champion.Spec.Deploy.Endpoint)
		ids = append(ids, monitor)
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
		if id == monitor {
			if champion := s.version(s.state.Champion); champion != nil { // it may be another by now
				s.watchChampion(ctx, *champion, nil)
			}
			continue
		}
		s.settle(ctx, models.LifecycleClosed{LifecycleID: id, Error: "the lifecycle ended without a report; it was terminated"})
	}
}
