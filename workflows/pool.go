package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// GPUPool lends devices by UUID, for ever. Every message is one event of the
// pure core placement: it changes the pool and returns what holders must be
// told. The change is durable before anybody is told of it, and what is told
// may be repeated: a holder that missed a grant asks again.
//
// A burst of signals is one workflow task: all that wait are applied before
// anything is sent, and what follows from them goes out in one batch while the
// next burst gathers.
func GPUPool(ctx workflow.Context, state models.PoolState) error {
	if state.NextToken == 0 {
		// Agents remember the largest token they have seen, also when Temporal
		// was set up anew: a clock starts above every earlier pool's tokens.
		state.NextToken = workflow.Now(ctx).Unix()
	}
	p := newPool(ctx, state)
	if err := answer(ctx, p.status); err != nil {
		return err
	}
	if err := workflow.SetQueryHandler(ctx, models.ExplainQuery, p.explain); err != nil {
		return err
	}
	if err := p.takeOrders(ctx); err != nil {
		return err
	}
	if err := p.takeQuestions(ctx); err != nil {
		return err
	}
	return p.run(ctx)
}

type pool struct {
	core   *placement.Pool
	outbox outbox
	now    time.Time // of the last event; a query must not ask the clock
	timer  wakeUp

	sweptAt  time.Time // when the last sweep began
	sweeping bool
	after    string // the last holder that a sweep asked for

	shownAt time.Time
	stale   bool // the page does not show the last event
	worked  bool // there has been an event in this run
}

func newPool(ctx workflow.Context, state models.PoolState) *pool {
	now := workflow.Now(ctx)
	box := outbox{messages: state.Outbox}
	state.Outbox = nil
	return &pool{core: placement.New(state), outbox: box, now: now, sweptAt: now, stale: true}
}

func (p *pool) run(ctx workflow.Context) error {
	inbox := openInbox(ctx)
	for {
		p.take(ctx, inbox)
		p.tick(ctx)
		p.outbox.deliver(ctx)
		p.sweep(ctx)
		p.show(ctx)
		p.timer.set(ctx, p.wake(ctx))
		err := workflow.Await(ctx, func() bool {
			return inbox.waiting() || p.timer.fired || p.outbox.ready() || p.stale && p.showNow(ctx) || p.mayContinue(ctx)
		})
		if err != nil {
			return err
		}
		if p.mayContinue(ctx) {
			return p.continueAsNew(ctx, inbox)
		}
	}
}

// take applies everything that has come.
func (p *pool) take(ctx workflow.Context, in inbox) {
	p.now = workflow.Now(ctx)
	in.nodes(
		func(m models.NodeInfo) { p.follow(p.core.NodeUp(m, p.now)) },
		func(m models.NodeDown) { p.follow(p.core.NodeDown(m, p.now)) })
	// A request before a release: the same request may be both in one burst, in
	// this order and in no other.
	each(in.requests, func(m models.LeaseRequest) { p.follow(p.core.Request(m, p.now)) })
	each(in.saves, func(m models.LeaseSaved) { p.follow(p.core.Saved(m, p.now)) })
	each(in.releases, func(m models.LeaseRelease) { p.follow(p.core.Release(m, p.now)) })
	each(in.hosts, func(m models.HostsRequest) { p.follow(p.core.Hosts(m, p.now)) })
}

// follow notes what an event causes.
func (p *pool) follow(effects placement.Effects) {
	p.stale, p.worked = true, true
	p.outbox.add(effects)
}

// tick does what is due by the core's own clock.
func (p *pool) tick(ctx workflow.Context) {
	p.timer.acknowledge()
	if at, needed := p.core.Wake(p.now); needed && !at.After(workflow.Now(ctx)) {
		p.now = workflow.Now(ctx)
		p.follow(p.core.Tick(p.now))
	}
}

// wake is when something is due although nothing happens; zero: never. A pool
// with nothing lent and nobody waiting sleeps without a timer.
func (p *pool) wake(ctx workflow.Context) time.Time {
	var at time.Time
	if due, needed := p.core.Wake(p.now); needed {
		// Not at once: an instant that is over already was ticked for just now.
		at = later(due, workflow.Now(ctx).Add(shortestWake))
	}
	if !p.sweeping && p.core.Lends() {
		at = earliest(at, p.sweptAt.Add(sweepEvery))
	}
	if p.stale {
		at = earliest(at, p.shownAt.Add(showEvery))
	}
	return at
}

// mayContinue: not before something has happened in this run, since a state
// that is large enough would suggest it for ever. And an activity in flight
// would be lost, and an accepted update fail.
func (p *pool) mayContinue(ctx workflow.Context) bool {
	return p.worked && workflow.GetInfo(ctx).GetContinueAsNewSuggested() && !p.outbox.delivering && !p.sweeping && workflow.AllHandlersFinished(ctx)
}

// continueAsNew carries everything over, the messages that are still to be
// sent included. Signals that have come are applied first: the next run does
// not see them.
func (p *pool) continueAsNew(ctx workflow.Context, in inbox) error {
	for in.waiting() {
		p.take(ctx, in)
	}
	next := p.core.State()
	next.Outbox = p.outbox.messages
	return workflow.NewContinueAsNewError(ctx, models.GPUPoolWorkflow, next)
}

func (p *pool) status() models.PoolStatus { return p.core.Status(p.now, listedInStatus) }

// explain says why a request waits, or a holder's first that does.
func (p *pool) explain(requestOrHolder string) (string, error) {
	for _, w := range p.core.State().Waiting {
		if w.RequestID == requestOrHolder || w.Holder == requestOrHolder {
			return p.core.Explain(w.RequestID, p.now), nil
		}
	}
	return "", nil
}
