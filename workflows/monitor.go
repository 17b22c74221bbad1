package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// errandsWithin is how long a new run waits for what is under way; the rest is
	// begun again there.
	errandsWithin = time.Minute
	// listedWithin bounds one listing of data.source, with all its tries.
	listedWithin       = 10 * time.Minute
	alarmsKept         = 20
	eventsKept         = 40
	requestsRemembered = 50
)

// Monitor watches an endpoint's champion for ever. It scores every block whose
// labels have matured, in order and once each, and once more when no label can
// change it any more; feeds the detectors; and on an alarm asks the steward to
// retrain. What happens is decided by event time and people alone: neither
// outages nor the pieces in which a backlog is read change it.
func Monitor(ctx workflow.Context, state models.MonitorState) error {
	m := newMonitor(ctx, state)
	if err := answer(ctx, m.status); err != nil {
		return err
	}
	if err := m.takeOrders(ctx); err != nil {
		return err
	}
	publish(ctx, attributeEndpoint.ValueSet(state.Endpoint))
	return m.run(ctx)
}

type monitor struct {
	judge
	now      func() time.Time
	asks     []models.StewardSignal // on their way to the steward, in order
	started  map[string]bool        // errands that this run has begun, by ID
	look     bool                   // somebody asked to look now
	waiting  string
	trouble  string // why blocks can't be scored; empty: they can
	unlisted string // why data.source can't be listed; empty: it can
}

func newMonitor(ctx workflow.Context, state models.MonitorState) *monitor {
	m := &monitor{judge: newJudge(state), started: map[string]bool{}, now: func() time.Time { return workflow.Now(ctx) }}
	listen(ctx, models.SignalWatch, m.watch)
	listen(ctx, models.SignalRetrainSettled, m.settle)
	listen(ctx, models.SignalCheck, func(struct{}) { m.look = true })
	workflow.Go(ctx, m.sendAsks)
	workflow.Go(ctx, m.runErrands)
	workflow.Go(ctx, m.watchArrivals)
	return m
}

func (m *monitor) run(ctx workflow.Context) error {
	for {
		if m.state.Watch == nil {
			m.show(ctx, m.whatNext())
			if err := workflow.Await(ctx, func() bool { return m.state.Watch != nil }); err != nil {
				return err
			}
		}
		m.look = false
		if err := m.turn(ctx); err != nil {
			return err
		}
		if renewed := m.renewed(ctx); renewed != nil {
			return renewed
		}
		if m.state.Watch == nil {
			continue
		}
		m.show(ctx, m.whatNext())
		if _, err := awaitWithin(ctx, m.state.Watch.Spec.Poll.Std(), func() bool { return m.look }); err != nil {
			return err
		}
	}
}

// turn does everything that can be done now.
func (m *monitor) turn(ctx workflow.Context) error {
	if m.state.Reference == nil {
		if err := m.buildReference(ctx); err != nil {
			return err
		}
	}
	if m.state.Reference != nil {
		if err := m.catchUp(ctx); err != nil {
			return err
		}
	}
	m.askAgain()
	m.askForArrivals()
	m.remind()
	return nil
}

// catchUp judges every matured block in the order in which it became due, until
// none is left.
func (m *monitor) catchUp(ctx workflow.Context) error {
	watch, evidence := m.state.Watch, false
	for whole := false; !whole && !workflow.GetInfo(ctx).GetContinueAsNewSuggested(); {
		request := m.scoreRequest()
		m.show(ctx, "the log and the labels from "+m.nextBlock()+" on to be read")
		scored, err := whileWatched(ctx, m, heavy(ctx, "Score matured blocks from "+m.nextBlock()), models.BlockScoring.ScoreBlocks, request)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case m.state.Watch != watch:
			return nil // a new champion arrived: everything since is scored for it
		case err != nil:
			m.troubled(err)
			return nil
		}
		// A gateway that is gone says nothing any more; what was complete stays so.
		m.trouble, m.state.Watermark, m.state.Ahead = "", later(m.state.Watermark, scored.Watermark), scored.Ahead
		var looks []look
		looks, whole = inOrder(watch.Spec, scored, request.Open, len(m.open()))
		for _, l := range looks {
			evidence = evidence || l.block.Evidence
			if alarm := m.take(l); alarm != nil {
				m.raise(*alarm)
			}
		}
		whole = whole || len(looks) == 0
	}
	if evidence {
		m.compare()
	}
	return nil
}

func (m *monitor) scoreRequest() models.ScoreBlocksRequest {
	watch, open := m.state.Watch, m.open()
	if since := len(m.state.Blocks) - m.firstOpen(); since > 0 {
		open = open[:min(len(open), openAtOnce, max(1, judgedAtOnce/since))]
	}
	return models.ScoreBlocksRequest{
		Endpoint: m.state.Endpoint, Version: watch.Version, Data: watch.Data, Spec: watch.Spec, Prediction: watch.Prediction,
		Reference: m.state.Reference.Object, From: m.state.Next, Max: blocksAtOnce, Open: open,
	}
}

// troubled notes that blocks can't be scored as things are. A monitor lives for
// ever: it says so and tries again at the next look or for the next champion.
func (m *monitor) troubled(err error) {
	why := clip(reason(err), longestReason)
	if m.trouble != why {
		m.note(models.MonitorEvent{Text: "blocks can't be scored; it is tried again every " + m.state.Watch.Spec.Poll.String(), Failed: why})
	}
	m.trouble = why
}

// renewed continues as a new run once the history has grown long. Whatever is
// on its way to the steward arrives first; errands that take long are begun
// again by the next run.
func (m *monitor) renewed(ctx workflow.Context) error {
	if !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		return nil
	}
	m.show(ctx, "what is under way, to continue as a new run")
	if _, err := workflow.AwaitWithTimeout(ctx, errandsWithin, func() bool { return len(m.state.Errands) == 0 }); err != nil {
		return err
	}
	err := workflow.Await(ctx, func() bool {
		return len(m.asks) == 0 && workflow.AllHandlersFinished(ctx) &&
			!anyWaits(ctx, models.SignalWatch, models.SignalRetrainSettled, models.SignalCheck)
	})
	if err != nil {
		return err
	}
	return workflow.NewContinueAsNewError(ctx, models.MonitorWorkflow, carried(m.state))
}

// sendAsks tells the steward what was asked for, one after the other.
func (m *monitor) sendAsks(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return len(m.asks) > 0 }) == nil {
		ask := m.asks[0]
		err := do(quick(ctx, "Ask the steward to retrain: "+clip(ask.Retrain.Trigger.Reason, longestOrder)), models.Entities.SignalSteward, ask)
		if ctx.Err() != nil {
			return
		}
		m.asks = m.asks[1:]
		if err != nil {
			m.settle(models.RetrainSettled{RequestID: ask.Retrain.RequestID, Outcome: models.RetrainImpossible,
				Reason: "the steward can't be asked: " + clip(reason(err), longestReason)})
		}
	}
}
