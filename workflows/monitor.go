package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// blocksAtOnce bounds one scoring call; a backlog of months is worked off in
	// order, piece by piece.
	blocksAtOnce = 31
	// blocksShown are kept for the status, blocksCarried into the next run.
	blocksShown, blocksCarried = 400, 60
	alarmsKept                 = 20
	requestsRemembered         = 50
)

// Monitor watches an endpoint's champion for ever: it scores every block whose
// labels have matured, in order and once each, feeds the detector, and on an
// alarm asks the steward to retrain.
func Monitor(ctx workflow.Context, state models.MonitorState) error {
	m := newMonitor(ctx, state)
	if err := answer(ctx, func() models.MonitorStatus { return models.MonitorStatus{MonitorState: m.state, Waiting: m.waiting} }); err != nil {
		return err
	}
	publish(ctx, attributeEndpoint.ValueSet(state.Endpoint))
	return m.run(ctx)
}

type monitor struct {
	state   models.MonitorState
	waiting string
	look    bool // somebody asked to look now
}

func newMonitor(ctx workflow.Context, state models.MonitorState) *monitor {
	m := &monitor{state: state}
	listen(ctx, models.SignalWatch, m.watch)
	listen(ctx, models.SignalRetrainSettled, m.settle)
	listen(ctx, models.SignalCheck, func(struct{}) { m.look = true })
	return m
}

func (m *monitor) run(ctx workflow.Context) error {
	for {
		if err := m.wait(ctx); err != nil {
			return err
		}
		if err := m.catchUp(ctx); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && m.drained(ctx) {
			return workflow.NewContinueAsNewError(ctx, models.MonitorWorkflow, m.carried())
		}
	}
}

func (m *monitor) wait(ctx workflow.Context) error {
	if m.state.Watch == nil {
		m.show(ctx, "the first champion")
		return workflow.Await(ctx, func() bool { return m.state.Watch != nil })
	}
	m.show(ctx, fmt.Sprintf("the labels of %s to mature; looks every %s", m.next(), m.state.Watch.Spec.Poll))
	_, err := workflow.AwaitWithTimeout(ctx, m.state.Watch.Spec.Poll.Std(), func() bool { return m.look })
	m.look = false
	return err
}

// catchUp judges every matured block, oldest first, until none is left.
func (m *monitor) catchUp(ctx workflow.Context) error {
	for m.state.Watch != nil {
		watch := m.state.Watch
		scored, err := call(heavy(ctx, "Score matured blocks from "+m.next()), models.BlockScoring.ScoreBlocks, models.ScoreBlocksRequest{
			Endpoint: m.state.Endpoint, Version: watch.Version, Spec: watch.Spec, Prediction: watch.Prediction,
			From: m.state.Next, Max: blocksAtOnce,
		})
		if err != nil {
			return err
		}
		m.state.Watermark = scored.Watermark
		for _, block := range scored.Blocks {
			if m.state.Watch != watch {
				break // a new champion arrived: the rest is scored again, for it
			}
			if err := m.judge(ctx, block); err != nil {
				return err
			}
		}
		if len(scored.Blocks) < blocksAtOnce && m.state.Watch == watch {
			return nil
		}
	}
	return nil
}

// judge takes one block. While a retraining is pending the blocks are shown,
// but the detector rests: it has said what it had to say.
func (m *monitor) judge(ctx workflow.Context, block models.Block) error {
	watch := m.state.Watch
	block.Version = watch.Version
	block.Conclusive = block.Labelled >= int64(watch.Spec.MinLabels)
	block.Martingale = m.state.Detector.Detectors[0].Value
	alarm := false
	if block.Conclusive && m.state.Pending == "" {
		m.state.Detector, block.Looks = drift.Update(m.state.Detector, models.BlockLoss{Start: block.Start, Loss: block.Loss})
		block.P, block.Martingale = block.Looks[0].P, block.Looks[0].Value
		alarm = block.Looks[0].Alarm
	}
	m.state.Blocks = lastOf(append(m.state.Blocks, block), blocksShown)
	m.state.Next = block.Start.Add(watch.Spec.Block.Std())
	if !alarm {
		return nil
	}
	return m.alarm(ctx, block)
}

// alarm asks the steward to retrain on what is known once the block's labels
// are.
func (m *monitor) alarm(ctx workflow.Context, block models.Block) error {
	watch := m.state.Watch
	asOf := m.state.Next.Add(watch.Spec.Maturity.Std())
	alarm := models.Alarm{
		RequestID: fmt.Sprintf("%s/alarm/%s/%s", models.MonitorID(m.state.Endpoint), watch.Version, models.DayKey(block.Start)),
		Block:     block.Start, Version: watch.Version, Martingale: block.Martingale, Threshold: m.state.Detector.Detectors[0].Threshold,
		Loss: m.recentLoss(7), Reference: mean(watch.Reference), Action: "asked for a retraining",
	}
	m.state.Alarms = lastOf(append(m.state.Alarms, alarm), alarmsKept)
	m.state.Pending = alarm.RequestID
	m.show(ctx, "the retraining that the alarm of "+models.DayKey(block.Start)+" asked for")
	return do(quick(ctx, "Ask the steward to retrain"), models.Entities.SignalSteward, models.StewardSignal{
		Model: watch.Model,
		Retrain: &models.RetrainRequest{
			RequestID: alarm.RequestID, AsOf: asOf, Endpoint: m.state.Endpoint,
			Trigger: models.Trigger{Kind: models.TriggerAlarm, At: block.Start, Reason: fmt.Sprintf(
				"log-loss of the last 7 blocks %s, reference %s; martingale %s above %s", number(alarm.Loss),
				number(alarm.Reference), number(alarm.Martingale), number(alarm.Threshold))},
		},
	})
}

// watch takes a new champion: its reference, a new detector, and no pending
// retraining.
func (m *monitor) watch(request models.WatchRequest) {
	if m.seen(request.RequestID) {
		return
	}
	m.state.Watch = &request
	if request.Since.After(m.state.Next) {
		m.state.Next = request.Since
	}
	m.restart(request.Reference)
	m.closeAlarm(m.state.Pending, "version "+request.Version+" took over", true)
	m.state.Pending = ""
	m.look = true
}

// settle ends the wait for a retraining. One that promoted nothing means that
// the present level is the best there is: the detector starts anew from it.
func (m *monitor) settle(settled models.RetrainSettled) {
	promoted := settled.Outcome == models.RetrainPromoted
	if m.seen(settled.RequestID + "/settled") {
		return
	}
	m.closeAlarm(settled.RequestID, settled.Reason, promoted)
	if m.state.Pending != settled.RequestID || promoted {
		return // a promotion clears it through watch
	}
	m.state.Pending = ""
	m.look = true
	if settled.Outcome == models.RetrainNotHelping || settled.Outcome == models.RetrainFailed {
		m.restart(m.recent(m.state.Watch.Spec.ReferenceBlocks))
	} else {
		m.restart(m.state.Watch.Reference)
	}
}

func (m *monitor) restart(reference []float64) {
	watch := m.state.Watch
	seed := drift.Seed(m.state.Endpoint, watch.Version, len(m.state.Alarms))
	blocks := make([]models.BlockLoss, len(reference))
	for i, loss := range reference {
		blocks[i].Loss = loss
	}
	m.state.Detector = drift.New(watch.Spec, blocks, watch.Promised, seed)
}

func (m *monitor) closeAlarm(requestID, action string, promoted bool) {
	for i := range m.state.Alarms {
		if a := &m.state.Alarms[i]; a.RequestID == requestID {
			a.Action, a.Settled, a.Promoted = action, true, a.Promoted || promoted
		}
	}
}

func (m *monitor) seen(requestID string) bool {
	if slices.Contains(m.state.Seen, requestID) {
		return true
	}
	m.state.Seen = lastOf(append(m.state.Seen, requestID), requestsRemembered)
	return false
}

// recent are the losses of the last n conclusive blocks of the champion,
// oldest first.
func (m *monitor) recent(n int) []float64 {
	losses := []float64{}
	for _, b := range m.state.Blocks {
		if b.Conclusive && b.Version == m.state.Watch.Version {
			losses = append(losses, b.Loss)
		}
	}
	return slices.Clone(lastOf(losses, n))
}

func (m *monitor) recentLoss(n int) float64 { return mean(m.recent(n)) }

func mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func (m *monitor) next() string {
	if m.state.Next.IsZero() {
		return "the first block in the log"
	}
	return models.DayKey(m.state.Next)
}

func (m *monitor) drained(ctx workflow.Context) bool {
	for _, signal := range []string{models.SignalWatch, models.SignalRetrainSettled, models.SignalCheck} {
		if workflow.GetSignalChannel(ctx, signal).Len() > 0 {
			return false
		}
	}
	return true
}

func (m *monitor) carried() models.MonitorState {
	next := m.state
	next.Blocks = slices.Clone(lastOf(next.Blocks, blocksCarried))
	return next
}

func (m *monitor) show(ctx workflow.Context, waiting string) {
	m.waiting = waiting
	var p page
	p.linef("**Monitor of %s**", m.state.Endpoint)
	p.linef("")
	p.linef("Waiting for %s", waiting)
	if m.state.Watch != nil {
		p.linef("")
		p.linef("Champion %s; martingale %s of %s; log complete to %s", m.state.Watch.Version,
			number(m.state.Detector.Detectors[0].Value), number(m.state.Detector.Detectors[0].Threshold), m.state.Watermark.UTC().Format(time.DateTime))
	}
	p.header("block", "labelled", "log-loss", "p", "martingale")
	for _, b := range lastOf(m.state.Blocks, 10) {
		p.row(models.DayKey(b.Start), fmt.Sprint(b.Labelled), number(b.Loss), number(b.P), number(b.Martingale))
	}
	for _, a := range lastOf(m.state.Alarms, 5) {
		p.linef("- alarm of %s on version %s: %s", models.DayKey(a.Block), a.Version, a.Action)
	}
	p.show(ctx)
}
