package workflows

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/models"
)

// watch takes a new champion. It is judged once its reference is built; the
// blocks of the one before stay as they are. A request that repeats itself, or
// that was overtaken by a later one, changes nothing.
func (m *monitor) watch(request models.WatchRequest) {
	if m.seen(request.RequestID) {
		return
	}
	before := m.state.Watch
	if before != nil && !request.Decided.IsZero() && request.Decided.Before(before.Decided) {
		m.note(models.MonitorEvent{Text: fmt.Sprintf("asked to watch version %s, which version %s had replaced by then", request.Version, before.Version)})
		return
	}
	if request.Unwatched {
		m.unwatch(request.Version)
		return
	}
	m.state.Watch = &request
	m.forget()
	if request.Since.After(m.state.Next) {
		m.state.Next = request.Since
	}
	m.state.Watched, m.state.Judged = m.state.Next, m.state.Next
	m.note(models.MonitorEvent{Block: m.state.Next, Text: "watches version " + request.Version})
	m.supersede(request.Version)
	m.newData(before)
	m.look = true
}

// unwatch ends the watch: the spec of the new champion has no monitor section.
func (m *monitor) unwatch(version string) {
	m.note(models.MonitorEvent{Block: m.state.Next, Text: "watches nobody any more: the spec of version " + version + " has no monitor section"})
	m.supersede(version)
	m.forget()
	m.state.Watch, m.state.Request, m.state.Arrival, m.state.ArrivalRetryAt = nil, nil, nil, time.Time{}
	m.look = true
}

// forget drops what is known of the champion before. Its blocks stay as they
// are: nobody scores them any more.
func (m *monitor) forget() {
	m.state.Reference, m.state.Inputs, m.state.Ahead, m.state.Evidence = nil, nil, nil, nil
	m.state.Detector, m.present = models.DetectorState{}, models.DetectorState{}
	for i := range m.state.Blocks {
		m.state.Blocks[i].Final = true
	}
	m.state.Errands = slices.DeleteFunc(m.state.Errands, func(e models.MonitorErrand) bool { return e.Compare && !m.started[e.ID] })
	m.trouble = ""
}

// supersede closes the alarm of the champion before. That its retraining made
// the new one is for the steward to say, before this or after.
func (m *monitor) supersede(version string) {
	if alarm := m.pending(); alarm != nil {
		alarm.Settled, alarm.RetryAt = true, time.Time{}
		if alarm.State != models.AlarmPromoted {
			alarm.State = models.AlarmSuperseded
		}
		alarm.Action = "version " + version + " took over"
	}
	m.state.Pending = ""
}

// buildReference asks for what live blocks are held against until there is an
// answer. If what it is made from is not stored any more, the losses that came
// with the request stand in for it.
func (m *monitor) buildReference(ctx workflow.Context) error {
	watch := m.state.Watch
	m.show(ctx, "the reference of version "+watch.Version+" to be built")
	reference, err := whileWatched(ctx, m, heavy(ctx, "Build the reference of version "+watch.Version), models.DriftExplanation.BuildReference,
		models.ReferenceRequest{Endpoint: m.state.Endpoint, Watch: *watch})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case m.state.Watch != watch:
		return nil // for the next champion there will be another
	case err != nil:
		why := clip(reason(err), longestReason)
		m.note(models.MonitorEvent{Text: "the reference of version " + watch.Version + " can't be built; the losses of its evaluation stand in for it", Failed: why})
		reference = models.LossReference(watch.Reference, "the losses of the evaluation only: "+why)
	}
	m.trouble = ""
	m.restart(drift.New, reference.Blocks)
	reference.Blocks = brief(reference.Blocks)
	m.state.Reference = &reference
	return nil
}

// answersWithin is when the page says that there is no answer. A store that does
// not answer is asked for ever, which nobody would see otherwise.
const answersWithin = 15 * time.Minute

// whileWatched is call that is given up when another champion is to be watched.
func whileWatched[A, Req, Res any](outer workflow.Context, m *monitor, ctx workflow.Context, method func(A, context.Context, Req) (Res, error), req Req) (none Res, err error) {
	watch := m.state.Watch
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	answer := start(ctx, method, req)
	over := func() bool { return answer.IsReady() || m.state.Watch != watch }
	inTime, err := awaitWithin(outer, answersWithin, over)
	if err == nil && !inTime {
		m.trouble = fmt.Sprintf("no answer from %s for %s; the pending activity of %s has its last failure", nameOf(method), answersWithin, models.MonitorID(m.state.Endpoint))
		m.note(models.MonitorEvent{Text: "waits for " + nameOf(method), Failed: m.trouble})
		m.show(outer, m.whatNext())
		err = workflow.Await(outer, over)
	}
	switch {
	case err != nil:
		return none, err
	case !answer.IsReady():
		return none, temporal.NewCanceledError()
	}
	return answer.get(ctx)
}

func (m *monitor) seen(requestID string) bool {
	if slices.Contains(m.state.Seen, requestID) {
		return true
	}
	m.state.Seen = slices.Clone(lastOf(append(m.state.Seen, requestID), requestsRemembered))
	return false
}
