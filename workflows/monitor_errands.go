package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// errandWithin is how long an errand is tried; errandsKept bounds those under
	// way.
	errandWithin = time.Hour
	errandsKept  = 50
	// shownInReports are the blocks that an alarm's plots show.
	shownInReports = 120
)

// note records what happened, and tells whoever wants to know.
func (m *monitor) note(event models.MonitorEvent) {
	event.At = m.now()
	event.Text, event.Failed = clip(event.Text, longestOrder), clip(event.Failed, longestOrder)
	m.state.Actions = slices.Clone(lastOf(append(m.state.Actions, event), eventsKept))
	if event.Kind == "" || m.state.Watch == nil {
		return
	}
	watch := m.state.Watch
	m.state.Begun++
	notice := models.Notice{
		ID:   fmt.Sprintf("%s/notice/%d", models.MonitorID(m.state.Endpoint), m.state.Begun),
		Kind: event.Kind, Endpoint: m.state.Endpoint, Model: watch.Model, Version: watch.Version, At: later(event.Block, m.matured()),
		Title: titleOf(event.Kind, m.state.Endpoint, watch.Version), Text: event.Text,
	}
	for i, to := range watch.Spec.Notify {
		if slices.Contains(to.On, event.Kind) {
			m.errand(models.MonitorErrand{ID: fmt.Sprintf("%s/to/%d", notice.ID, i+1), Notify: &models.NotifyRequest{To: to, Notice: notice}})
		}
	}
}

func titleOf(kind models.NoticeKind, endpoint, version string) string {
	switch kind {
	case models.NoticeAlarm:
		return fmt.Sprintf("%s: version %s got worse", endpoint, version)
	case models.NoticeRetraining:
		return endpoint + ": a retraining runs"
	case models.NoticePromoted:
		return endpoint + ": a retrained version took over"
	case models.NoticeNotHelping:
		return endpoint + ": retraining does not help"
	case models.NoticeFailed:
		return endpoint + ": the retraining failed"
	case models.NoticeRefused:
		return endpoint + ": no retraining now"
	case models.NoticePerson:
		return endpoint + ": a person must decide"
	default:
		return endpoint + ": " + string(kind)
	}
}

// eventOf says what became of a retraining.
func eventOf(settled models.RetrainSettled, alarm string) models.MonitorEvent {
	event := models.MonitorEvent{Alarm: alarm}
	switch settled.Outcome {
	case models.RetrainStarted:
		event.Kind, event.Text = models.NoticeRetraining, "a retraining runs: "+settled.Lifecycle
	case models.RetrainPromoted:
		event.Kind, event.Text = models.NoticePromoted, "the retrained version took over: "+settled.Reason
	case models.RetrainNotHelping:
		event.Kind, event.Text = models.NoticeNotHelping, "retraining does not help: "+settled.Reason
	case models.RetrainFailed:
		event.Kind, event.Text = models.NoticeFailed, "the retraining failed: "+settled.Reason
	case models.RetrainInFlight, models.RetrainCooling, models.RetrainUnpaid:
		event.Kind, event.Text = models.NoticeRefused, "no retraining now: "+settled.Reason
	case models.RetrainAsksPerson, models.RetrainImpossible:
		event.Kind, event.Text = models.NoticePerson, "a person must decide: "+settled.Reason
	}
	if alarm == "" {
		event.Text += " (request " + settled.RequestID + ")"
	}
	return event
}

// explain asks why the loss rose; with the gate's verdict once more, when
// retraining did not help.
func (m *monitor) explain(alarm models.Alarm, gate *models.GateVerdict) {
	if m.state.Watch.Spec.Inputs.Off || !m.comparable() {
		return
	}
	m.state.Begun++
	m.errand(models.MonitorErrand{ID: fmt.Sprintf("explain/%d", m.state.Begun), Explain: &models.ExplainErrand{Alarm: alarm.RequestID, Gate: gate}})
}

// compare asks how the inputs differ from the reference's, unless that is
// about to be asked.
func (m *monitor) compare() {
	if m.state.Watch.Spec.Inputs.Off || !m.comparable() {
		return
	}
	waits := func(e models.MonitorErrand) bool { return e.Compare && !m.started[e.ID] }
	if slices.ContainsFunc(m.state.Errands, waits) {
		return
	}
	m.state.Begun++
	m.errand(models.MonitorErrand{ID: fmt.Sprintf("compare/%d", m.state.Begun), Compare: true})
}

// comparable: there is a reference that inputs can be held against.
func (m *monitor) comparable() bool {
	return m.state.Reference != nil && m.state.Reference.Object != nil
}

// errand begins work that judging does not wait for.
func (m *monitor) errand(e models.MonitorErrand) {
	if len(m.state.Errands) >= errandsKept {
		m.note(models.MonitorEvent{Text: "left out " + e.ID, Failed: fmt.Sprintf("%d others are under way", len(m.state.Errands))})
		return
	}
	e.Since = m.now()
	m.state.Errands = append(slices.Clone(m.state.Errands), e)
}

// runErrands begins each errand in a coroutine of its own, those on the same
// subject one after the other.
func (m *monitor) runErrands(ctx workflow.Context) {
	next := func() int {
		return slices.IndexFunc(m.state.Errands, func(e models.MonitorErrand) bool { return !m.started[e.ID] && m.first(e) })
	}
	for workflow.Await(ctx, func() bool { return next() >= 0 }) == nil {
		e := m.state.Errands[next()]
		m.started[e.ID] = true
		workflow.Go(ctx, func(ctx workflow.Context) {
			err := m.carryOut(ctx, e)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				m.note(models.MonitorEvent{Text: failedErrand(e), Failed: reason(err)})
			}
			delete(m.started, e.ID)
			m.state.Errands = slices.DeleteFunc(slices.Clone(m.state.Errands), func(other models.MonitorErrand) bool { return other.ID == e.ID })
			m.show(ctx, m.waiting)
		})
	}
}

// first: no older errand has the same subject.
func (m *monitor) first(e models.MonitorErrand) bool {
	i := slices.IndexFunc(m.state.Errands, func(other models.MonitorErrand) bool { return subject(other) == subject(e) })
	return i >= 0 && m.state.Errands[i].ID == e.ID
}

func subject(e models.MonitorErrand) string {
	switch {
	case e.Explain != nil:
		return "explain " + e.Explain.Alarm
	case e.Compare:
		return "compare"
	default:
		return e.ID
	}
}

func failedErrand(e models.MonitorErrand) string {
	switch {
	case e.Explain != nil:
		return "the alarm can't be explained"
	case e.Compare:
		return "the inputs can't be compared"
	default: // the address may be a secret
		return fmt.Sprintf("the notice %q did not arrive at a receiver of format %s", e.Notify.Notice.Title, e.Notify.To.Format)
	}
}

func (m *monitor) carryOut(ctx workflow.Context, e models.MonitorErrand) error {
	left := max(errandWithin-m.now().Sub(e.Since), time.Second)
	switch watch := m.state.Watch; {
	case e.Notify != nil:
		return do(inTime(quick(ctx, "Tell: "+e.Notify.Notice.Title), left), models.Retrainings.SendNotice, *e.Notify)
	case e.Explain != nil:
		alarm := m.alarmOf(e.Explain.Alarm)
		if alarm == nil || !m.comparable() || alarm.Version != watch.Version {
			return nil // its champion is gone, and with it the reference
		}
		explanation, err := call(inTime(heavy(ctx, "Explain the alarm of "+blockKey(alarm.Block)), left), models.DriftExplanation.ExplainAlarm, m.explainRequest(*alarm, e.Explain.Gate))
		if alarm := m.alarmOf(e.Explain.Alarm); err == nil && alarm != nil {
			alarm.Explanation = &explanation
		}
		return err
	default:
		if !m.comparable() || len(m.state.Evidence) == 0 {
			return nil
		}
		report, err := call(inTime(heavy(ctx, "Compare the inputs"), left), models.DriftExplanation.CompareInputs, m.compareRequest(recentBlocks))
		if err == nil && m.state.Watch == watch {
			m.state.Inputs = &report
		}
		return err
	}
}

func (m *monitor) compareRequest(recent int) models.CompareRequest {
	watch := m.state.Watch
	return models.CompareRequest{Endpoint: m.state.Endpoint, Version: watch.Version, Spec: watch.Spec, Data: watch.Data,
		Reference: *m.state.Reference.Object, Blocks: blocksOf(m.state.Evidence), Recent: recent}
}

// explainRequest shows the blocks before the alarm and after; those since the
// change are "now".
func (m *monitor) explainRequest(alarm models.Alarm, gate *models.GateVerdict) models.ExplainRequest {
	request := models.ExplainRequest{Compare: m.compareRequest(recentBlocks), Alarm: alarm, Gate: gate}
	request.Alarm.Explanation = nil
	since := 0
	for _, b := range request.Compare.Blocks {
		if !b.Start.Before(alarm.Change) {
			since++
		}
	}
	request.Compare.Recent = max(since, 1)
	for _, b := range lastOf(m.state.Blocks, shownInReports) {
		if b.Version != alarm.Version {
			continue // of another champion, with detectors of its own
		}
		b.Looks, b.Slices = nil, nil
		request.Shown = append(request.Shown, b)
	}
	return request
}
