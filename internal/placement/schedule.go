package placement

import (
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

// schedule is what follows every event: first what is due, then who gets what.
func (p *Pool) schedule(e Effects, now time.Time) Effects {
	p.order(now)
	p.forgetNodes(now)
	p.expire(&e, now)
	p.prove(&e, now)
	p.fulfil(&e, now)
	p.fill(&e, now)
	if p.plan(&e, now) {
		p.fill(&e, now)
	}
	p.reserve(&e, now)
	p.grow(&e)
	p.forgetTenants(now)
	return e
}

// expire voids the leases that were not given back in time, and refuses who
// does not want to wait any longer.
func (p *Pool) expire(e *Effects, now time.Time) {
	p.drop(now, func(h *held) bool {
		if h.Ending == nil || now.Before(h.Ending.By) {
			return false
		}
		e.lose(h.Lease, models.LeaseLost{Reason: "it was not given back by " + clock(h.Ending.By) + ": " + h.Ending.Reason})
		return true
	})
	for _, w := range p.waiting {
		if deadline, has := w.deadline(); has && !now.Before(deadline) {
			e.refuse(w.Holder, w.RequestID, "it waited for max_wait, "+spell(time.Duration(w.Resources.MaxWait))+": "+p.explain(w, now))
			p.dequeue(w)
		}
	}
	p.sweep()
}

func (w *asked) deadline() (at time.Time, has bool) {
	return w.QueuedAt.Add(time.Duration(w.Resources.MaxWait)), w.Resources.MaxWait > 0
}

// settled reports whether the pool may believe that it knows all its hosts.
func (p *Pool) settled(now time.Time) bool {
	return len(p.rest.Nodes) > 0 && now.Sub(p.rest.JoinedAt) >= settleAfter
}

// prove refuses the requests that this pool could never hold. One that it could
// hold when it came stays: what is missing may come back.
func (p *Pool) prove(e *Effects, now time.Time) {
	if p.checked || !p.settled(now) {
		return
	}
	p.checked = true
	why := map[int]string{}
	for _, w := range p.waiting {
		if w.Proven {
			continue
		}
		reason, known := why[w.shape]
		if !known {
			reason = p.roster.Possible(w.gang)
			why[w.shape] = reason
		}
		if reason != "" {
			e.refuse(w.Holder, w.RequestID, p.impossible(w, reason))
			p.dequeue(w)
			continue
		}
		w.Proven = true
	}
	p.sweep()
}

// fulfil grants what was promised and is free by now.
func (p *Pool) fulfil(e *Effects, now time.Time) {
	for _, w := range p.waiting {
		if len(w.Promised) == 0 || len(p.ready(w.Promised)) > 0 {
			continue
		}
		parts := w.Promised
		p.breakPromise(w)
		p.grant(e, w, parts, now)
	}
	p.sweep()
}

// fill serves the queue in order, each request that fits; and again when that
// ended a reservation, since others may use its hosts then.
func (p *Pool) fill(e *Effects, now time.Time) {
	for freed := p.freed - 1; freed != p.freed; {
		freed = p.freed
		for _, w := range p.waiting {
			if w.done || len(w.Promised) > 0 {
				continue
			}
			if gang, parts, ok := p.try(w); ok {
				p.serve(e, w, gang, parts, now)
			}
		}
	}
	p.sweep()
}

// serve grants parts that are free, and promises parts that will be. A small
// detour is made around the latter.
func (p *Pool) serve(e *Effects, w *asked, gang fit.Gang, parts []models.LeaseNode, now time.Time) {
	busy := p.ready(parts)
	if len(busy) > 0 {
		gang.Avoid = append(slices.Clone(gang.Avoid), busy...)
		if other, ok := p.pick(w, gang); ok && len(p.ready(other)) == 0 {
			parts, busy = other, nil
		}
	}
	if len(busy) > 0 {
		p.promise(e, w, parts, now)
		return
	}
	p.grant(e, w, parts, now)
}

// grant lends parts, which are free.
func (p *Pool) grant(e *Effects, w *asked, parts []models.LeaseNode, now time.Time) {
	p.dequeue(w)
	lease := models.Lease{LeaseRequest: w.LeaseRequest, Token: max(p.rest.NextToken, 1), Nodes: lean(parts), GrantedAt: now}
	p.rest.NextToken = lease.Token + 1
	p.enter(w.Resources.Tenant).settle(now)
	e.Grants = append(e.Grants, p.hold(lease).Lease)
}

// promise gives parts to a request as soon as they are free.
func (p *Pool) promise(e *Effects, w *asked, parts []models.LeaseNode, now time.Time) {
	p.unkeep(w)
	w.Promised = lean(parts)
	p.cluster.Take(w.Promised)
	e.wait(w, p.explain(w, now))
}

func (p *Pool) breakPromise(w *asked) {
	if len(w.Promised) > 0 {
		p.cluster.Give(w.Promised)
		w.Promised = nil
		p.freed++
	}
}

// lean drops what a holder does not need to know of its devices.
func lean(parts []models.LeaseNode) []models.LeaseNode {
	for i := range parts {
		for j := range parts[i].Devices {
			parts[i].Devices[j].Links, parts[i].Devices[j].Fault = nil, nil
		}
	}
	return parts
}

// trial is what decides, besides what is free, whether a request fits.
type trial struct {
	shape, maxNodes, priority int
	preemptible               bool
}

// try looks for devices, unless the same was tried since anything was freed.
func (p *Pool) try(w *asked) (fit.Gang, []models.LeaseNode, bool) {
	gang, ok := p.withinQuota(w)
	if !ok {
		return gang, nil, false
	}
	t := trial{w.shape, gang.MaxNodes, w.Resources.Priority, w.Resources.Preemptible}
	if at, tried := p.failed[t]; tried && at == p.freed && len(w.ReservedOn) == 0 {
		return gang, nil, false
	}
	parts, ok := p.pick(w, gang)
	if !ok && len(w.ReservedOn) == 0 {
		p.failed[t] = p.freed
	}
	return gang, parts, ok
}

// withinQuota cuts a gang to what its tenant may have; false: it may not have
// even the least.
func (p *Pool) withinQuota(w *asked) (fit.Gang, bool) {
	gang, room := w.gang, p.tenant(w.Resources.Tenant).room()-p.promised(w.Resources.Tenant)
	if w.milli > room {
		return gang, false
	}
	if each := int64(gang.PerNode) * gang.Milli; each > 0 && int64(gang.MaxNodes)*each > room {
		gang.MaxNodes = int(room / each)
	}
	return gang, true
}

// promised is what a tenant will hold besides its leases.
func (p *Pool) promised(tenant string) (milli int64) {
	if p.tenant(tenant).QuotaMilli == 0 {
		return 0 // nobody asks
	}
	for _, w := range p.waiting {
		if w.Resources.Tenant == tenant && !w.done {
			for _, part := range w.Promised {
				for _, d := range part.Devices {
					milli += d.Share()
				}
			}
		}
	}
	return milli
}

// pick chooses devices on the hosts that are not kept for others, and only then
// on those that are and admit the request all the same.
func (p *Pool) pick(w *asked, gang fit.Gang) ([]models.LeaseNode, bool) {
	if len(w.ReservedOn) == 0 {
		if parts, ok := p.cluster.Pick(gang); ok || len(p.kept) == 0 {
			return parts, ok
		}
	}
	opened := p.admitting(w)
	if len(opened) == 0 && len(w.ReservedOn) == 0 {
		return nil, false
	}
	p.open(opened, true)
	defer p.open(opened, false)
	return p.cluster.Pick(gang)
}

// grow tells gangs with fewer hosts than they may have that there are more, once
// nobody waits for them.
func (p *Pool) grow(e *Effects) {
	if len(p.waiting) > 0 {
		return
	}
	for _, h := range p.leases {
		r := h.Resources
		if h.Growable || h.Ending != nil || r.GPUs > 0 || len(r.UUIDs) > 0 || len(h.Nodes) >= r.Nodes {
			continue
		}
		gang := fit.GangOf(h.LeaseRequest)
		gang.MinNodes = len(h.Nodes) + 1
		if each := int64(gang.PerNode) * gang.Milli; each > 0 {
			gang.MaxNodes = int(min(int64(gang.MaxNodes), p.tenant(r.Tenant).room()/each+int64(len(h.Nodes))))
		}
		if gang.MaxNodes < gang.MinNodes {
			continue
		}
		p.cluster.Give(h.Nodes)
		parts, ok := p.cluster.Pick(gang)
		p.cluster.Take(h.Nodes)
		if ok && len(parts) > len(h.Nodes) {
			h.Growable = true
			e.Growths = append(e.Growths, Message[models.LeaseGrowable]{h.Holder, models.LeaseGrowable{RequestID: h.RequestID, Nodes: len(parts)}})
		}
	}
}
