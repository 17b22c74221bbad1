// Package placement is the brain of a device pool: it decides who gets which
// devices, and says why the others wait. It has no clock, no I/O and no
// randomness, so that a workflow can call it and replay the same decisions.
//
// Each event is a method that changes the pool and returns its Effects. The
// caller sends them in the order of the struct's fields; all are repeatable.
package placement

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

// Effects are the messages that an event causes, in the order in which they
// are sent.
type Effects struct {
	Losses      []Message[models.LeaseLost]
	Preemptions []Message[models.LeasePreempted]
	Refusals    []Message[models.LeaseRefused]
	Grants      []models.Lease // each to its Holder
	Waits       []Message[models.LeaseWaiting]
	Growths     []Message[models.LeaseGrowable]
	Hosts       []Message[models.HostsNamed]
}

// Message is what a holder is told.
type Message[T any] struct {
	Holder string
	Body   T
}

// Pool is the decision maker of one device pool.
type Pool struct {
	state   models.PoolState
	cluster *fit.Cluster
}

// New goes on from a state, the zero one included.
func New(state models.PoolState) *Pool {
	p := &Pool{state: state, cluster: fit.New()}
	for _, n := range state.Nodes {
		p.index(n)
	}
	for _, l := range state.Leases {
		p.cluster.Take(l.Nodes)
	}
	return p
}

// State is everything the pool knows. The caller must not change it.
func (p *Pool) State() models.PoolState { return p.state }

// Request queues a request, or answers it at once: with the lease it has, when
// it is repeated; with a refusal, when it can never be granted. Every request
// that waits is answered with the reason, each time it is made.
func (p *Pool) Request(request models.LeaseRequest, now time.Time) (effects Effects) {
	for _, lease := range p.state.Leases {
		if lease.RequestID == request.RequestID {
			return Effects{Grants: []models.Lease{lease}}
		}
	}
	if !slices.ContainsFunc(p.state.Waiting, func(w models.PoolRequest) bool { return w.RequestID == request.RequestID }) {
		request.Resources = request.Resources.WithDefaults()
		p.state.Arrivals++
		p.state.Waiting = append(p.state.Waiting, models.PoolRequest{LeaseRequest: request, QueuedAt: now, Arrival: p.state.Arrivals})
		effects = p.schedule(effects, now)
	}
	if reason := p.Explain(request.RequestID, now); reason != "" {
		effects.Waits = append(effects.Waits, Message[models.LeaseWaiting]{request.Holder, models.LeaseWaiting{RequestID: request.RequestID, Reason: reason}})
	}
	return effects
}

// Release frees a lease or withdraws a waiting request. Releasing what the
// pool does not know is success.
func (p *Pool) Release(release models.LeaseRelease, now time.Time) Effects {
	p.drop(func(r models.LeaseRequest) bool { return r.RequestID == release.RequestID })
	return p.schedule(Effects{}, now)
}

// HolderClosed frees everything that a workflow held or waited for. The holder
// is gone, so nobody is told.
func (p *Pool) HolderClosed(holder string, now time.Time) Effects {
	p.drop(func(r models.LeaseRequest) bool { return r.Holder == holder })
	return p.schedule(Effects{}, now)
}

// Saved notes until when a lease's work is safe.
func (p *Pool) Saved(saved models.LeaseSaved, _ time.Time) Effects {
	for i := range p.state.Leases {
		if p.state.Leases[i].RequestID == saved.RequestID && saved.At.After(p.state.Leases[i].SavedAt) {
			p.state.Leases[i].SavedAt = saved.At
		}
	}
	return Effects{}
}

// Hosts names hosts that could hold a gang.
func (p *Pool) Hosts(request models.HostsRequest, _ time.Time) Effects {
	parts, _ := p.cluster.Pick(fit.GangOf(models.LeaseRequest{Resources: request.Resources}))
	named := models.HostsNamed{RequestID: request.RequestID}
	for _, part := range parts {
		named.Nodes = append(named.Nodes, part.Node)
	}
	return Effects{Hosts: []Message[models.HostsNamed]{{request.Holder, named}}}
}

// NodeUp adds a node or replaces its inventory. Ranks outlive their agent, so
// a new Boot voids no lease; a device that is gone or faulty voids the leases
// it was in.
func (p *Pool) NodeUp(info models.NodeInfo, now time.Time) Effects {
	at, known := p.find(info.Node)
	if !known {
		p.state.Nodes = slices.Insert(p.state.Nodes, at, models.PoolNode{})
		p.state.JoinedAt = now
	}
	p.state.Nodes[at].NodeInfo, p.state.Nodes[at].Down = info, ""
	p.index(p.state.Nodes[at])
	effects := p.void(info.Node, func(part models.LeaseNode) string {
		for _, d := range part.Devices {
			if !slices.ContainsFunc(info.Devices, func(has models.Device) bool { return has.UUID == d.UUID }) {
				return "node " + info.Node + " no longer has device " + d.UUID
			}
		}
		return ""
	})
	return p.schedule(effects, now)
}

// NodeDown takes a node out of use. Leases with devices there are void as a
// whole: a gang that lost a rank is no gang.
func (p *Pool) NodeDown(down models.NodeDown, now time.Time) Effects {
	at, known := p.find(down.Node)
	if !known {
		return Effects{}
	}
	p.state.Nodes[at].Down = cmp.Or(down.Reason, "it is down")
	p.index(p.state.Nodes[at])
	effects := p.void(down.Node, func(models.LeaseNode) string { return p.state.Nodes[at].Down })
	return p.schedule(effects, now)
}

// Operate carries out an operator's order, or says what is wrong with it.
func (p *Pool) Operate(order models.PoolOrder, _ time.Time) (models.PoolOrderResult, Effects, error) {
	return models.PoolOrderResult{}, Effects{}, errors.New("no such action: " + string(order.Action))
}

// Tick does what is due by now: see Wake.
func (p *Pool) Tick(now time.Time) Effects { return p.schedule(Effects{}, now) }

// Wake is when Tick has something to do next, if nothing happens before.
func (p *Pool) Wake(time.Time) (at time.Time, needed bool) { return time.Time{}, false }

// Holders names every workflow that holds a lease or waits for one, sorted:
// those whose end somebody has to notice.
func (p *Pool) Holders() []string {
	var holders []string
	for _, lease := range p.state.Leases {
		holders = append(holders, lease.Holder)
	}
	for _, request := range p.state.Waiting {
		holders = append(holders, request.Holder)
	}
	slices.Sort(holders)
	return slices.Compact(holders)
}

// Explain says why a request waits, in words and numbers; "" when it does not.
func (p *Pool) Explain(requestID string, _ time.Time) string {
	for _, w := range p.state.Waiting {
		if w.RequestID == requestID {
			return fmt.Sprintf("needs %d nodes × %d devices", w.Resources.Nodes, w.Resources.GPUsPerNode)
		}
	}
	return ""
}

// Status is what people see. Lists are cut to limit entries.
func (p *Pool) Status(now time.Time, limit int) models.PoolStatus {
	status := models.PoolStatus{Pool: p.state.Pool, Nodes: p.state.Nodes, Leases: p.state.Leases, Waiting: p.state.Waiting,
		Tenants: p.state.Tenants, Reasons: map[string]string{}}
	for _, w := range p.state.Waiting[:min(limit, len(p.state.Waiting))] {
		status.Reasons[w.RequestID] = p.Explain(w.RequestID, now)
	}
	status.Counts = models.PoolCounts{Nodes: len(p.state.Nodes), Leases: len(p.state.Leases), Waiting: len(p.state.Waiting)}
	return status
}

func (p *Pool) schedule(effects Effects, now time.Time) Effects {
	waiting := p.state.Waiting[:0:0]
	for i, request := range p.state.Waiting {
		parts, ok := p.cluster.Pick(fit.GangOf(request.LeaseRequest))
		if !ok {
			waiting = append(waiting, p.state.Waiting[i:]...)
			break
		}
		lease := models.Lease{LeaseRequest: request.LeaseRequest, Token: max(p.state.NextToken, 1), Nodes: parts, GrantedAt: now}
		p.state.NextToken = lease.Token + 1
		p.state.Leases = append(p.state.Leases, lease)
		p.cluster.Take(parts)
		effects.Grants = append(effects.Grants, lease)
	}
	p.state.Waiting = waiting
	return effects
}

func (p *Pool) drop(which func(models.LeaseRequest) bool) {
	p.state.Leases = slices.DeleteFunc(p.state.Leases, func(l models.Lease) bool {
		if which(l.LeaseRequest) {
			p.cluster.Give(l.Nodes)
			return true
		}
		return false
	})
	p.state.Waiting = slices.DeleteFunc(p.state.Waiting, func(w models.PoolRequest) bool { return which(w.LeaseRequest) })
}

func (p *Pool) void(node string, why func(models.LeaseNode) string) (effects Effects) {
	p.drop2(func(lease models.Lease) bool {
		for _, part := range lease.Nodes {
			if reason := why(part); part.Node == node && reason != "" {
				effects.Losses = append(effects.Losses, Message[models.LeaseLost]{lease.Holder, models.LeaseLost{RequestID: lease.RequestID, Node: node, Reason: reason}})
				return true
			}
		}
		return false
	})
	return effects
}

func (p *Pool) drop2(which func(models.Lease) bool) {
	p.state.Leases = slices.DeleteFunc(p.state.Leases, func(l models.Lease) bool {
		if which(l) {
			p.cluster.Give(l.Nodes)
			return true
		}
		return false
	})
}

func (p *Pool) find(name string) (int, bool) {
	return slices.BinarySearchFunc(p.state.Nodes, name, func(n models.PoolNode, name string) int { return cmp.Compare(n.Node, name) })
}

func (p *Pool) index(n models.PoolNode) {
	host := fit.Host{NodeInfo: n.NodeInfo, Closed: n.Down != "" || n.Cordoned != ""}
	for _, q := range n.Quarantined {
		host.Out = append(host.Out, q.UUID)
	}
	p.cluster.Upsert(host)
}
