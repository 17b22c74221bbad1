package placement

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Request queues a request, or answers it at once: with the lease it has, when
// it is repeated; with a refusal, when it can never be granted. Every request
// that waits is answered with the reason, each time it is made.
func (p *Pool) Request(request models.LeaseRequest, now time.Time) (e Effects) {
	if h := p.heldBy[request.RequestID]; h != nil {
		e.Grants = []models.Lease{h.Lease}
		if h.Ending != nil {
			e.preempt(h.Lease)
		}
		return e
	}
	w := p.askedBy[request.RequestID]
	if w == nil {
		request.Resources = request.Resources.WithDefaults()
		p.rest.Arrivals++
		w = p.enqueue(models.PoolRequest{LeaseRequest: request, QueuedAt: now, Arrival: p.rest.Arrivals})
		if reason := p.unreasonable(w); reason != "" {
			e.refuse(w.Holder, w.RequestID, reason)
			p.dequeue(w)
			p.sweep()
			return e
		}
		p.observe(w)
		e = p.schedule(e, now)
	}
	p.order(now)
	told := func(m Message[models.LeaseWaiting]) bool { return m.Body.RequestID == w.RequestID }
	if !w.done && !slices.ContainsFunc(e.Waits, told) {
		e.wait(w, p.explain(w, now))
	}
	return e
}

// unreasonable says what is wrong with a request whatever the pool has.
func (p *Pool) unreasonable(w *asked) string {
	g := w.gang
	if w.milli <= 0 || g.Milli > models.WholeGPU || g.PerNode < 0 || g.MinNodes > g.MaxNodes {
		return "needs " + describe(w.Resources) + ": no pool can give that; ask for at least 1 node × 1 device, with 1 to 1000 thousandths of each"
	}
	if t := p.tenant(w.Resources.Tenant); t.QuotaMilli > 0 && w.milli > t.QuotaMilli {
		return fmt.Sprintf("needs %s, more than the quota of tenant %s: %s devices; ask for less, or have the quota raised",
			describe(w.Resources), t.Name, devices(t.QuotaMilli))
	}
	return ""
}

// Release frees a lease or withdraws a waiting request. Releasing what the
// pool does not know is success.
func (p *Pool) Release(release models.LeaseRelease, now time.Time) Effects {
	if p.heldBy[release.RequestID] == nil && p.askedBy[release.RequestID] == nil {
		return Effects{}
	}
	return p.free(now, func(r models.LeaseRequest) bool { return r.RequestID == release.RequestID })
}

// HolderClosed frees everything that a workflow held or waited for. The holder
// is gone, so nobody is told.
func (p *Pool) HolderClosed(holder string, now time.Time) Effects {
	return p.free(now, func(r models.LeaseRequest) bool { return r.Holder == holder })
}

func (p *Pool) free(now time.Time, which func(models.LeaseRequest) bool) Effects {
	p.drop(now, func(h *held) bool { return which(h.LeaseRequest) })
	for _, w := range p.waiting {
		if which(w.LeaseRequest) {
			p.dequeue(w)
		}
	}
	p.sweep()
	return p.schedule(Effects{}, now)
}

// Saved notes until when a lease's work is safe.
func (p *Pool) Saved(saved models.LeaseSaved, _ time.Time) Effects {
	if h := p.heldBy[saved.RequestID]; h != nil && saved.At.After(h.SavedAt) {
		h.SavedAt = saved.At
	}
	return Effects{}
}

// Hosts names hosts that could hold a gang, those with the most free devices
// first. A gang that is impossible is refused; while more hosts are expected, its
// holder is told to wait, and asks again.
func (p *Pool) Hosts(request models.HostsRequest, now time.Time) (e Effects) {
	w := &asked{PoolRequest: models.PoolRequest{LeaseRequest: models.LeaseRequest{
		RequestID: request.RequestID, Holder: request.Holder, Resources: request.Resources.WithDefaults(),
	}}}
	p.shape(w)
	reason := p.unreasonable(w)
	if reason == "" {
		if why := p.whyImpossible(w); why != "" {
			reason = p.impossible(w, why)
			if !p.settled(now) {
				e.wait(w, p.explain(w, now))
				return e
			}
		}
	}
	if reason != "" {
		e.refuse(request.Holder, request.RequestID, reason)
		return e
	}
	e.Hosts = []Message[models.HostsNamed]{{request.Holder, models.HostsNamed{RequestID: request.RequestID, Nodes: p.likely(w)}}}
	return e
}

// likely are the hosts where a gang would go, and otherwise those that could
// hold part of it.
func (p *Pool) likely(w *asked) []string {
	parts, ok := p.cluster.Pick(w.gang)
	if ok {
		var names []string
		for _, part := range parts {
			names = append(names, part.Node)
		}
		return names
	}
	if hosts := p.target(w); len(hosts) > 0 {
		return hosts
	}
	var names []string
	for _, room := range p.idleRooms(w) {
		if len(names) < max(w.gang.MaxNodes, 1) {
			names = append(names, room.Node)
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
