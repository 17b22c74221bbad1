package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// sweepEvery is how often a pool looks for holders that ended without giving
// their lease back.
const sweepEvery = 30 * time.Second

// GPUPool lends devices by UUID, for ever. Every message is one step of the
// pure core placement: state and event in, next state and effects out. The
// state is durable before an effect is sent, and effects are repeatable, so a
// crash between the two costs a holder no more than asking again.
func GPUPool(ctx workflow.Context, state models.PoolState) error {
	if state.NextToken == 0 {
		// Agents remember the largest token they have seen, also when Temporal
		// was set up anew: a clock starts above every earlier pool's tokens.
		state.NextToken = workflow.Now(ctx).Unix()
	}
	p := &pool{core: placement.New(state), now: workflow.Now(ctx)}
	if err := answer(ctx, p.status); err != nil {
		return err
	}
	return p.run(ctx)
}

type pool struct {
	core  *placement.Pool
	now   time.Time // of the last event; a query must not ask the clock
	armed bool      // a sweep's timer runs
	due   bool      // it fired
}

func (p *pool) run(ctx workflow.Context) error {
	selector := p.inbox(ctx)
	for ctx.Err() == nil {
		p.show(ctx)
		p.arm(ctx, selector)
		selector.Select(ctx)
		for ctx.Err() == nil && selector.HasPending() {
			selector.Select(ctx)
		}
		if p.due {
			p.due = false
			p.sweep(ctx)
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && !selector.HasPending() {
			return workflow.NewContinueAsNewError(ctx, models.GPUPoolWorkflow, p.core.State())
		}
	}
	return ctx.Err()
}

// arm sets the timer of the next sweep, while there is anything to sweep. A
// pool with nothing lent sleeps without one.
func (p *pool) arm(ctx workflow.Context, selector workflow.Selector) {
	if p.armed || len(p.core.Holders()) == 0 {
		return
	}
	p.armed = true
	selector.AddFuture(workflow.NewTimer(ctx, sweepEvery), func(workflow.Future) { p.armed, p.due = false, true })
}

// inbox turns each signal into a step of the core.
func (p *pool) inbox(ctx workflow.Context) workflow.Selector {
	selector := workflow.NewSelector(ctx)
	receive(ctx, selector, models.SignalNodeUp, func(m models.NodeInfo) { step(ctx, p, p.core.NodeUp, m) })
	receive(ctx, selector, models.SignalNodeDown, func(m models.NodeDown) { step(ctx, p, p.core.NodeDown, m) })
	receive(ctx, selector, models.SignalRequestLease, func(m models.LeaseRequest) { step(ctx, p, p.core.Request, m) })
	receive(ctx, selector, models.SignalReleaseLease, func(m models.LeaseRelease) { step(ctx, p, p.core.Release, m) })
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {}) // wakes the loop, which ends
	return selector
}

func receive[T any](ctx workflow.Context, selector workflow.Selector, signal string, handle func(T)) {
	selector.AddReceive(workflow.GetSignalChannel(ctx, signal), func(c workflow.ReceiveChannel, _ bool) {
		var message T
		c.Receive(ctx, &message)
		handle(message)
	})
}

// step applies one event and sends what follows from it.
func step[E any](ctx workflow.Context, p *pool, event func(E, time.Time) placement.Effects, message E) {
	p.now = workflow.Now(ctx)
	effects := event(message, p.now)
	for _, loss := range effects.Losses {
		p.tell(ctx, loss.Holder, models.SignalLeaseLost, loss.Body)
	}
	for _, lease := range effects.Grants {
		p.tell(ctx, lease.Holder, models.SignalLeaseGranted, lease)
	}
}

// tell does not wait: a holder that is gone is found by the sweep, and one
// that missed a grant asks again.
func (p *pool) tell(ctx workflow.Context, holder, signal string, message any) {
	workflow.SignalExternalWorkflow(ctx, holder, "", signal, message)
}

// sweep frees what closed workflows still hold.
func (p *pool) sweep(ctx workflow.Context) {
	found, err := call(quick(ctx, "Look for holders that have ended"), models.Entities.FindClosed,
		models.FindClosedRequest{WorkflowIDs: p.core.Holders()})
	if err != nil {
		return // cancelled; the next sweep looks again
	}
	for _, holder := range found.WorkflowIDs {
		step(ctx, p, p.core.HolderClosed, holder)
	}
}

func (p *pool) status() models.PoolStatus { return p.core.Status(p.now, shownRequests) }

// shownRequests is how many leases and requests a status or page lists.
const shownRequests = 100

func (p *pool) show(ctx workflow.Context) {
	var out page
	status := p.status()
	out.linef("**Pool %s**: %d hosts, %d leases, %d waiting", status.Pool, status.Counts.Nodes, status.Counts.Leases, status.Counts.Waiting)
	out.header("lease", "holder", "devices")
	for _, l := range status.Leases {
		out.row(fmt.Sprint(l.Token), fmt.Sprintf("%s (`%s`)", l.Purpose, l.Holder), strings.Join(deviceUUIDs(l), ", "))
	}
	for _, w := range status.Waiting {
		out.linef("- %s waits: %s", w.Purpose, status.Reasons[w.RequestID])
	}
	out.show(ctx)
}
