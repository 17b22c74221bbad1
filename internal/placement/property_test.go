package placement

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mainspring-ml/mainspring/models"
)

// world runs random events against a pool and remembers what it was told. Next
// to the pool runs a twin that is made anew from its state, through JSON, before
// each event: it must say the same.
type world struct {
	pool      *Pool
	twin      *Pool
	now       time.Time
	before    models.PoolState
	lastToken int64
	told      map[string]models.Lease // grants by request, until lost or given back
	asked     map[string]models.LeaseRequest
	waiting   map[string]bool // asked and not answered for good
	step      int
}

func newWorld() *world {
	state := models.PoolState{Pool: "default"}
	return &world{
		pool: New(state), twin: New(state), now: noon,
		told: map[string]models.Lease{}, asked: map[string]models.LeaseRequest{}, waiting: map[string]bool{},
	}
}

// apply lets an event happen and checks everything that must hold after it.
func (w *world) apply(t *rapid.T, event func(*Pool) Effects) Effects {
	w.before = copied(w.pool.State())
	w.twin = New(copied(w.twin.State()))
	e := event(w.pool)
	if other := event(w.twin); asJSON(other) != asJSON(e) {
		t.Fatalf("after continuing as new the pool says\n%s\ninstead of\n%s", asJSON(other), asJSON(e))
	}
	state := w.pool.State()
	if asJSON(state) != asJSON(w.twin.State()) {
		t.Fatalf("after continuing as new the pool is\n%s\ninstead of\n%s", asJSON(w.twin.State()), asJSON(state))
	}
	w.heed(t, e)
	o := oracle{state: state, now: w.now}
	o.checkLeases(t)
	o.checkTold(t, w)
	o.checkQueue(t, w)
	w.checkGrants(t, e)
	w.checkPreemptions(t, e, state)
	w.checkWake(t)
	return e
}

// heed remembers what holders were told.
func (w *world) heed(t *rapid.T, e Effects) {
	for _, m := range e.Losses {
		if lease, ok := w.told[m.Body.RequestID]; !ok || lease.Holder != m.Holder {
			t.Fatalf("lost %+v, which was never granted to that holder", m)
		}
		delete(w.told, m.Body.RequestID)
	}
	for _, m := range e.Preemptions {
		if _, ok := w.told[m.Body.RequestID]; !ok {
			t.Fatalf("preempted %+v, which was never granted", m)
		}
	}
	for _, m := range e.Refusals {
		delete(w.waiting, m.Body.RequestID)
	}
	for _, lease := range e.Grants {
		old, again := w.told[lease.RequestID]
		if again && old.Token != lease.Token {
			t.Fatalf("request %s holds token %d and got %d", lease.RequestID, old.Token, lease.Token)
		}
		if !again && lease.Token <= w.lastToken {
			t.Fatalf("token %d after %d", lease.Token, w.lastToken)
		}
		w.lastToken = max(w.lastToken, lease.Token)
		w.told[lease.RequestID] = lease
		delete(w.waiting, lease.RequestID)
	}
	for _, m := range e.Waits {
		if m.Body.Reason == "" || len(m.Body.Reason) > 1500 {
			t.Fatalf("%s waits because of %q", m.Body.RequestID, m.Body.Reason)
		}
	}
}

// checkGrants: quotas hold, nothing goes to hosts that may not be used, and what
// is kept for one is not taken by another that can't be asked to leave.
func (w *world) checkGrants(t *rapid.T, e Effects) {
	after := w.pool.State()
	for _, lease := range e.Grants {
		if slices.ContainsFunc(w.before.Leases, func(l models.Lease) bool { return l.RequestID == lease.RequestID }) {
			continue // told again
		}
		promised := slices.ContainsFunc(w.before.Waiting, func(r models.PoolRequest) bool { return r.RequestID == lease.RequestID && len(r.Promised) > 0 })
		for _, part := range lease.Nodes {
			n := after.Nodes[slices.IndexFunc(after.Nodes, func(n models.PoolNode) bool { return n.Node == part.Node })]
			if n.Down != "" || n.Cordoned != "" {
				t.Fatalf("%s got devices on %s: down %q, cordoned %q", lease.RequestID, n.Node, n.Down, n.Cordoned)
			}
			for _, d := range part.Devices {
				if slices.ContainsFunc(n.Quarantined, func(q models.Quarantine) bool { return q.UUID == d.UUID }) {
					t.Fatalf("%s got %s, which is out of use", lease.RequestID, d.UUID)
				}
			}
			for _, other := range after.Waiting {
				if slices.Contains(other.ReservedOn, part.Node) && reservedBefore(w.before, other) && !lease.Resources.Preemptible && !promised &&
					lease.Resources.Priority <= other.Resources.Priority {
					t.Fatalf("%s got devices on %s, which is kept for %s", lease.RequestID, part.Node, other.RequestID)
				}
			}
		}
		for _, tenant := range after.Tenants {
			if held := milliOf(after.Leases, tenant.Name); tenant.Name == lease.Resources.Tenant && tenant.QuotaMilli > 0 && held > tenant.QuotaMilli {
				t.Fatalf("%s got a lease, and tenant %s holds %d of %d", lease.RequestID, tenant.Name, held, tenant.QuotaMilli)
			}
		}
	}
}

func reservedBefore(before models.PoolState, w models.PoolRequest) bool {
	return slices.ContainsFunc(before.Waiting, func(b models.PoolRequest) bool {
		return b.RequestID == w.RequestID && reflect.DeepEqual(b.ReservedOn, w.ReservedOn)
	})
}

// checkPreemptions: only a preemptible lease that ran long enough, or was warned,
// is asked back, and only for somebody of at least its priority.
func (w *world) checkPreemptions(t *rapid.T, e Effects, after models.PoolState) {
	for _, m := range e.Preemptions {
		if strings.Contains(m.Body.Reason, "drained") {
			continue
		}
		at := slices.IndexFunc(w.before.Leases, func(l models.Lease) bool { return l.RequestID == m.Body.RequestID })
		if at < 0 {
			t.Fatalf("%s was preempted as soon as it was granted", m.Body.RequestID)
		}
		lease := w.before.Leases[at]
		if lease.Ending != nil {
			continue // told again
		}
		if !lease.Resources.Preemptible {
			t.Fatalf("%s is not preemptible, and was preempted", lease.RequestID)
		}
		warned := slices.ContainsFunc(w.before.Waiting, func(r models.PoolRequest) bool {
			return lease.GrantedAt.After(r.ReservedAt) && slices.ContainsFunc(lease.Nodes, func(part models.LeaseNode) bool { return slices.Contains(r.ReservedOn, part.Node) })
		})
		if ran := w.now.Sub(lease.GrantedAt); ran < time.Duration(lease.Resources.MinRuntime) && !warned {
			t.Fatalf("%s ran for %s and was preempted", lease.RequestID, ran)
		}
		beneficiary := slices.ContainsFunc(after.Waiting, func(r models.PoolRequest) bool {
			return len(r.Promised) > 0 && r.Resources.Priority >= lease.Resources.Priority
		})
		if !beneficiary {
			t.Fatalf("%s was preempted for nobody", lease.RequestID)
		}
	}
}

// checkWake: never sooner than a second, and nothing that is due is left undone.
func (w *world) checkWake(t *rapid.T) {
	if at, needed := w.pool.Wake(w.now); needed && at.Before(w.now.Add(time.Second)) {
		t.Fatalf("wakes at %s, it is %s", at, w.now)
	}
}

func copied(state models.PoolState) models.PoolState {
	data, err := json.Marshal(state)
	if err != nil {
		panic(err)
	}
	var out models.PoolState
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err)
	}
	return out
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func milliOf(leases []models.Lease, tenant string) (milli int64) {
	for _, l := range leases {
		if l.Resources.Tenant == tenant {
			for _, part := range l.Nodes {
				for _, d := range part.Devices {
					milli += d.Share()
				}
			}
		}
	}
	return milli
}

func (w *world) known() []string {
	var known []string
	for id := range w.told {
		known = append(known, id)
	}
	for id := range w.waiting {
		known = append(known, id)
	}
	sort.Strings(known)
	return known
}

// drawRequest asks for something that three hosts with four devices might have.
func (w *world) drawRequest(t *rapid.T) models.LeaseRequest {
	r := models.LeaseRequest{RequestID: fmt.Sprintf("r%03d", w.step), Holder: rapid.SampledFrom(holders).Draw(t, "holder")}
	r.Resources = models.Resources{
		Nodes: rapid.IntRange(1, 4).Draw(t, "nodes"), GPUsPerNode: rapid.IntRange(1, 4).Draw(t, "per node"),
		GPUMilli: rapid.SampledFrom([]int64{0, 0, 0, 300, 500}).Draw(t, "milli"),
		Tenant:   rapid.SampledFrom([]string{"", "", "red", "blue"}).Draw(t, "tenant"), Priority: rapid.IntRange(0, 2).Draw(t, "priority"),
		Preemptible: rapid.Bool().Draw(t, "preemptible"), CPUsPerGPU: float64(rapid.IntRange(0, 3).Draw(t, "cpus")),
		DeviceModel: rapid.SampledFrom([]string{"", "", "h200"}).Draw(t, "model"),
		MinRuntime:  models.Duration(rapid.SampledFrom([]time.Duration{time.Second, 0}).Draw(t, "min runtime")),
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		r.Resources.MinNodes = 1
	case 1:
		r.Resources.Nodes, r.Resources.GPUsPerNode, r.Resources.GPUs = 0, 0, rapid.IntRange(1, 6).Draw(t, "gpus")
	case 2:
		r.Resources.Nodes, r.Resources.GPUsPerNode = 0, 0
		r.Resources.UUIDs = []string{fmt.Sprintf("%s-%d", rapid.SampledFrom(names).Draw(t, "home"), rapid.IntRange(0, 4).Draw(t, "device"))}
	case 3:
		r.Resources.MaxWait = models.Duration(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour}).Draw(t, "max wait"))
	}
	r.UsedGPUSeconds = rapid.SampledFrom([]int64{0, 0, 20_000, 200_000}).Draw(t, "used")
	return r
}

var (
	names   = []string{"a", "b", "c"}
	holders = []string{"h0", "h1", "h2", "h3"}
)

func drawHost(t *rapid.T, step int) models.NodeInfo {
	name := rapid.SampledFrom(names).Draw(t, "node")
	info := host(name, 4)
	info.CPUMilli = 10_000
	for i := range info.Devices {
		info.Devices[i].Model = []string{"NVIDIA H200", "NVIDIA H200", "virtual", "virtual"}[i]
	}
	info.Address = rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2"}).Draw(t, "address")
	switch at := rapid.IntRange(0, 11).Draw(t, "about device"); {
	case at < 4:
		info.Devices = slices.Delete(info.Devices, at, at+1)
	case at < 8:
		action := rapid.SampledFrom([]models.FaultAction{models.FaultQuarantine, models.FaultRestart}).Draw(t, "fault")
		info.Devices[at-4].Fault = &models.DeviceFault{Code: "XID 79", Action: action, Reason: "fell off the bus", At: noon.Add(time.Duration(step/4) * time.Second)}
	case at == 8: // a device that another host may have
		info.Devices[0].UUID = "a-0"
	}
	return info
}

func (w *world) event(t *rapid.T) {
	w.step++
	switch rapid.IntRange(0, 13).Draw(t, "event") {
	case 0, 1, 2, 3:
		r := w.drawRequest(t)
		w.asked[r.RequestID] = r
		w.waiting[r.RequestID] = true
		w.apply(t, func(p *Pool) Effects { return p.Request(r, w.now) })
	case 4, 5:
		if known := w.known(); len(known) > 0 {
			w.repeatOrRelease(t, rapid.SampledFrom(known).Draw(t, "request"))
		}
	case 6, 7:
		info := drawHost(t, w.step)
		w.apply(t, func(p *Pool) Effects { return p.NodeUp(info, w.now) })
	case 8:
		down := models.NodeDown{Node: rapid.SampledFrom(names).Draw(t, "down")}
		w.apply(t, func(p *Pool) Effects { return p.NodeDown(down, w.now) })
	case 9:
		w.closed(t, rapid.SampledFrom(holders).Draw(t, "closed"))
	case 10:
		w.operate(t, models.PoolOrder{
			Action: rapid.SampledFrom([]models.PoolAction{models.ActionCordon, models.ActionUncordon, models.ActionDrain, models.ActionQuarantine,
				models.ActionUnquarantine, models.ActionQuota, "nonsense"}).Draw(t, "action"),
			Node: rapid.SampledFrom(names).Draw(t, "node"), UUID: rapid.SampledFrom([]string{"a-0", "b-1", "c-3"}).Draw(t, "uuid"),
			Tenant: "red", GPUs: float64(rapid.IntRange(0, 6).Draw(t, "quota")), By: "ops",
		})
	case 11:
		if known := w.known(); len(known) > 0 {
			saved := models.LeaseSaved{RequestID: rapid.SampledFrom(known).Draw(t, "saved"), At: w.now}
			w.apply(t, func(p *Pool) Effects { return p.Saved(saved, w.now) })
		}
	default:
		w.pass(t, rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 11 * time.Minute, 3 * time.Hour, 30 * time.Hour}).Draw(t, "later"))
	}
}

func (w *world) pass(t *rapid.T, d time.Duration) {
	w.now = w.now.Add(d)
	w.apply(t, func(p *Pool) Effects { return p.Tick(w.now) })
}

func (w *world) operate(t *rapid.T, order models.PoolOrder) {
	w.apply(t, func(p *Pool) Effects {
		_, e, err := p.Operate(order, w.now)
		if err != nil && !reflect.DeepEqual(e, Effects{}) {
			t.Fatalf("%v, and yet %+v", err, e)
		}
		return e
	})
}

func (w *world) closed(t *rapid.T, holder string) {
	for id, r := range w.asked {
		if r.Holder == holder {
			delete(w.told, id)
			delete(w.waiting, id)
		}
	}
	w.apply(t, func(p *Pool) Effects { return p.HolderClosed(holder, w.now) })
	if slices.Contains(w.pool.Holders(), holder) {
		t.Fatalf("%s is gone and still has something", holder)
	}
}

func (w *world) repeatOrRelease(t *rapid.T, id string) {
	if rapid.Bool().Draw(t, "repeat") {
		_, holds := w.told[id]
		e := w.apply(t, func(p *Pool) Effects { return p.Request(w.asked[id], w.now) })
		if holds != (len(e.Grants) == 1) || holds == (len(e.Waits) == 1) {
			t.Fatalf("repeated %s (holding: %v) and got %+v", id, holds, e)
		}
		return
	}
	delete(w.told, id)
	delete(w.waiting, id)
	for range 2 {
		w.apply(t, func(p *Pool) Effects { return p.Release(models.LeaseRelease{RequestID: id}, w.now) })
	}
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			w.event(t)
		}
		w.endWell(t)
	})
}

// endWell: with every host well and every lease given back as soon as it is
// there, nobody waits for ever who is possible.
func (w *world) endWell(t *rapid.T) {
	for _, name := range names {
		info := host(name, 4)
		info.CPUMilli = 12_000
		w.apply(t, func(p *Pool) Effects { return p.NodeUp(info, w.now) })
		w.operate(t, models.PoolOrder{Action: models.ActionUncordon, Node: name})
	}
	for _, uuid := range []string{"a-0", "b-1", "c-3"} {
		w.operate(t, models.PoolOrder{Action: models.ActionUnquarantine, UUID: uuid})
	}
	w.operate(t, models.PoolOrder{Action: models.ActionQuota, Tenant: "red"})
	w.pass(t, time.Minute)
	for range len(w.waiting) + 2 {
		for _, l := range w.pool.State().Leases {
			delete(w.told, l.RequestID)
			w.apply(t, func(p *Pool) Effects { return p.Release(models.LeaseRelease{RequestID: l.RequestID}, w.now) })
		}
	}
	for _, r := range w.pool.State().Waiting {
		if w.pool.roster.Possible(w.pool.askedBy[r.RequestID].gang) == "" {
			t.Fatalf("%s is possible and waits: %s", r.RequestID, w.pool.Explain(r.RequestID, w.now))
		}
	}
}
