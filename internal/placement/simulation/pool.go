package simulation

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// sweepEvery is how often the pool's workflow looks for holders that are gone.
const sweepEvery = 30 * time.Second

// pool models the pool's workflow around the real core: an inbox, timers,
// the sweep, and starting anew from its own state in the middle of anything.
type pool struct {
	w     *World
	core  *placement.Pool
	inbox []message
	awake bool      // it will look at its inbox
	alarm time.Time // of the timer that runs; zero: none
	sweep bool      // a sweep's timer runs
}

type message struct {
	what   string // for people; "": not worth a line
	handle func(now time.Time) placement.Effects
}

func newPool(w *World) *pool {
	return &pool{w: w, core: placement.New(models.PoolState{Pool: models.DefaultPool, NextToken: 1})}
}

// receive puts a message into the inbox. The workflow comes to it soon, or,
// when its worker is away, later.
func (p *pool) receive(m message) {
	p.inbox = append(p.inbox, m)
	if p.awake {
		return
	}
	p.awake = true
	pause := p.w.upTo(50 * time.Millisecond)
	if p.w.chance(60) {
		p.w.note("the pool's worker is away")
		pause = p.w.upTo(20 * time.Second)
	}
	p.w.after(pause, p.work)
}

// work empties the inbox. Between any two messages the workflow may continue
// as new.
func (p *pool) work() {
	p.awake = false
	for len(p.inbox) > 0 && p.w.oracle.violation == nil {
		if p.w.chance(12) {
			p.continueAsNew()
			continue
		}
		next := p.inbox[0]
		p.inbox = p.inbox[1:]
		p.step(next.what, next.handle)
	}
}

// step is one decision, with everything that follows from it.
func (p *pool) step(what string, handle func(time.Time) placement.Effects) {
	if what != "" {
		p.w.note("pool: %s", what)
	}
	if p.w.breaking == PoolForgetsReserved {
		p.forgetReserved()
	}
	effects := p.w.breakEffects(handle(p.w.now))
	p.w.oracle.heard(effects)
	p.emit(effects)
	p.w.oracle.check(p.core)
	p.arm()
}

// continueAsNew hands the state to the next run, as JSON. What is in the inbox
// is handed on as well.
func (p *pool) continueAsNew() {
	p.w.oracle.stats.Continued++
	before, err := json.Marshal(p.core.State())
	if err != nil {
		p.w.oracle.violate("the pool's state can't be written: %v", err)
		return
	}
	var state models.PoolState
	if err := json.Unmarshal(before, &state); err != nil {
		p.w.oracle.violate("the pool's state can't be read: %v", err)
		return
	}
	p.core = placement.New(state)
	if after, err := json.Marshal(p.core.State()); err != nil || string(after) != string(before) {
		p.w.oracle.violate("the state changed on the way to the next run (%v):\n%s\n%s", err, before, after)
	}
	p.w.note("pool: continues as new")
	if p.w.breaking == ContinueDropsInbox {
		p.inbox = nil
	}
	p.w.oracle.check(p.core)
	p.arm()
}

// arm sets the timers that the core and the sweep need.
func (p *pool) arm() {
	if at, needed := p.core.Wake(p.w.now); needed && (p.alarm.IsZero() || at.Before(p.alarm)) {
		p.alarm = at
		p.w.at(at, func() { p.ring(at) })
	}
	if !p.sweep && len(p.core.Holders()) > 0 && p.w.breaking != SweeperIsOff {
		p.sweep = true
		p.w.after(sweepEvery, p.look)
	}
}

func (p *pool) ring(at time.Time) {
	if !p.alarm.Equal(at) {
		return // an earlier one took its place
	}
	p.alarm = time.Time{}
	p.step("tick", p.core.Tick)
	if next, needed := p.core.Wake(p.w.now); needed && !next.After(p.w.now) {
		p.w.oracle.violate("after its tick at %s the pool wants to be woken at %s, which is not later", p.w.now.Sub(epoch), next.Sub(epoch))
	}
}

// look asks which holders have closed; the answer takes a while. A holder that
// was started again under the same ID is another one: its predecessor is gone.
func (p *pool) look() {
	var gone []orphan
	state := p.core.State()
	for _, l := range state.Leases {
		gone = p.appendGone(gone, l.LeaseRequest)
	}
	for _, w := range state.Waiting {
		gone = p.appendGone(gone, w.LeaseRequest)
	}
	p.w.after(p.w.upTo(2*time.Second), func() {
		p.sweep = false
		for _, o := range gone {
			p.w.oracle.stats.Swept++
			p.forget(o)
		}
		p.arm()
	})
}

// orphan is what a closed holder has left: everything, or one request of a run
// that another has replaced.
type orphan struct{ holder, request string }

func (p *pool) appendGone(gone []orphan, r models.LeaseRequest) []orphan {
	h := p.w.holder(r.Holder)
	left := orphan{holder: r.Holder}
	switch {
	case h.state == closed:
	case r.HolderRun != h.runID() && p.w.breaking != SweepForgetsRuns:
		left.request = r.RequestID
	default:
		return gone
	}
	if !slices.Contains(gone, left) {
		gone = append(gone, left)
	}
	return gone
}

func (p *pool) forget(o orphan) {
	if o.request == "" {
		p.w.oracle.holderClosed(o.holder)
		p.step("holder "+o.holder+" has closed", func(now time.Time) placement.Effects { return p.core.HolderClosed(o.holder, now) })
		return
	}
	p.w.oracle.released(o.request)
	p.step("the run behind "+o.request+" has closed", func(now time.Time) placement.Effects {
		return p.core.Release(models.LeaseRelease{RequestID: o.request}, now)
	})
}

// emit sends what a decision causes, in the order of the struct.
func (p *pool) emit(effects placement.Effects) {
	for _, m := range effects.Losses {
		p.tell(m.Holder, fmt.Sprintf("lost %s: %s", m.Body.RequestID, m.Body.Reason), func(h *holder) { h.lost(m.Body) })
	}
	for _, m := range effects.Preemptions {
		p.tell(m.Holder, fmt.Sprintf("preempted %s by %s", m.Body.RequestID, m.Body.By.Sub(epoch)), func(h *holder) { h.preempted(m.Body) })
	}
	for _, m := range effects.Refusals {
		p.tell(m.Holder, fmt.Sprintf("refused %s: %s", m.Body.RequestID, m.Body.Reason), func(h *holder) { h.refused(m.Body) })
	}
	for _, lease := range effects.Grants {
		lease.Nodes = slices.Clone(lease.Nodes)
		p.grant(lease)
	}
	for _, m := range effects.Growths {
		p.tell(m.Holder, fmt.Sprintf("growable %s to %d", m.Body.RequestID, m.Body.Nodes), func(h *holder) { h.growable(m.Body) })
	}
}

// grant tells a holder of its lease. One such message must not get lost: that to
// a holder which has given the request up, and whose old request came late.
// Nobody would repeat it, so the holder could not give the lease back. Temporal
// does not lose signals to open workflows.
func (p *pool) grant(lease models.Lease) {
	what := fmt.Sprintf("granted %s with token %d: %s", lease.RequestID, lease.Token, where(lease))
	h := p.w.holder(lease.Holder)
	if h.state == closed || h.requestID() == lease.RequestID {
		p.tell(lease.Holder, what, func(h *holder) { h.granted(lease) })
		return
	}
	p.w.note("pool → %s: %s, which it does not want any more", lease.Holder, what)
	p.w.after(p.w.delay(), func() {
		if h.state != closed {
			h.granted(lease)
		}
	})
}

func (p *pool) tell(id, what string, hear func(*holder)) {
	p.w.note("pool → %s: %s", id, what)
	p.w.send(id+" hears "+what, func() {
		if h := p.w.holder(id); h != nil && h.state != closed {
			hear(h)
		}
	})
}

func where(lease models.Lease) (text string) {
	for _, n := range lease.Nodes {
		for _, d := range n.Devices {
			text += fmt.Sprintf("%s×%d ", d.UUID, d.Share())
		}
	}
	return text
}

func (w *World) holder(id string) *holder { return w.byID[id] }
