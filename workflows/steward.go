package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// How much a steward carries into its next run; a payload stays below 32 KiB.
const (
	versionsKept    = 4
	retrainingsKept = 20
	recordsKept     = 40
)

// ModelSteward is the only writer of a model's aliases. It takes one request
// after the other: registration, release, retraining. What it did and why is
// its record.
func ModelSteward(ctx workflow.Context, state models.StewardState) error {
	s := newSteward(ctx, state)
	if err := answer(ctx, func() models.StewardStatus { return models.StewardStatus{StewardState: s.state, Doing: s.doing} }); err != nil {
		return err
	}
	publish(ctx, attributeModel.ValueSet(state.Model))
	return s.run(ctx)
}

// steward handles the slow requests (register, roll out) in order of arrival,
// and the quick ones (retrain, withdraw, closed) as they come, so that a day
// long rollout never makes an alarm wait for its answer.
type steward struct {
	state    models.StewardState
	doing    string
	queue    []stewardTask
	releases map[string]func() // cancels the rollout of a lifecycle, by lifecycle ID
	arrived  int               // requests taken since this run began
	busy     int               // quick requests being handled
}

type stewardTask struct {
	register *models.RegisterRequest
	rollOut  *models.RollOutRequest
}

func newSteward(ctx workflow.Context, state models.StewardState) *steward {
	s := &steward{state: state, releases: map[string]func(){}}
	listen(ctx, models.SignalRegister, func(r models.RegisterRequest) { s.enqueue(stewardTask{register: &r}) })
	listen(ctx, models.SignalRollOut, func(r models.RollOutRequest) { s.enqueue(stewardTask{rollOut: &r}) })
	listen(ctx, models.SignalWithdraw, s.withdraw)
	s.attend(ctx)
	return s
}

// attend answers the quick requests in a coroutine of their own, in order.
func (s *steward) attend(ctx workflow.Context) {
	retrain := workflow.GetSignalChannel(ctx, models.SignalRetrain)
	closed := workflow.GetSignalChannel(ctx, models.SignalLifecycleClosed)
	workflow.Go(ctx, func(ctx workflow.Context) {
		selector := workflow.NewSelector(ctx)
		selector.AddReceive(retrain, func(c workflow.ReceiveChannel, _ bool) {
			var request models.RetrainRequest
			c.Receive(ctx, &request)
			s.attendTo(ctx, func() { s.retrain(ctx, request) })
		})
		selector.AddReceive(closed, func(c workflow.ReceiveChannel, _ bool) {
			var message models.LifecycleClosed
			c.Receive(ctx, &message)
			s.attendTo(ctx, func() { s.settle(ctx, message) })
		})
		for {
			selector.Select(ctx)
		}
	})
}

func (s *steward) attendTo(ctx workflow.Context, handle func()) {
	s.arrived++
	s.busy++
	handle()
	s.busy--
	s.show(ctx)
}

func (s *steward) enqueue(task stewardTask) {
	s.arrived++
	s.queue = append(s.queue, task)
}

func (s *steward) run(ctx workflow.Context) error {
	s.show(ctx)
	for {
		if _, err := workflow.AwaitWithTimeout(ctx, time.Minute, func() bool { return len(s.queue) > 0 }); err != nil {
			return err
		}
		if len(s.queue) == 0 {
			s.sweep(ctx)
		} else {
			task := s.queue[0]
			s.queue = s.queue[1:]
			s.carryOut(ctx, task)
			s.show(ctx)
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && s.idle(ctx) {
			return workflow.NewContinueAsNewError(ctx, models.ModelStewardWorkflow, s.carried())
		}
		if len(s.queue) == 0 && len(s.openRetrainings()) == 0 {
			// Nothing to sweep: sleep until something arrives.
			arrived := s.arrived
			if err := workflow.Await(ctx, func() bool { return s.arrived != arrived || len(s.queue) > 0 }); err != nil {
				return err
			}
		}
	}
}

func (s *steward) carryOut(ctx workflow.Context, task stewardTask) {
	switch {
	case task.register != nil:
		s.register(ctx, *task.register)
	case task.rollOut != nil:
		s.rollOut(ctx, *task.rollOut)
	}
	s.doing = ""
}

// idle: nothing is queued or half done, and no signal is waiting to be read.
func (s *steward) idle(ctx workflow.Context) bool {
	if len(s.queue) > 0 || s.busy > 0 {
		return false
	}
	for _, signal := range []string{models.SignalRegister, models.SignalRollOut, models.SignalWithdraw, models.SignalRetrain, models.SignalLifecycleClosed} {
		if workflow.GetSignalChannel(ctx, signal).Len() > 0 {
			return false
		}
	}
	return true
}

// carried is the state for the next run, cut to size. The champion's version
// is kept however old it is.
func (s *steward) carried() models.StewardState {
	next := s.state
	kept := lastOf(next.Versions, versionsKept)
	for _, v := range next.Versions[:len(next.Versions)-len(kept)] {
		if v.Version == next.Champion || v.Version == next.Previous {
			kept = append([]models.ModelVersion{v}, kept...)
		}
	}
	next.Versions = kept
	next.Retrainings = lastOf(next.Retrainings, retrainingsKept)
	next.Records = lastOf(next.Records, recordsKept)
	next.RolledOut = lastOf(next.RolledOut, retrainingsKept)
	return next
}

func lastOf[T any](items []T, n int) []T { return items[max(0, len(items)-n):] }

func (s *steward) version(version string) *models.ModelVersion {
	for i := range s.state.Versions {
		if s.state.Versions[i].Version == version {
			return &s.state.Versions[i]
		}
	}
	return nil
}

// record appends to the audit trail; each hash covers the one before.
func (s *steward) record(ctx workflow.Context, action models.Action, version, by, why string) {
	r := models.Record{Sequence: 1, At: workflow.Now(ctx), Action: action, Version: version, By: by, Reason: why}
	if n := len(s.state.Records); n > 0 {
		r.Sequence, r.Previous = s.state.Records[n-1].Sequence+1, s.state.Records[n-1].Hash
	}
	r.Hash = digest(r.Previous, r)
	s.state.Records = append(s.state.Records, r)
}

// reply answers whoever asked. One who is gone needs no answer.
func (s *steward) reply(ctx workflow.Context, to, signal string, message any) {
	err := workflow.SignalExternalWorkflow(ctx, to, "", signal, message).Get(ctx, nil)
	if err != nil && !temporal.IsCanceledError(err) {
		workflow.GetLogger(ctx).Warn("reply not delivered", "to", to, "signal", signal, "error", err)
	}
}

func (s *steward) show(ctx workflow.Context) {
	var p page
	doing := s.doing
	if doing == "" {
		doing = "waiting for requests"
	}
	p.linef("**%s**: champion %s, previous %s, challenger %s", s.state.Model,
		orNone(s.state.Champion), orNone(s.state.Previous), orNone(s.state.Challenger))
	p.linef("")
	p.linef("Now: %s", doing)
	p.header("when", "what", "version", "why")
	for _, r := range lastOf(s.state.Records, 12) {
		p.row(r.At.UTC().Format(time.DateTime), string(r.Action), r.Version, r.Reason)
	}
	p.show(ctx)
}
