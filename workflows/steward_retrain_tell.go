package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// refusedKept bounds those that wait for a retraining to end.
const refusedKept = 20

// told is what there is to tell of a retraining as it stands.
func (s *steward) told(r models.Retraining) models.RetrainSettled {
	settled := models.RetrainSettled{RequestID: r.RequestID, Outcome: r.Outcome, Lifecycle: r.LifecycleID, Reason: r.Reason}
	switch {
	case !r.Ended:
		settled.Outcome, settled.Reason = models.RetrainStarted, "it runs as "+r.LifecycleID
	case r.Outcome == models.RetrainFailed:
		// It may be tried again, but not before the policy allows it.
		if why := s.refusal(models.RetrainRequest{AsOf: r.AsOf, Trigger: r.Trigger}); why != nil {
			settled.RetryAt = why.retryAt
		}
	}
	return settled
}

// refuseRetraining is on record.
func (s *steward) refuseRetraining(ctx workflow.Context, request models.RetrainRequest, why refusal) {
	s.record(ctx, models.Record{Action: models.ActionRetrainRefused, Version: s.state.Champion, By: request.RequestID,
		Reason: string(why.outcome) + ": " + why.reason})
	s.tellRefusal(ctx, request, why)
	if request.Trigger.Kind == models.TriggerSchedule && why.outcome == models.RetrainImpossible {
		s.keepSchedule(ctx) // a schedule that the spec does not have any more
	}
}

// tellRefusal remembers a monitor that only another retraining stood in the way
// of. Another workflow has its answer and is gone.
func (s *steward) tellRefusal(ctx workflow.Context, request models.RetrainRequest, why refusal) {
	same := func(r models.RetrainRequest) bool { return r.RequestID == request.RequestID }
	if why.outcome == models.RetrainInFlight && request.Endpoint != "" && request.ReplyTo == "" && !slices.ContainsFunc(s.state.Refused, same) {
		s.state.Refused = lastOf(append(slices.Clone(s.state.Refused), request), refusedKept)
	}
	s.tellRetraining(ctx, request.Endpoint, request.ReplyTo, models.RetrainSettled{
		RequestID: request.RequestID, Outcome: why.outcome, Reason: clip(why.reason, longestReason), RetryAt: why.retryAt, Lifecycle: why.lifecycle,
	})
}

// tellRefused tells those who wait for this retraining's end what they would be
// told now. One who may ask again is "cooling" until a moment that has passed.
// After a promotion they have a new champion to watch.
func (s *steward) tellRefused(ctx workflow.Context, ended models.Retraining) {
	waiting := s.state.Refused
	s.state.Refused = nil
	if ended.Promoted {
		return
	}
	for _, request := range waiting {
		why := s.refusal(request)
		if why == nil {
			why = &refusal{outcome: models.RetrainCooling, retryAt: request.AsOf, reason: fmt.Sprintf(
				"%s, which was in the way, has ended: ask again", ended.LifecycleID)}
		}
		s.tellRefusal(ctx, request, *why)
	}
}

func (s *steward) tellRetraining(ctx workflow.Context, endpoint, replyTo string, settled models.RetrainSettled) {
	s.tellMonitor(ctx, endpoint, settled)
	s.tellWorkflow(ctx, replyTo, settled)
}

func (s *steward) tellMonitor(ctx workflow.Context, endpoint string, settled models.RetrainSettled) {
	if endpoint == "" {
		return
	}
	s.must(ctx, do(quick(ctx, "Tell the monitor: "+string(settled.Outcome)), models.Entities.SignalMonitor,
		models.MonitorSignal{Endpoint: endpoint, Settled: &settled}))
}

func (s *steward) tellWorkflow(ctx workflow.Context, id string, settled models.RetrainSettled) {
	if id != "" {
		s.reply(ctx, id, models.SignalRetrainSettled, settled)
	}
}

// showRetrainings has the one in flight and how the last ones ended.
func (s *steward) showRetrainings(p *page) {
	if len(s.state.Retrainings) == 0 {
		return
	}
	p.header("retraining as of", "for", "outcome", "lifecycle")
	for _, r := range lastOf(s.state.Retrainings, 5) {
		outcome := "in flight"
		if r.Ended {
			outcome = string(r.Outcome) + ": " + clip(r.Reason, 200)
		}
		p.row(models.DayKey(r.AsOf), string(r.Trigger.Kind), outcome, r.LifecycleID)
	}
}
