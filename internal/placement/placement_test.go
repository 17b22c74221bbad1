package placement

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

var noon = time.Date(2013, 7, 1, 12, 0, 0, 0, time.UTC)

// node makes a host with virtual devices <name>-0, <name>-1, …
func node(name string, devices int) models.NodeInfo {
	info := models.NodeInfo{Node: name, Pool: "default", Address: name + ".local", Boot: "1"}
	for i := range devices {
		info.Devices = append(info.Devices, models.Device{
			UUID: fmt.Sprintf("%s-%d", name, i), Vendor: models.VendorVirtual, Model: "virtual", MemoryMiB: 1024, Index: i,
		})
	}
	return info
}

func ask(id string, nodes, perNode int) models.LeaseRequest {
	return models.LeaseRequest{
		RequestID: id, Holder: "holder-" + id, Purpose: "train " + id,
		Resources: models.Resources{Pool: "default", Nodes: nodes, GPUsPerNode: perNode},
	}
}

// pool is a scripted conversation: each line applies one event and returns
// what was sent, in words.
type pool struct{ state models.PoolState }

func (p *pool) say(state models.PoolState, effects Effects) string {
	p.state = state
	var lines []string
	for _, l := range effects.Losses {
		lines = append(lines, fmt.Sprintf("lost %s to %s: %s (%s)", l.Lost.RequestID, l.Holder, l.Lost.Reason, l.Lost.Node))
	}
	for _, g := range effects.Grants {
		var parts []string
		for _, n := range g.Nodes {
			parts = append(parts, fmt.Sprintf("%s@%s%v", n.Node, n.Address, ids(n.Devices)))
		}
		lines = append(lines, fmt.Sprintf("grant %s token %d %s", g.RequestID, g.Token, strings.Join(parts, " ")))
	}
	return strings.Join(lines, "\n")
}

func ids(devices []models.Device) []string {
	var out []string
	for _, d := range devices {
		out = append(out, d.UUID)
	}
	return out
}

func (p *pool) request(r models.LeaseRequest) string { return p.say(Request(p.state, r, noon)) }
func (p *pool) release(id string) string {
	return p.say(Release(p.state, models.LeaseRelease{RequestID: id}, noon))
}
func (p *pool) up(n models.NodeInfo) string { return p.say(NodeUp(p.state, n, noon)) }
func (p *pool) down(n string) string {
	return p.say(NodeDown(p.state, models.NodeDown{Node: n, Reason: "no heartbeat for 30s"}, noon))
}
func (p *pool) closed(h string) string { return p.say(HolderClosed(p.state, h, noon)) }

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("\n got: %s\nwant: %s", got, want)
	}
}

func TestGrantHasEveryField(t *testing.T) {
	state, _ := NodeUp(models.PoolState{Pool: "default"}, node("a", 2), noon)
	request := ask("x", 0, 0) // zero means one node with one device
	state, effects := Request(state, request, noon)
	lease := models.Lease{
		RequestID: "x", Holder: "holder-x", Purpose: "train x", Token: 1, GrantedAt: noon,
		Nodes: []models.LeaseNode{{Node: "a", Address: "a.local", Devices: node("a", 1).Devices}},
	}
	if want := (Effects{Grants: []models.Lease{lease}}); !reflect.DeepEqual(effects, want) {
		t.Errorf("effects %+v\nwant %+v", effects, want)
	}
	want := models.PoolState{Pool: "default", Nodes: []models.NodeInfo{node("a", 2)}, Leases: []models.Lease{lease}, Waiting: []models.LeaseRequest{}, NextToken: 2}
	if !reflect.DeepEqual(state, want) {
		t.Errorf("state %+v\nwant %+v", state, want)
	}
}

func TestGangWaitsWholeAndFirstComesFirst(t *testing.T) {
	p := &pool{}
	expect(t, p.request(ask("early", 1, 1)), "")
	expect(t, p.up(node("b", 1)), "grant early token 1 b@b.local[b-0]")
	expect(t, p.up(node("a", 1)), "")
	expect(t, p.request(ask("gang", 2, 1)), "")
	expect(t, p.request(ask("small", 1, 1)), "") // a-0 is free, and kept for the gang
	expect(t, p.release("early"), "grant gang token 2 a@a.local[a-0] b@b.local[b-0]")
	expect(t, p.release("early"), "")
	expect(t, p.release("gang"), "grant small token 3 a@a.local[a-0]")
}

func TestRepeatedRequestGetsTheSameLease(t *testing.T) {
	p := &pool{}
	p.up(node("a", 1))
	expect(t, p.request(ask("x", 1, 1)), "grant x token 1 a@a.local[a-0]")
	expect(t, p.request(ask("x", 1, 1)), "grant x token 1 a@a.local[a-0]")
	expect(t, p.request(ask("y", 1, 1)), "")
	expect(t, p.request(ask("y", 1, 1)), "")
	if len(p.state.Waiting) != 1 {
		t.Errorf("%d requests wait, want 1", len(p.state.Waiting))
	}
	expect(t, p.release("y"), "") // withdrawn
	expect(t, p.release("x"), "")
}

func TestImpossibleRequestLetsOthersPass(t *testing.T) {
	p := &pool{}
	p.up(node("a", 1))
	expect(t, p.request(ask("huge", 3, 1)), "")
	expect(t, p.request(ask("negative", -1, 1)), "")
	expect(t, p.request(ask("x", 1, 1)), "grant x token 1 a@a.local[a-0]")
	expect(t, p.up(node("b", 1)), "")
	expect(t, p.up(node("c", 1)), "") // huge is possible now, and blocks
	expect(t, p.request(ask("y", 1, 1)), "")
	expect(t, p.release("x"), "grant huge token 2 a@a.local[a-0] b@b.local[b-0] c@c.local[c-0]")
}

func TestBlockedRequestReservesOnlyWhatSuitsIt(t *testing.T) {
	p := &pool{}
	big := node("big", 1)
	big.Devices[0].Model, big.Devices[0].MemoryMiB = "NVIDIA H200", 143771
	p.up(big)
	p.up(node("small", 1))
	wantH200 := ask("first", 1, 1)
	wantH200.Resources.DeviceModel = "h200"
	expect(t, p.request(wantH200), "grant first token 1 big@big.local[big-0]")
	wantH200.RequestID = "second"
	expect(t, p.request(wantH200), "")
	expect(t, p.request(ask("any", 1, 1)), "grant any token 2 small@small.local[small-0]")
	wantMemory := ask("memory", 1, 1)
	wantMemory.Resources.DeviceMemory = 40 << 30
	elsewhere := ask("elsewhere", 1, 1)
	elsewhere.Resources.DeviceModel = "virtual"
	expect(t, p.request(elsewhere), "")
	expect(t, Explain(p.state)["elsewhere"], `needs 1 node × 1 device of model "virtual"; free now: big 0, small 0; in use by: train any`)
	expect(t, p.release("any"), "grant elsewhere token 3 small@small.local[small-0]")
	expect(t, p.request(wantMemory), "")
	expect(t, p.release("first"), "grant second token 4 big@big.local[big-0]")
	expect(t, p.release("second"), "grant memory token 5 big@big.local[big-0]")
}

func TestAvoidedNodesAreTheLastChoice(t *testing.T) {
	p := &pool{}
	p.up(node("a", 1))
	p.up(node("b", 1))
	p.up(node("c", 1))
	wary := ask("wary", 2, 1)
	wary.Avoid = []string{"a"}
	expect(t, p.request(wary), "grant wary token 1 b@b.local[b-0] c@c.local[c-0]")
	expect(t, p.release("wary"), "")
	wary.Avoid = []string{"a", "c"}
	expect(t, p.request(wary), "grant wary token 2 a@a.local[a-0] b@b.local[b-0]")
}

func TestLosses(t *testing.T) {
	p := &pool{}
	p.up(node("a", 2))
	p.up(node("b", 1))
	p.request(ask("gang", 2, 1))
	p.request(ask("solo", 1, 1))
	rebooted := node("a", 2)
	rebooted.Boot, rebooted.Address = "2", "10.0.0.9"
	expect(t, p.up(rebooted), "")
	expect(t, p.request(ask("solo", 1, 1)), "grant solo token 2 a@10.0.0.9[a-1]")
	shrunk := node("a", 1)
	expect(t, p.up(shrunk), "lost solo to holder-solo: node a no longer has device a-1 (a)")
	expect(t, p.request(ask("next", 1, 1)), "")
	expect(t, p.down("b"), "lost gang to holder-gang: no heartbeat for 30s (b)\ngrant next token 3 a@a.local[a-0]")
	expect(t, p.down("b"), "")
}

func TestHolderClosed(t *testing.T) {
	p := &pool{}
	p.up(node("a", 1))
	p.request(ask("x", 1, 1))
	p.request(ask("y", 1, 1))
	p.request(ask("z", 1, 1))
	if got, want := Holders(p.state), []string{"holder-x", "holder-y", "holder-z"}; !reflect.DeepEqual(got, want) {
		t.Errorf("holders %v, want %v", got, want)
	}
	expect(t, p.closed("holder-y"), "")
	expect(t, p.closed("holder-x"), "grant z token 2 a@a.local[a-0]")
	expect(t, p.closed("holder-x"), "")
}

func TestDeviceOnTwoNodesIsLentOnce(t *testing.T) {
	p := &pool{}
	p.up(node("a", 1))
	moved := node("b", 1)
	moved.Devices[0].UUID = "a-0"
	p.up(moved)
	expect(t, p.request(ask("gang", 2, 1)), "")
	expect(t, p.request(ask("x", 1, 1)), "grant x token 1 a@a.local[a-0]")
	expect(t, p.request(ask("y", 1, 1)), "")
}

func TestExplain(t *testing.T) {
	p := &pool{state: models.PoolState{Pool: "default"}}
	p.request(ask("first", 1, 1))
	expect(t, Explain(p.state)["first"], "needs 1 node × 1 device; pool default has no hosts: start `mainspring agent` on one")
	p.up(node("a", 1))
	p.up(node("b", 1))
	p.request(ask("gang", 2, 1))
	p.request(ask("last", 1, 1))
	huge := ask("huge", 2, 2)
	huge.Resources.DeviceModel, huge.Resources.DeviceMemory = "H200", 40<<30
	p.request(huge)
	p.request(ask("wide", 3, 1))
	p.request(ask("none", -1, 1))
	p.request(ask("end", 1, 1))
	want := map[string]string{
		"gang": "needs 2 nodes × 1 device; free now: a 0, b 1; in use by: train first",
		"last": "needs 1 node × 1 device; free now: a 0, b 1; ahead of you: train gang; in use by: train first",
		"huge": `needs 2 nodes × 2 devices of model "H200" with at least 40GiB; pool default can't hold that even when idle: suitable devices: a 0, b 0; add hosts, or withdraw it and ask for less; until then later requests pass`,
		"wide": "needs 3 nodes × 1 device; pool default can't hold that even when idle: suitable devices: a 1, b 1; add hosts, or withdraw it and ask for less; until then later requests pass",
		"end":  "needs 1 node × 1 device; free now: a 0, b 1; ahead of you: train gang, train last; in use by: train first",
		"none": "needs -1 nodes × 1 device; no pool can give that: withdraw it and ask for at least 1 node × 1 device",
	}
	if got := Explain(p.state); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestExplainCountsLongLists(t *testing.T) {
	p := &pool{}
	for i := range 10 {
		p.up(node(fmt.Sprintf("n%d", i), 1))
	}
	p.request(models.LeaseRequest{RequestID: "anonymous", Resources: models.Resources{Nodes: 10}})
	p.request(ask("x", 1, 1))
	expect(t, Explain(p.state)["x"],
		"needs 1 node × 1 device; free now: n0 0, n1 0, n2 0, n3 0, n4 0, n5 0, n6 0, n7 0 and 2 more; in use by: anonymous")
}

func BenchmarkRelease(b *testing.B) {
	state := fleet()
	for b.Loop() {
		Release(state, models.LeaseRelease{RequestID: "0"}, noon)
	}
}

func BenchmarkExplain(b *testing.B) {
	state := fleet()
	for b.Loop() {
		Explain(state)
	}
}

// fleet is 100 hosts with 8 devices, nearly all lent, and 233 gangs in the queue.
func fleet() models.PoolState {
	var state models.PoolState
	for i := range 100 {
		state, _ = NodeUp(state, node(fmt.Sprintf("n%03d", i), 8), noon)
	}
	for i := range 300 {
		state, _ = Request(state, ask(fmt.Sprint(i), 1+i%2, 8), noon)
	}
	return state
}
