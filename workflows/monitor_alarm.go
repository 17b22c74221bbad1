package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// askAgainAfter is the event time between two requests when the steward did not
// say when another one may succeed.
const askAgainAfter = 24 * time.Hour

// remindAfter is the wall clock after which the steward is sent a request again
// that has not ended: an answer may have been lost with whoever gave it.
const remindAfter = 6 * time.Hour

// raise records an alarm and does what the spec says.
func (m *monitor) raise(raised models.Alarm) {
	raised.Action = "raised"
	m.state.Alarms = slices.Clone(lastOf(append(m.state.Alarms, raised), alarmsKept))
	m.state.Pending = raised.RequestID
	alarm, policy := m.pending(), m.state.Watch.Spec.Retrain
	m.note(models.MonitorEvent{Kind: models.NoticeAlarm, Block: alarm.Block, Alarm: alarm.RequestID,
		Text: fmt.Sprintf("version %s got worse: %s", alarm.Version, wordsOf(*alarm))})
	m.explain(*alarm, nil)
	if policy.Off {
		alarm.State, alarm.Action = models.AlarmRecorded, "recorded; by the spec, alarms start nothing: a person decides"
		return
	}
	m.askFor(alarm)
}

// wordsOf says what an alarm is about.
func wordsOf(a models.Alarm) string {
	since := ""
	if !a.Change.IsZero() {
		since = " since " + blockKey(a.Change)
	}
	return fmt.Sprintf("loss %s%s, reference %s; %s at %s, beyond %s", number(a.Loss), since, number(a.Reference), a.Detector,
		number(a.Martingale), number(a.Threshold))
}

// askFor asks the steward to retrain because of an alarm, unless the monitor is
// paused or another of its requests is under way.
func (m *monitor) askFor(alarm *models.Alarm) {
	alarm.State, alarm.RetryAt = models.AlarmWaiting, time.Time{}
	switch {
	case m.state.Paused != "":
		alarm.Action = "waits until somebody resumes the monitor, which is paused by " + m.state.Paused
	case m.state.Request != nil:
		alarm.Action, alarm.Answer = "waits for the retraining "+m.state.Request.RequestID, models.RetrainInFlight
		alarm.RetryAt = m.state.Watermark.Add(askAgainAfter)
	default:
		m.request(alarm, models.RetrainRequest{Trigger: triggerOf(*alarm), AsOf: alarm.AsOf})
	}
}

// request sends the alarm's next request.
func (m *monitor) request(alarm *models.Alarm, request models.RetrainRequest) {
	alarm.Asked++
	alarm.State, alarm.Action, alarm.RetryAt = models.AlarmAsked, "asked for a retraining", time.Time{}
	request.RequestID, request.Champion = attemptID(*alarm), alarm.Version
	m.send(request)
}

func (m *monitor) send(request models.RetrainRequest) {
	request.Endpoint = m.state.Endpoint
	m.state.Asking = &models.StewardSignal{Model: m.state.Watch.Model, Retrain: &request}
	m.ask()
}

func (m *monitor) ask() {
	m.asks = append(m.asks, *m.state.Asking)
	m.state.Asked = m.now()
}

// remind sends the request again that has not ended for long. A steward that
// knows it says again what it said; one that lost it takes it up.
func (m *monitor) remind() {
	switch {
	case m.state.Asking == nil:
	case m.state.Paused != "" && !m.state.Asking.Retrain.Force:
	case !m.waitsFor(m.state.Asking.Retrain.RequestID):
		m.state.Asking = nil
	case len(m.asks) == 0 && m.now().Sub(m.state.Asked) >= remindAfter:
		m.ask()
	}
}

// waitsFor: the request has not ended, for all that is known here.
func (m *monitor) waitsFor(requestID string) bool {
	if own := m.state.Request; own != nil && own.RequestID == requestID {
		return true
	}
	alarm := m.pending()
	return alarm != nil && alarm.State == models.AlarmAsked && attemptID(*alarm) == requestID
}

// attemptID is the ID of an alarm's newest request.
func attemptID(a models.Alarm) string {
	if a.Asked <= 1 {
		return a.RequestID
	}
	return fmt.Sprintf("%s/%d", a.RequestID, a.Asked)
}

// askAgain asks once more when the time that the steward named has come, or the
// monitor is not paused any more.
func (m *monitor) askAgain() {
	alarm := m.pending()
	if alarm == nil || alarm.State != models.AlarmWaiting && alarm.State != models.AlarmFailed ||
		m.state.Paused != "" || m.state.Request != nil || m.state.Watermark.Before(alarm.RetryAt) {
		return
	}
	newest := later(alarm.AsOf, later(alarm.RetryAt, m.matured())) // all that is known by now
	m.request(alarm, models.RetrainRequest{Trigger: triggerOf(*alarm), AsOf: newest})
}

func triggerOf(a models.Alarm) models.Trigger {
	return models.Trigger{Kind: models.TriggerAlarm, At: a.Block, Change: a.Change, Reason: wordsOf(a)}
}

// settle takes the news of a retraining: of an alarm's, of one that a person or
// an arrival asked for here, or of one that somebody else asked for.
func (m *monitor) settle(settled models.RetrainSettled) {
	if m.seen(fmt.Sprintf("%s/%s", settled.RequestID, settled.Outcome)) {
		return
	}
	settled.Reason = clip(settled.Reason, longestReason)
	alarm := m.alarmOf(settled.RequestID)
	switch own := m.state.Request; {
	case alarm != nil:
		m.settleAlarm(alarm, settled)
	case own != nil && own.RequestID == settled.RequestID:
		m.settleRequest(settled)
	case strings.HasPrefix(settled.RequestID, models.MonitorID(m.state.Endpoint)+"/arrival/"):
		m.state.ArrivalRetryAt = settled.RetryAt // what it was refused for is over
	default:
		m.note(eventOf(settled, ""))
	}
	if wasRun(settled.Outcome) {
		m.released()
	}
	m.look = true
}

// wasRun: the retraining ran, and runs no more.
func wasRun(outcome models.RetrainOutcome) bool {
	return outcome == models.RetrainPromoted || outcome == models.RetrainNotHelping || outcome == models.RetrainFailed
}

// released lets an alarm ask that waits for somebody else's retraining, which
// has ended.
func (m *monitor) released() {
	if alarm := m.pending(); alarm != nil && alarm.State == models.AlarmWaiting && alarm.Answer == models.RetrainInFlight {
		alarm.RetryAt = time.Time{}
	}
}

func (m *monitor) settleAlarm(alarm *models.Alarm, settled models.RetrainSettled) {
	repeated := alarm.Answer == settled.Outcome && !wasRun(settled.Outcome)
	event := eventOf(settled, alarm.RequestID)
	event.Block = alarm.Block
	if repeated {
		event.Kind = "" // they have been told
	}
	switch current := alarm.RequestID == m.state.Pending && attemptID(*alarm) == settled.RequestID; {
	case settled.Outcome == models.RetrainPromoted:
		alarm.State, alarm.Promoted, alarm.Settled = models.AlarmPromoted, true, true
		alarm.Action, alarm.Lifecycle = cmp.Or(settled.Reason, alarm.Action), cmp.Or(settled.Lifecycle, alarm.Lifecycle)
	case !current:
		event.Kind = ""
		event.Text += "; the alarm does not wait for it any more"
	default:
		alarm.Answer, alarm.Lifecycle = settled.Outcome, cmp.Or(settled.Lifecycle, alarm.Lifecycle)
		m.answered(alarm, settled)
	}
	m.note(event)
}

// answered goes on after the steward's answer to the newest request of the open
// alarm.
func (m *monitor) answered(alarm *models.Alarm, settled models.RetrainSettled) {
	retryAt := settled.RetryAt
	if retryAt.IsZero() {
		retryAt = m.state.Watermark.Add(askAgainAfter)
	}
	switch settled.Outcome {
	case models.RetrainStarted:
		alarm.Action = "retraining runs: " + settled.Lifecycle
	case models.RetrainNotHelping:
		alarm.State, alarm.Action = models.AlarmNotHelping, "retraining does not help: "+settled.Reason
		m.close(alarm, "retraining does not help")
		m.explain(*alarm, settled.Gate)
	case models.RetrainFailed:
		alarm.State, alarm.RetryAt = models.AlarmFailed, retryAt
		alarm.Action = fmt.Sprintf("the retraining failed; asks again at %s: %s", moment(retryAt), settled.Reason)
	case models.RetrainInFlight, models.RetrainCooling, models.RetrainUnpaid:
		alarm.State, alarm.RetryAt = models.AlarmWaiting, retryAt
		alarm.Action = fmt.Sprintf("waits, asks again at %s: %s", moment(retryAt), settled.Reason)
	case models.RetrainAsksPerson, models.RetrainImpossible:
		alarm.State, alarm.Action = models.AlarmPerson, "a person must decide: "+settled.Reason
	case models.RetrainPromoted: // handled before: it may come late
	}
}

// close ends the open alarm and takes the present level as the new reference.
func (m *monitor) close(alarm *models.Alarm, why string) {
	alarm.Settled, alarm.RetryAt = true, time.Time{}
	m.state.Pending = ""
	m.rebase(alarm.Change, why)
}

// pending is the alarm that the detectors wait for; nil: there is none.
func (m *monitor) pending() *models.Alarm {
	if m.state.Pending == "" {
		return nil
	}
	return m.alarmOf(m.state.Pending)
}

// alarmOf finds the alarm of a request, whichever attempt it is.
func (m *monitor) alarmOf(requestID string) *models.Alarm {
	for i := len(m.state.Alarms) - 1; i >= 0; i-- {
		a := &m.state.Alarms[i]
		if rest, ok := strings.CutPrefix(requestID, a.RequestID); ok && (rest == "" || rest[0] == '/') {
			return a
		}
	}
	return nil
}

// matured is the event time up to which blocks have been judged.
func (m *monitor) matured() time.Time {
	if m.state.Next.IsZero() {
		return m.state.Watermark
	}
	due := firstDue(m.state.Watch.Spec, m.state.Next)
	if due.After(m.state.Watermark) {
		return m.state.Watermark
	}
	return due
}
