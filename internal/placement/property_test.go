package placement

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mainspring-ml/mainspring/models"
)

// world runs random events against a pool and remembers what it was told.
type world struct {
	state     models.PoolState
	lastToken int64
	told      map[string]models.Lease // grants by request, until lost or given back
	step      int
}

func (w *world) apply(t *rapid.T, state models.PoolState, effects Effects) {
	before := w.state
	w.state = state
	for _, loss := range effects.Losses {
		if lease, ok := w.told[loss.Lost.RequestID]; !ok || lease.Holder != loss.Holder {
			t.Fatalf("lost %+v, which was never granted to that holder", loss)
		}
		delete(w.told, loss.Lost.RequestID)
	}
	for _, lease := range effects.Grants {
		if old, again := w.told[lease.RequestID]; again && old.Token != lease.Token {
			t.Fatalf("request %s holds token %d and got %d", lease.RequestID, old.Token, lease.Token)
		} else if !again && lease.Token <= w.lastToken {
			t.Fatalf("token %d after %d", lease.Token, w.lastToken)
		}
		w.lastToken = max(w.lastToken, lease.Token)
		w.told[lease.RequestID] = lease
	}
	w.checkLeases(t)
	w.checkQueue(t)
	checkOrder(t, before, state)
}

// checkLeases: promises 1 and 2, and that holders know what the pool knows.
func (w *world) checkLeases(t *rapid.T) {
	owner := map[string]string{}
	for _, lease := range w.state.Leases {
		if _, ok := w.told[lease.RequestID]; !ok {
			t.Fatalf("%s has a lease and was not told", lease.RequestID)
		}
		want := requestOf(lease.RequestID)
		if len(lease.Nodes) != want.Nodes {
			t.Fatalf("%s spans %d nodes, wanted %d", lease.RequestID, len(lease.Nodes), want.Nodes)
		}
		for _, part := range lease.Nodes {
			if len(part.Devices) != want.GPUsPerNode {
				t.Fatalf("%s has %d devices on %s, wanted %d", lease.RequestID, len(part.Devices), part.Node, want.GPUsPerNode)
			}
			for _, device := range part.Devices {
				if owner[device.UUID] != "" {
					t.Fatalf("device %s in leases %s and %s", device.UUID, owner[device.UUID], lease.RequestID)
				}
				owner[device.UUID] = lease.RequestID
				if !strings.Contains(device.Model, want.DeviceModel) || !onNode(w.state, part.Node, device.UUID) {
					t.Fatalf("%s has device %+v of %s, which it may not have", lease.RequestID, device, part.Node)
				}
			}
		}
	}
	if len(w.told) != len(w.state.Leases) {
		t.Fatalf("holders think they have %d leases, the pool knows %d", len(w.told), len(w.state.Leases))
	}
}

// checkQueue is the dumb oracle for fairness: walk the queue, and nobody who
// could start on devices that nobody earlier wants is still waiting.
func (w *world) checkQueue(t *rapid.T) {
	busy := map[string]bool{}
	for _, lease := range w.state.Leases {
		for _, part := range lease.Nodes {
			for _, device := range part.Devices {
				busy[device.UUID] = true
			}
		}
	}
	reasons := Explain(w.state)
	for _, request := range w.state.Waiting {
		if reasons[request.RequestID] == "" {
			t.Fatalf("nobody says why %s waits", request.RequestID)
		}
		if bruteFits(w.state, request.Resources, busy) {
			t.Fatalf("%s fits and waits: %s", request.RequestID, reasons[request.RequestID])
		}
		if !bruteFits(w.state, request.Resources, map[string]bool{}) {
			continue
		}
		for _, n := range w.state.Nodes {
			for _, d := range n.Devices {
				if strings.Contains(d.Model, request.Resources.DeviceModel) {
					busy[d.UUID] = true
				}
			}
		}
	}
}

// checkOrder: what starts takes no device that suits an earlier request which
// still waits, unless the earlier one could not start on an idle pool either.
func checkOrder(t *rapid.T, before, after models.PoolState) {
	held := map[string]bool{}
	for _, lease := range before.Leases {
		held[lease.RequestID] = true
	}
	for _, early := range before.Waiting {
		waits := slices.ContainsFunc(after.Waiting, func(r models.LeaseRequest) bool { return r.RequestID == early.RequestID })
		if !waits || !bruteFits(after, early.Resources, map[string]bool{}) {
			continue
		}
		for _, lease := range after.Leases {
			if held[lease.RequestID] || earlier(before.Waiting, lease.RequestID, early.RequestID) {
				continue
			}
			for _, part := range lease.Nodes {
				for _, d := range part.Devices {
					if strings.Contains(d.Model, early.Resources.DeviceModel) {
						t.Fatalf("%s took %s, which %s waits for", lease.RequestID, d.UUID, early.RequestID)
					}
				}
			}
		}
	}
}

// earlier reports whether a came before b; what is not in the queue came last.
func earlier(queue []models.LeaseRequest, a, b string) bool {
	for _, request := range queue {
		if request.RequestID == a || request.RequestID == b {
			return request.RequestID == a
		}
	}
	return false
}

func bruteFits(state models.PoolState, want models.Resources, busy map[string]bool) bool {
	enough := 0
	for _, n := range state.Nodes {
		count := 0
		for _, d := range n.Devices {
			if !busy[d.UUID] && strings.Contains(d.Model, want.DeviceModel) {
				count++
			}
		}
		if count >= want.GPUsPerNode {
			enough++
		}
	}
	return enough >= want.Nodes
}

func onNode(state models.PoolState, name, uuid string) bool {
	for _, n := range state.Nodes {
		for _, d := range n.Devices {
			if n.Node == name && d.UUID == uuid {
				return true
			}
		}
	}
	return false
}

// requestOf reads what a random request wanted from its ID.
func requestOf(id string) models.Resources {
	want := models.Resources{Pool: "default"}
	if _, err := fmt.Sscanf(id, "r%dx%d-", &want.Nodes, &want.GPUsPerNode); err != nil {
		panic(err)
	}
	if strings.HasSuffix(id, "-h200") {
		want.DeviceModel = "H200"
	}
	return want
}

func (w *world) event(t *rapid.T) {
	w.step++
	names := []string{"a", "b", "c"}
	switch rapid.IntRange(0, 7).Draw(t, "event") {
	case 0, 1, 2:
		id := fmt.Sprintf("r%dx%d-%d%s", rapid.IntRange(1, 3).Draw(t, "nodes"), rapid.IntRange(1, 2).Draw(t, "per node"),
			w.step, rapid.SampledFrom([]string{"", "-h200"}).Draw(t, "model"))
		state, effects := Request(w.state, models.LeaseRequest{
			RequestID: id, Holder: rapid.SampledFrom([]string{"h0", "h1", "h2", "h3"}).Draw(t, "holder"), Resources: requestOf(id),
			Avoid: rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "avoid"),
		}, noon)
		w.apply(t, state, effects)
	case 3, 4:
		if known := w.known(); len(known) > 0 {
			w.repeatOrRelease(t, rapid.SampledFrom(known).Draw(t, "request"))
		}
	case 5:
		info := node(rapid.SampledFrom(names).Draw(t, "node"), 4)
		for i := range info.Devices {
			info.Devices[i].Model = []string{"NVIDIA H200", "virtual"}[i%2]
		}
		info.Address = rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2"}).Draw(t, "address")
		drop := rapid.IntRange(0, 4).Draw(t, "dropped")
		info.Devices = slices.DeleteFunc(info.Devices, func(d models.Device) bool { return d.Index == drop })
		state, effects := NodeUp(w.state, info, noon)
		w.apply(t, state, effects)
	case 6:
		state, effects := NodeDown(w.state, models.NodeDown{Node: rapid.SampledFrom(names).Draw(t, "down")}, noon)
		w.apply(t, state, effects)
	case 7:
		holder := rapid.SampledFrom([]string{"h0", "h1", "h2", "h3"}).Draw(t, "closed")
		for id, lease := range w.told {
			if lease.Holder == holder {
				delete(w.told, id)
			}
		}
		state, effects := HolderClosed(w.state, holder, noon)
		if slices.Contains(Holders(state), holder) {
			t.Fatalf("%s is gone and still has something", holder)
		}
		w.apply(t, state, effects)
	}
}

func (w *world) known() []string {
	var known []string
	for id := range w.told {
		known = append(known, id)
	}
	for _, request := range w.state.Waiting {
		known = append(known, request.RequestID)
	}
	sort.Strings(known)
	return known
}

func (w *world) repeatOrRelease(t *rapid.T, id string) {
	if rapid.Bool().Draw(t, "repeat") {
		state, effects := Request(w.state, models.LeaseRequest{RequestID: id}, noon)
		_, holds := w.told[id]
		if holds != (len(effects.Grants) == 1) {
			t.Fatalf("repeated %s (holding: %v) and got %+v", id, holds, effects)
		}
		w.apply(t, state, effects)
		return
	}
	delete(w.told, id)
	for range 2 {
		state, effects := Release(w.state, models.LeaseRelease{RequestID: id}, noon)
		w.apply(t, state, effects)
	}
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{told: map[string]models.Lease{}}
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			frozen, before := mustJSON(w.state), w.state
			w.event(t)
			if mustJSON(before) != frozen {
				t.Fatalf("the event changed its argument:\n%s\n%s", frozen, mustJSON(before))
			}
		}
	})
}

func mustJSON(state models.PoolState) string {
	data, err := json.Marshal(state)
	if err != nil {
		panic(err)
	}
	return string(data)
}
