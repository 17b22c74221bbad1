package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// scheduleWithin bounds the tries to reach the schedule; the next champion tries
// again.
const scheduleWithin = 15 * time.Minute

// keepSchedule makes the schedule what the champion's spec says by then. Nobody
// waits for it: a promotion must not hang on a schedule. One after the other, so
// that the last champion's stays.
func (s *steward) keepSchedule(ctx workflow.Context) {
	ctx, _ = workflow.NewDisconnectedContext(ctx) // the saga that asks ends before
	s.behind(ctx, func(ctx workflow.Context) {
		if s.scheduling.Lock(ctx) != nil {
			return
		}
		defer s.scheduling.Unlock()
		err := do(inTime(quick(ctx, "Keep the schedule of retrainings"), scheduleWithin), models.Retrainings.KeepSchedule, s.schedule())
		if err != nil && !temporal.IsCanceledError(err) {
			s.must(ctx, err)
		}
	})
}

// schedule is what the champion's spec asks for.
func (s *steward) schedule() models.ScheduleRequest {
	request := models.ScheduleRequest{Model: s.state.Model}
	if champion := s.version(s.state.Champion); champion != nil && champion.Spec.Monitor != nil {
		request.Endpoint = endpointOf(champion.Spec)
		request.Schedule = champion.Spec.Monitor.WithDefaults().Retrain.Schedule
	}
	return request
}
