package simulation

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// askAgain is when a holder repeats a request that was not answered.
const askAgain = 30 * time.Second

// holder models a workflow that trains: it asks, runs a gang, saves, and asks
// anew until its work is done.
type holder struct {
	w        *World
	id       string
	run      int // grows when it is started again under the same ID
	attempt  int
	state    holderState
	begunAt  time.Time // when the present attempt was asked for
	closedAt time.Time

	template models.LeaseRequest
	work     time.Duration // with the whole gang running
	saved    time.Duration // of it, in checkpoints
	every    time.Duration // between checkpoints

	lease models.Lease
	ranks []*rank
	since time.Time // all ranks run; zero: not yet
	then  func()    // when the ranks have ended
	parts []string  // leases that it collects, when that is broken
}

type holderState string

const (
	idle    holderState = "idle"
	waiting holderState = "waiting"
	holding holderState = "holding"
	ending  holderState = "ending its ranks"
	closed  holderState = "closed"
)

// rank is one RunRanks activity: a host's share of an attempt.
type rank struct {
	holder  *holder
	host    *host
	key     string
	token   int64
	part    models.LeaseNode
	started bool
	over    bool // the activity has come to an end
}

func (h *holder) requestID() string {
	if h.collects() {
		return fmt.Sprintf("%s.%d#%d.%d", h.id, h.run, h.attempt, len(h.parts))
	}
	return fmt.Sprintf("%s.%d#%d", h.id, h.run, h.attempt)
}

func (h *holder) runID() string { return fmt.Sprint(h.run) }

// begin asks for the next lease.
func (h *holder) begin() {
	h.attempt++
	h.state, h.ranks, h.since, h.begunAt = waiting, nil, time.Time{}, h.w.now
	h.ask(h.requestID(), "request "+h.requestID())
}

func (h *holder) ask(id, what string) {
	if h.state != waiting || h.requestID() != id {
		return
	}
	request := h.template
	request.RequestID, request.Holder = id, h.id
	request.HolderRun = h.runID()
	if h.collects() {
		request.Resources.Nodes, request.Resources.MinNodes = 1, 1
	}
	h.w.send(h.id+" asks for "+id, func() {
		h.w.pool.receive(message{what, func(now time.Time) placement.Effects {
			h.w.oracle.requested(request)
			return h.w.pool.core.Request(request, now)
		}})
	})
	h.w.after(askAgain, func() { h.ask(id, "") })
}

// giveBack releases, again and again until the pool was reached; a holder that
// has closed meanwhile is found by the sweep.
func (h *holder) giveBack(id string) {
	if h.w.breaking == HolderKeepsLease {
		return
	}
	lost := h.w.send(h.id+" releases "+id, func() {
		h.w.pool.receive(message{"release " + id, func(now time.Time) placement.Effects {
			h.w.oracle.released(id)
			return h.w.pool.core.Release(models.LeaseRelease{RequestID: id}, now)
		}})
	})
	if lost {
		h.w.after(5*time.Second, func() {
			if h.state != closed {
				h.giveBack(id)
			}
		})
	}
}

func (h *holder) granted(lease models.Lease) {
	switch {
	case lease.RequestID != h.requestID():
		if h.w.breaking != HolderKeepsUnwanted {
			h.giveBack(lease.RequestID) // an old request came to the pool late
		}
	case h.state == waiting && h.collects():
		h.collect(lease)
	case h.state == waiting:
		h.startGang(lease)
	case h.state == holding && lease.Token > h.lease.Token:
		h.w.oracle.stats.Old++
		h.stop("its lease was lost, and granted again", h.begin)
	}
}

// startGang sends each host its share of the ranks.
func (h *holder) startGang(lease models.Lease) {
	h.state, h.lease = holding, lease
	for _, part := range lease.Nodes {
		r := &rank{holder: h, host: h.w.host(part.Node), part: part, token: lease.Token, key: fmt.Sprintf("%s-%d", h.id, lease.Token)}
		h.ranks = append(h.ranks, r)
		wait := h.w.delay()
		h.w.after(wait, func() {
			if wait > time.Minute {
				r.host.startLate(r) // the agent had taken the task, and hung
			} else {
				r.host.start(r)
			}
		})
		h.w.after(40*time.Second, func() {
			if !r.started && !r.over {
				r.over = true
				h.rankEnded(r, "it did not start")
			}
		})
	}
}

// rankStarted: with the last one the gang computes.
func (h *holder) rankStarted(r *rank) {
	r.started = true
	if h.state != holding || !h.since.IsZero() || r.token != h.lease.Token {
		return
	}
	for _, other := range h.ranks {
		if !other.started || other.over {
			return
		}
	}
	h.since = h.w.now
	token := h.lease.Token
	h.w.after(h.work-h.saved, func() {
		if h.state == holding && h.lease.Token == token {
			h.saved = h.work
			h.stop("its work is done", h.close)
		}
	})
}

// rankEnded is the end of an activity. The end of one is the end of the gang.
func (h *holder) rankEnded(r *rank, why string) {
	r.over = true
	if r.token != h.lease.Token {
		return
	}
	if h.state == holding {
		h.stop("a rank has ended: "+why, h.begin)
	}
	h.allEnded()
}

// stop ends the gang, gives its lease back when the last rank is gone, and does
// what comes then.
func (h *holder) stop(why string, then func()) {
	h.w.note("%s: ends its gang: %s", h.id, why)
	if !h.since.IsZero() && h.saved < h.work {
		h.saved += h.w.now.Sub(h.since).Truncate(h.every)
		h.saved = min(h.saved, h.work)
	}
	h.state, h.then = ending, then
	for _, r := range h.ranks {
		h.w.after(h.w.upTo(time.Second), func() { r.host.cancel(r) })
	}
	h.allEnded()
}

func (h *holder) allEnded() {
	if h.state != ending {
		return
	}
	for _, r := range h.ranks {
		if !r.over {
			return
		}
	}
	h.giveBack(h.requestID())
	h.template.UsedGPUSeconds += int64(h.w.now.Sub(h.lease.GrantedAt).Seconds())
	h.state = idle
	h.then()
}

// cancel reaches the agent with a heartbeat; on a silent one the activity times
// out.
func (h *host) cancel(r *rank) {
	if r.over {
		return // there is nothing to cancel; what still runs is nobody's
	}
	switch j := h.job(r.key); {
	case h.silent():
		h.w.after(silenceLimit, func() {
			if !r.over {
				r.over = true
				r.holder.rankEnded(r, "nobody hears its host")
				if j != nil {
					h.orphan(j)
				}
			}
		})
	case j == nil || j.state == jobEnded:
		r.over = true
		r.holder.rankEnded(r, "it had not begun")
	default:
		h.end(j, "cancelled")
	}
}

func (h *holder) lost(m models.LeaseLost) {
	if h.state != holding || m.RequestID != h.requestID() {
		return
	}
	if m.Device != "" && h.w.chance(3) {
		h.template.Exclude = append(h.template.Exclude, m.Device)
	}
	h.template.Avoid = nil
	if m.Node != "" {
		h.template.Avoid = []string{m.Node}
	}
	h.stop("its lease is void", h.begin)
}

func (h *holder) preempted(m models.LeasePreempted) {
	if h.state != holding || m.RequestID != h.requestID() || h.w.chance(6) {
		return // it takes its time, until the lease is void
	}
	h.stop("it is preempted", h.begin)
}

func (h *holder) growable(m models.LeaseGrowable) {
	if h.state == holding && m.RequestID == h.requestID() && h.w.random.IntN(2) == 0 {
		h.stop("it may grow", h.begin)
	}
}

func (h *holder) refused(m models.LeaseRefused) {
	if h.state == waiting && m.RequestID == h.requestID() {
		h.close()
	}
}

func (w *World) host(name string) *host {
	for _, h := range w.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}
