package workflows

import (
	"cmp"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// takeOrders registers the update by which people steer the monitor. It answers
// at once, before anything that was ordered is done.
func (m *monitor) takeOrders(ctx workflow.Context) error {
	options := workflow.UpdateHandlerOptions{Validator: m.mayOrder, Description: "A person retrains, accepts the level as it is, pauses or resumes the monitor"}
	return workflow.SetUpdateHandlerWithOptions(ctx, models.UpdateMonitor, func(ctx workflow.Context, order models.MonitorOrder) (models.MonitorStatus, error) {
		m.order(order)
		m.show(ctx, m.whatNext())
		return m.status(), nil
	}, options)
}

// mayOrder refuses an order before it enters the history.
func (m *monitor) mayOrder(order models.MonitorOrder) error {
	refuse := func(message, hint string) error {
		return failure(&models.Error{Kind: models.KindInvalidSpec, Subject: "monitor of " + m.state.Endpoint, Message: message, Hint: hint})
	}
	if message, hint := unsigned(order.By, order.Reason); message != "" {
		return refuse(message, hint)
	}
	switch order.Action {
	case models.MonitorRetrain:
		if message, hint := m.cantRetrain(); message != "" {
			return refuse(message, hint)
		}
	case models.MonitorAccept:
		if message, hint := m.cantAccept(); message != "" {
			return refuse(message, hint)
		}
	case models.MonitorPause:
		if m.state.Paused != "" {
			return refuse("it is paused already by "+m.state.Paused, "resume it")
		}
	case models.MonitorResume:
		if m.state.Paused == "" {
			return refuse("it is not paused", "")
		}
	default:
		return refuse(fmt.Sprintf("there is no action %q", order.Action), "use retrain, accept, pause or resume")
	}
	return nil
}

// cantRetrain says why nothing can be retrained now, and what to do; empty: it
// can.
func (m *monitor) cantRetrain() (message, hint string) {
	alarm := m.pending()
	switch {
	case m.state.Watch == nil:
		return "there is no champion yet", "release a version first"
	case m.state.Request != nil:
		return "it has asked for a retraining already: " + m.state.Request.RequestID, "wait for it, or cancel its lifecycle"
	case alarm != nil && alarm.State == models.AlarmAsked:
		return "it has asked for a retraining already: " + attemptID(*alarm), "wait for it, or cancel its lifecycle"
	case alarm != nil && alarm.State == models.AlarmPromoted:
		return "its retraining has been promoted: the new champion is on its way", ""
	case m.matured().IsZero():
		return "no block has been judged yet: it is not known as of when to train", "wait for the first block, or run a lifecycle"
	default:
		return "", ""
	}
}

// cantAccept says why there is nothing to accept, and what to do; empty: there
// is.
func (m *monitor) cantAccept() (message, hint string) {
	alarm := m.pending()
	switch {
	case alarm == nil:
		return "there is no open alarm: nothing to accept", ""
	case alarm.State == models.AlarmPromoted:
		return "its retraining has been promoted: the new champion is on its way", ""
	case len(m.recent(1)) == 0:
		return "no block of version " + m.state.Watch.Version + " has enough labels: there is no level to accept", "wait for labels"
	default:
		return "", ""
	}
}

// order does what a person wants.
func (m *monitor) order(order models.MonitorOrder) {
	alarm := m.pending()
	said := order.By
	if order.Reason != "" {
		said += ", who says: " + order.Reason
	}
	event := models.MonitorEvent{By: order.By}
	if alarm != nil {
		event.Alarm, event.Block = alarm.RequestID, alarm.Block
	}
	switch order.Action {
	case models.MonitorRetrain:
		event.Text = "a retraining is ordered by " + said
		m.retrain(alarm, models.Trigger{Kind: models.TriggerManual, By: order.By, Reason: cmp.Or(order.Reason, "ordered by "+order.By)})
	case models.MonitorAccept:
		event.Text = "the present level is accepted by " + said
		alarm.State, alarm.Action = models.AlarmAccepted, "the level is accepted by "+said
		m.close(alarm, "accepted by "+order.By)
	case models.MonitorPause:
		event.Text = "alarms and arrivals start nothing from now on, by order of " + said
		m.state.Paused = said
	case models.MonitorResume:
		event.Text = "alarms and arrivals start retrainings again, by order of " + said
		m.state.Paused = ""
		if alarm != nil && alarm.State == models.AlarmWaiting && alarm.Asked == 0 {
			alarm.Action = "asks for a retraining"
		}
	}
	m.note(event)
	m.look = true
}

// retrain asks for a retraining that neither cooldown nor budget refuse: for the
// open alarm, if there is one.
func (m *monitor) retrain(alarm *models.Alarm, trigger models.Trigger) {
	if alarm != nil {
		trigger.At, trigger.Change = alarm.Block, alarm.Change
		// Not as of RetryAt: that may be weeks ahead, and nobody waits for it now.
		m.request(alarm, models.RetrainRequest{Trigger: trigger, AsOf: later(alarm.AsOf, m.matured()), Force: true})
		return
	}
	m.state.Orders++
	trigger.At = m.state.Next
	id := fmt.Sprintf("%s/order/%s/%d", models.MonitorID(m.state.Endpoint), m.state.Watch.Version, m.state.Orders)
	m.state.Request = &models.MonitorRequest{RequestID: id, Kind: models.TriggerManual}
	m.send(models.RetrainRequest{RequestID: id, Trigger: trigger, AsOf: m.matured(), Force: true})
}
