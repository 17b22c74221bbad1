package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// mostUnwanted is how long a lease may be out after its holder has closed or
// moved on: a release that is lost and comes late, two sweeps, and a worker that
// is away meanwhile.
const mostUnwanted = 5 * time.Minute

// oracle is deliberately dumb: lists, sums and loops. It hears what the pool is
// told and what it answers, and which processes run.
type oracle struct {
	w         *World
	violation error
	stats     Stats

	live    []models.Lease // granted, and neither released nor void
	newest  int64          // largest token so far
	known   map[string]models.NodeInfo
	down    map[string]bool
	shut    map[string]bool      // cordoned
	out     map[string]string    // devices out of use, and by whom
	faults  map[string]time.Time // the newest fault that was told, by device
	quota   map[string]float64   // by tenant
	asked   map[string]time.Time // when a request was first heard
	asking  map[string]models.LeaseRequest
	running map[string][]*job // by device
	begun   map[string][]*job // every job that ever ran there, by device
}

func newOracle(w *World) *oracle {
	return &oracle{
		w: w, known: map[string]models.NodeInfo{}, down: map[string]bool{}, shut: map[string]bool{}, out: map[string]string{},
		faults: map[string]time.Time{}, quota: map[string]float64{}, asked: map[string]time.Time{},
		asking: map[string]models.LeaseRequest{}, running: map[string][]*job{}, begun: map[string][]*job{},
	}
}

// violate keeps the first broken promise.
func (o *oracle) violate(format string, arguments ...any) {
	if o.violation == nil {
		o.violation = fmt.Errorf(format, arguments...)
		o.w.note("VIOLATION: %v", o.violation)
	}
}

// What the pool is told.

func (o *oracle) requested(r models.LeaseRequest) {
	if _, known := o.asked[r.RequestID]; !known {
		o.asked[r.RequestID] = o.w.now
	}
	o.asking[r.RequestID] = r
}

func (o *oracle) released(id string) {
	o.live = slices.DeleteFunc(o.live, func(l models.Lease) bool { return l.RequestID == id })
}

func (o *oracle) holderClosed(id string) {
	o.live = slices.DeleteFunc(o.live, func(l models.Lease) bool { return l.Holder == id })
}

func (o *oracle) nodeUp(info models.NodeInfo) {
	o.known[info.Node], o.down[info.Node] = info, false
	for _, d := range info.Devices {
		switch {
		case d.Fault == nil || d.Fault.Action != models.FaultQuarantine:
			if o.out[d.UUID] == "agent" {
				delete(o.out, d.UUID)
			}
		case d.Fault.At.After(o.faults[d.UUID]):
			o.faults[d.UUID] = d.Fault.At
			if o.out[d.UUID] == "" {
				o.out[d.UUID] = "agent"
			}
		}
	}
}

func (o *oracle) nodeDown(m models.NodeDown) { o.down[m.Node] = true }

func (o *oracle) ordered(order models.PoolOrder) {
	switch order.Action {
	case models.ActionCordon, models.ActionDrain:
		o.shut[order.Node] = true
	case models.ActionUncordon:
		o.shut[order.Node] = false
	case models.ActionQuarantine:
		o.out[order.UUID] = order.By
	case models.ActionUnquarantine:
		delete(o.out, order.UUID)
	case models.ActionQuota:
		o.quota[order.Tenant] = order.GPUs
	}
}

// heard is what the pool answers.
func (o *oracle) heard(effects placement.Effects) {
	for _, m := range effects.Losses {
		o.stats.Losses++
		o.released(m.Body.RequestID)
	}
	o.stats.Preemptions += len(effects.Preemptions)
	o.stats.Growths += len(effects.Growths)
	for _, m := range effects.Refusals {
		o.stats.Refusals++
		o.judgeRefusal(m.Body)
	}
	for _, lease := range effects.Grants {
		o.granted(lease)
	}
	for _, m := range effects.Waits {
		if strings.TrimSpace(m.Body.Reason) == "" {
			o.violate("request %s waits and nobody says why", m.Body.RequestID)
		}
	}
}

func (o *oracle) granted(lease models.Lease) {
	for _, l := range o.live {
		if l.RequestID == lease.RequestID { // a repeated answer
			if l.Token != lease.Token || where(l) != where(lease) {
				o.violate("request %s has lease %d on %s, and now lease %d on %s", l.RequestID, l.Token, where(l), lease.Token, where(lease))
			}
			return
		}
	}
	o.stats.Grants++
	if lease.Token <= o.newest {
		o.violate("lease of %s has token %d, but %d was given before", lease.RequestID, lease.Token, o.newest)
	}
	o.newest = max(o.newest, lease.Token)
	o.live = append(o.live, lease)
	o.sum()
	if flaw := o.flaw(lease); flaw != "" {
		o.violate("lease %d of %s (%s): %s", lease.Token, lease.RequestID, where(lease), flaw)
	}
}

// sum adds up what is lent of each device.
func (o *oracle) sum() {
	lent := map[string]int64{}
	for _, l := range o.live {
		for _, n := range l.Nodes {
			for _, d := range n.Devices {
				if lent[d.UUID] += d.Share(); lent[d.UUID] > models.WholeGPU {
					o.violate("device %s is lent %d thousandths, the last of them with lease %d of %s", d.UUID, lent[d.UUID], l.Token, l.RequestID)
				}
			}
		}
	}
}

// check compares what is out with the holders that live, and with the pool's
// own books.
func (o *oracle) check(core *placement.Pool) {
	for _, l := range o.live {
		o.judgeUse(l)
	}
	state := core.State()
	if len(state.Leases) != len(o.live) && o.w.breaking == NothingBroken {
		o.violate("the pool's books have %d leases, and %d are out", len(state.Leases), len(o.live))
	}
	if o.stats.Events%16 == 0 {
		for _, request := range state.Waiting {
			if core.Explain(request.RequestID, o.w.now) == "" {
				o.violate("request %s waits and the pool can't say why", request.RequestID)
			}
		}
	}
}

// judgeUse: a lease is out for as long as somebody wants it.
func (o *oracle) judgeUse(l models.Lease) {
	h := o.w.holder(l.Holder)
	var unwanted time.Time
	switch {
	case h.state == closed:
		unwanted = h.closedAt
	case h.requestID() != l.RequestID && !h.collects():
		unwanted = h.begunAt
	default:
		return
	}
	if l.GrantedAt.After(unwanted) {
		unwanted = l.GrantedAt
	}
	if since := o.w.now.Sub(unwanted); since > mostUnwanted {
		o.violate("lease %d of %s is out, and for %s nobody has wanted it", l.Token, l.RequestID, since)
	}
}

// What runs on the hosts.

func (o *oracle) started(h *host, j *job) {
	for _, d := range j.part.Devices {
		total := d.Share()
		for _, other := range o.running[d.UUID] {
			total += shareOf(other, d.UUID)
		}
		if total > models.WholeGPU {
			o.violate("processes on %s of %s hold %d thousandths: %s joins %s", d.UUID, h.name, total, j.key, o.running[d.UUID][0].key)
		}
		for _, other := range o.begun[d.UUID] {
			if other.token > j.token && shareOf(other, d.UUID)+d.Share() > models.WholeGPU {
				o.violate("%s starts on %s with token %d after %s had it with token %d", j.key, d.UUID, j.token, other.key, other.token)
			}
		}
		o.running[d.UUID] = append(o.running[d.UUID], j)
		o.begun[d.UUID] = append(o.begun[d.UUID], j)
	}
}

func (o *oracle) stopped(_ *host, j *job) {
	for _, d := range j.part.Devices {
		o.running[d.UUID] = slices.DeleteFunc(o.running[d.UUID], func(other *job) bool { return other == j })
	}
}

func shareOf(j *job, uuid string) int64 {
	for _, d := range j.part.Devices {
		if d.UUID == uuid {
			return d.Share()
		}
	}
	return 0
}
