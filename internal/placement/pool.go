package placement

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

// Pool is the decision maker of one device pool. Its maps are only ever asked,
// never ranged over.
type Pool struct {
	// rest holds the parts of the state that have no form of their own here:
	// everything but leases, waiting requests and tenants.
	rest    models.PoolState
	leases  []*held  // in order of token
	waiting []*asked // in the order in which they were last served
	tenants []*tenant

	heldBy  map[string]*held  // by request ID
	askedBy map[string]*asked // by request ID
	kept    map[string]*asked // by node: for whom the host is kept

	// cluster is what will be free once every ending lease has ended and every
	// promise is kept. roster is all hosts idle and in use; it counts the shapes
	// of requests, which cluster learns in steps.
	cluster, roster *fit.Cluster
	// inUse is what leases really hold, ending ones included: device shares by
	// UUID, cores and memory by node.
	inUse     map[string]int64
	hostInUse map[string]hostUse

	shapes map[string]int // a small number for each shape, by its text
	// freed counts what made room; a shape that did not fit need not be tried
	// again before it changes. failed is by trial.
	freed   int64
	failed  map[trial]int64
	checked bool // the possibility of every waiting request, since hosts changed
	// possible and idle are what roster said of a shape, until hosts change.
	possible map[int]string
	idle     map[int][]fit.Room
}

type hostUse struct{ cpuMilli, memoryMiB int64 }

// held is a lease.
type held struct {
	models.Lease
	milli int64 // its devices, in thousandths
}

// asked is a waiting request.
type asked struct {
	models.PoolRequest
	gang  fit.Gang
	shape int   // equal for requests that the same devices would satisfy
	milli int64 // the least it takes, in thousandths of a device
	place place // in the order, as of the last pass
	done  bool  // granted or refused in this pass
}

// New goes on from a state, the zero one included.
func New(state models.PoolState) *Pool {
	p := &Pool{
		rest: state, heldBy: map[string]*held{}, askedBy: map[string]*asked{}, kept: map[string]*asked{},
		cluster: fit.New(), roster: fit.New(), inUse: map[string]int64{}, hostInUse: map[string]hostUse{},
		shapes: map[string]int{}, failed: map[trial]int64{}, possible: map[int]string{}, idle: map[int][]fit.Room{},
	}
	p.rest.Nodes = slices.Clone(state.Nodes)
	p.rest.Leases, p.rest.Waiting, p.rest.Tenants = nil, nil, nil
	p.roster.Learn(state.Shapes)
	p.cluster.Learn(state.Learned)
	for _, t := range state.Tenants {
		p.tenants = append(p.tenants, &tenant{Tenant: t})
	}
	for _, n := range p.rest.Nodes {
		p.index(n)
	}
	for _, l := range state.Leases {
		p.hold(l)
	}
	for _, w := range state.Waiting {
		p.enqueue(w)
	}
	return p
}

// State is everything the pool knows. The caller must not change it.
func (p *Pool) State() models.PoolState {
	state := p.rest
	state.Nodes, state.Shapes = slices.Clone(p.rest.Nodes), p.roster.Shapes()
	for _, l := range p.leases {
		state.Leases = append(state.Leases, l.Lease)
	}
	for _, w := range p.waiting {
		state.Waiting = append(state.Waiting, w.PoolRequest)
	}
	slices.SortFunc(state.Waiting, func(a, b models.PoolRequest) int { return cmp.Compare(a.Arrival, b.Arrival) })
	for _, t := range p.tenants {
		state.Tenants = append(state.Tenants, t.Tenant)
	}
	return state
}

// Lends reports whether anybody holds a lease or waits for one.
func (p *Pool) Lends() bool { return len(p.leases)+len(p.waiting) > 0 }

// Holders names every workflow that holds a lease or waits for one, sorted:
// those whose end somebody has to notice.
func (p *Pool) Holders() []string {
	holders := make([]string, 0, len(p.leases)+len(p.waiting))
	for _, lease := range p.leases {
		holders = append(holders, lease.Holder)
	}
	for _, request := range p.waiting {
		holders = append(holders, request.Holder)
	}
	slices.Sort(holders)
	return slices.Compact(holders)
}

func (p *Pool) enqueue(r models.PoolRequest) *asked {
	w := &asked{PoolRequest: r}
	p.shape(w)
	p.waiting = append(p.waiting, w)
	p.askedBy[w.RequestID] = w
	p.checked = false
	p.enterPromise(w)
	p.keep(w)
	return w
}

// dequeue forgets what was promised to or kept for a request that no longer
// waits. The caller takes it out of the list, see sweep.
func (p *Pool) dequeue(w *asked) {
	w.done = true
	delete(p.askedBy, w.RequestID)
	p.breakPromise(w)
	p.unkeep(w)
}

// sweep takes the requests that are done out of the queue.
func (p *Pool) sweep() {
	p.waiting = slices.DeleteFunc(p.waiting, func(w *asked) bool { return w.done })
}

// shape works out what a request asks for.
func (p *Pool) shape(w *asked) {
	w.gang = fit.GangOf(w.LeaseRequest)
	w.milli = leastMilli(w.gang)
	key := fmt.Sprintf("%#v", w.gang) // maps are printed in order of their keys
	shape, known := p.shapes[key]
	if !known {
		shape = len(p.shapes)
		p.shapes[key] = shape
	}
	w.shape = shape
}

// whyImpossible says why the pool could never hold a request; "": it could.
func (p *Pool) whyImpossible(w *asked) string {
	reason, known := p.possible[w.shape]
	if !known {
		reason = p.roster.Possible(w.gang)
		p.possible[w.shape] = reason
	}
	return reason
}

// idleRooms is what each host could give a request with nothing in use.
func (p *Pool) idleRooms(w *asked) []fit.Room {
	rooms, known := p.idle[w.shape]
	if !known {
		rooms = p.roster.Rooms(w.gang)
		p.idle[w.shape] = rooms
	}
	return rooms
}

// observe counts a new request among the shapes, and lets placement follow once
// the count has changed by a tenth.
func (p *Pool) observe(w *asked) {
	p.roster.Observe(w.gang)
	shapes := p.roster.Shapes()
	was, is := total(p.rest.Learned), total(shapes)
	if is > was*1.1 || is < was {
		p.rest.Learned = shapes
		p.cluster.Learn(shapes)
	}
}

func total(shapes []models.ShapeCount) (sum float64) {
	for _, s := range shapes {
		sum += s.Weight
	}
	return sum
}

// leastMilli is the least that a gang takes, in thousandths of a device.
func leastMilli(g fit.Gang) int64 {
	devices := g.MinNodes * g.PerNode
	switch {
	case len(g.UUIDs) > 0:
		devices = len(g.UUIDs)
	case g.Total > 0:
		devices = g.Total
	}
	return int64(devices) * g.Milli
}

// hold enters a lease. An ending one is not in the cluster: see Pool.cluster.
func (p *Pool) hold(lease models.Lease) *held {
	h := &held{Lease: lease, milli: milliIn(lease.Nodes)}
	p.leases = append(p.leases, h)
	p.heldBy[h.RequestID] = h
	p.enter(h.Resources.Tenant).held += h.milli
	p.use(h.Nodes, 1)
	if h.Ending == nil {
		p.cluster.Take(h.Nodes)
	}
	return h
}

// milliIn sums the shares of devices, in thousandths.
func milliIn(parts []models.LeaseNode) (milli int64) {
	for _, part := range parts {
		for _, d := range part.Devices {
			milli += d.Share()
		}
	}
	return milli
}

// drop ends leases for good.
func (p *Pool) drop(now time.Time, which func(*held) bool) {
	p.leases = slices.DeleteFunc(p.leases, func(h *held) bool {
		if !which(h) {
			return false
		}
		t := p.tenant(h.Resources.Tenant)
		t.settle(now)
		t.held -= h.milli
		p.use(h.Nodes, -1)
		if h.Ending == nil {
			p.cluster.Give(h.Nodes)
			p.freed++
		}
		delete(p.heldBy, h.RequestID)
		return true
	})
}

// end asks for a lease back. What it holds can be promised from now on.
func (p *Pool) end(e *Effects, h *held, reason string, now time.Time) {
	if h.Ending != nil {
		return
	}
	grace := cmp.Or(time.Duration(h.Grace), defaultGrace)
	h.Ending = &models.LeaseEnding{Reason: reason, By: now.Add(grace + endingMargin)}
	p.cluster.Give(h.Nodes)
	p.freed++
	e.preempt(h.Lease)
}

func (p *Pool) use(parts []models.LeaseNode, sign int64) {
	for _, part := range parts {
		host := p.hostInUse[part.Node]
		host.cpuMilli += sign * part.CPUMilli
		host.memoryMiB += sign * part.MemoryMiB
		p.hostInUse[part.Node] = host
		for _, d := range part.Devices {
			if p.inUse[d.UUID] += sign * d.Share(); p.inUse[d.UUID] == 0 {
				delete(p.inUse, d.UUID)
			}
		}
	}
}

// ready reports whether parts are free now, and not only once ending leases
// have ended; if not, on which nodes they aren't.
func (p *Pool) ready(parts []models.LeaseNode) (busy []string) {
	for _, part := range parts {
		at, known := p.find(part.Node)
		host := p.hostInUse[part.Node]
		free := known && (part.CPUMilli == 0 || host.cpuMilli+part.CPUMilli <= p.rest.Nodes[at].CPUMilli) &&
			(part.MemoryMiB == 0 || host.memoryMiB+part.MemoryMiB <= p.rest.Nodes[at].MemoryMiB)
		for _, d := range part.Devices {
			free = free && p.inUse[d.UUID]+d.Share() <= models.WholeGPU
		}
		if !free {
			busy = append(busy, part.Node)
		}
	}
	return busy
}
