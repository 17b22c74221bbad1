package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// watchArrivals lists the champion's source for as long as its spec asks for
// it, beside the judging: a source that does not answer holds up nothing.
func (m *monitor) watchArrivals(ctx workflow.Context) {
	arrivals := func() *models.ArrivalSpec {
		if m.state.Watch == nil {
			return nil
		}
		return m.state.Watch.Spec.Retrain.Arrival
	}
	for workflow.Await(ctx, func() bool { return arrivals() != nil }) == nil {
		watch, known := m.state.Watch, m.arrived()
		found, err := call(inTime(heavy(ctx, "List "+watch.Data.Source), listedWithin), models.Retrainings.FindArrivals,
			models.ArrivalRequest{Data: watch.Data, State: m.state.Arrival})
		switch {
		case ctx.Err() != nil:
			return
		case m.state.Watch != watch:
			continue // the next listing is for the new champion
		case err != nil:
			m.unlisted = clip(reason(err), longestReason)
		default:
			m.unlisted = ""
			if m.arrived() == known { // else some were trained on meanwhile, and the listing does not know it
				m.state.Arrival = &found
			}
			m.look = m.look || m.worthRetraining()
		}
		if _, err := awaitWithin(ctx, watch.Spec.Retrain.Arrival.Poll.Std(), func() bool { return m.state.Watch != watch }); err != nil {
			return
		}
	}
}

// arrived is the number of partitions that no retraining was asked for yet.
func (m *monitor) arrived() int {
	if m.state.Arrival == nil {
		return 0
	}
	return m.state.Arrival.New
}

// worthRetraining: enough has arrived, and nothing more for a while.
func (m *monitor) worthRetraining() bool {
	policy, found := m.state.Watch.Spec.Retrain.Arrival, m.state.Arrival
	return policy != nil && found != nil && found.New > 0 && found.New >= policy.Partitions &&
		m.now().Sub(found.Changed) >= policy.Quiet.Std() &&
		!found.Newest.Before(m.state.ArrivalRetryAt)
}

// askForArrivals asks the steward to retrain on what has arrived, unless the
// monitor is paused or waits for a retraining.
func (m *monitor) askForArrivals() {
	if m.state.Watch == nil || !m.worthRetraining() || m.state.Paused != "" || m.state.Request != nil {
		return
	}
	if alarm := m.pending(); alarm != nil && (alarm.State == models.AlarmAsked || alarm.State == models.AlarmPromoted) {
		return
	}
	found := m.state.Arrival
	m.state.Arrivals++
	id := fmt.Sprintf("%s/arrival/%s/%d", models.MonitorID(m.state.Endpoint), m.state.Watch.Version, m.state.Arrivals)
	m.state.Request = &models.MonitorRequest{RequestID: id, Kind: models.TriggerArrival, Arrived: found.New}
	reason := fmt.Sprintf("%d new partitions at data.source, such as %s", found.New, found.Example)
	m.note(models.MonitorEvent{Block: found.Newest, Text: "asks for a retraining: " + reason})
	m.send(models.RetrainRequest{RequestID: id, AsOf: found.Newest, Trigger: models.Trigger{Kind: models.TriggerArrival, At: found.Newest, Reason: reason}})
}

// settleRequest takes the steward's answer to what a person or an arrival asked
// for. What arrived counts as asked for once a retraining runs.
func (m *monitor) settleRequest(settled models.RetrainSettled) {
	request, policy := m.state.Request, m.state.Watch.Spec.Retrain
	event, retryAt, newest := eventOf(settled, ""), settled.RetryAt, time.Time{}
	if m.state.Arrival != nil {
		newest = m.state.Arrival.Newest
	}
	switch settled.Outcome {
	case models.RetrainStarted:
		request.Lifecycle = settled.Lifecycle
		if request.Arrived > 0 && m.arrived() == request.Arrived { // more that arrived meanwhile keep it from being known
			known := *m.state.Arrival
			known.New = 0
			m.state.Arrival = &known
		}
		m.note(event)
		return
	case models.RetrainInFlight, models.RetrainCooling, models.RetrainUnpaid:
		if retryAt.IsZero() {
			retryAt = newest.Add(askAgainAfter)
		}
	case models.RetrainAsksPerson, models.RetrainImpossible: // a person may order one; until then it is not asked at every look
		retryAt = later(retryAt, newest.Add(policy.Cooldown.Std()))
	case models.RetrainPromoted, models.RetrainNotHelping, models.RetrainFailed:
	}
	if request.Kind == models.TriggerArrival {
		m.state.ArrivalRetryAt = retryAt
	}
	m.note(event)
	m.state.Request = nil
	m.released()
}

// newData: what has arrived before the new champion was trained is in it. Labels
// of before may have arrived after it was, as yesterday's do.
func (m *monitor) newData(before *models.WatchRequest) {
	watch, found := m.state.Watch, m.state.Arrival
	switch {
	case before != nil && before.Data.Source != watch.Data.Source:
		m.state.Arrival, m.state.ArrivalRetryAt = nil, time.Time{}
	case found == nil:
	case !watch.Data.AsOf.Before(found.Newest) && (watch.Trained.IsZero() || found.Changed.Before(watch.Trained)):
		known := *found
		known.New = 0
		m.state.Arrival = &known
	case !watch.Trained.IsZero():
		m.state.ArrivalRetryAt = time.Time{} // mostly the champion's retraining was in the way
	}
}
