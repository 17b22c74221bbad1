package placement

import (
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func TestFirstComesFirstAndGangsWaitWhole(t *testing.T) {
	c := begin(t)
	c.expect(c.request(ask("early", 1, 1)))
	c.expect(c.up(host("b", 1)), "grant early token 1 b@b.local[b-0]")
	c.expect(c.up(host("a", 1)))
	c.expect(c.request(ask("gang", 2, 1)))
	c.expect(c.request(ask("small", 1, 1))) // a-0 is free, and kept for the gang
	c.expect(c.release("early"), "grant gang token 2 a@a.local[a-0] b@b.local[b-0]")
	c.expect(c.release("early"))
	c.expect(c.release("gang"), "grant small token 3 a@a.local[a-0]")
}

func TestPreemption(t *testing.T) {
	c := begin(t, host("a", 2))
	c.expect(c.request(ask("long", 1, 2, preemptible)), "grant long token 1 a@a.local[a-0 a-1]")
	c.expect(c.request(ask("urgent", 1, 1, priority(5)))) // long has not run for 10 minutes
	c.expect(c.after(9 * time.Minute))
	c.expect(c.after(time.Minute), "preempt long by 12:11:05 UTC: devices are needed for train urgent (priority)")
	c.expect(c.request(ask("second", 1, 1)))
	c.expect(c.release("long"), "grant urgent token 2 a@a.local[a-0]", "grant second token 3 a@a.local[a-1]")
	c.expect(c.request(ask("long again", 1, 2, preemptible)))
}

func TestWhoDoesNotGiveBackLosesTheLease(t *testing.T) {
	c := begin(t, host("a", 1))
	c.request(ask("long", 1, 1, preemptible))
	c.now = c.now.Add(10 * time.Minute)
	c.expect(c.request(ask("urgent", 1, 1, priority(1))), "preempt long by 12:11:05 UTC: devices are needed for train urgent (priority)")
	at, needed := c.pool.Wake(c.now)
	if want := c.now.Add(defaultGrace + endingMargin); !needed || !at.Equal(want) {
		t.Errorf("wakes at %v %v, want %v", at, needed, want)
	}
	c.expect(c.after(45*time.Second),
		"lost long: it was not given back by 12:11:05 UTC: devices are needed for train urgent (priority)", "grant urgent token 2 a@a.local[a-0]")
}

func TestImpossible(t *testing.T) {
	c := begin(t)
	c.expect(c.request(ask("early", 3, 1)))
	c.up(host("a", 1))
	c.expect(c.request(ask("none", -1, 1)), "refuse none: needs -1 nodes × 1 device: no pool can give that; ask for at least 1 node × 1 device, with 1 to 1000 thousandths of each")
	c.expect(c.after(19 * time.Second))
	c.expect(c.after(time.Second), "refuse early: needs 3 nodes × 1 device; pool default can't hold that even when idle: 1 node of the pool could hold one: a 1; add hosts, or ask for less")
	c.expect(c.request(ask("huge", 1, 2)), "refuse huge: needs 1 node × 2 devices; pool default can't hold that even when idle: 0 nodes of the pool could hold one: a 1; add hosts, or ask for less")
}

func TestRepeatsAreAnswered(t *testing.T) {
	c := begin(t, host("a", 1))
	c.expect(c.request(ask("x", 1, 1)), "grant x token 1 a@a.local[a-0]")
	c.expect(c.request(ask("x", 1, 1)), "grant x token 1 a@a.local[a-0]")
	c.expect(c.request(ask("y", 1, 1)))
	e := c.pool.Request(ask("y", 1, 1), c.now)
	if len(e.Waits) != 1 || e.Waits[0].Holder != "holder-y" || e.Waits[0].Body.Reason != c.why("y") {
		t.Errorf("a repeated request is answered %+v", e)
	}
	c.expect(c.release("y")) // withdrawn
	c.expect(c.release("x"))
	c.expect(c.release("x"))
}

func TestLosses(t *testing.T) {
	c := begin(t, host("a", 2), host("b", 1))
	c.expect(c.request(ask("gang", 2, 1)), "grant gang token 1 a@a.local[a-0] b@b.local[b-0]")
	c.expect(c.request(ask("solo", 1, 1)), "grant solo token 2 a@a.local[a-1]")
	rebooted := host("a", 2)
	rebooted.Boot, rebooted.Address = "2", "10.0.0.9"
	c.expect(c.up(rebooted))
	c.expect(c.request(ask("solo", 1, 1)), "grant solo token 2 a@10.0.0.9[a-1]")
	c.expect(c.up(host("a", 1)), "lost solo: node a no longer has device a-1")
	c.expect(c.request(ask("next", 1, 1)))
	c.expect(c.down("b"), "lost gang: node b is lost: no heartbeat for 30s", "grant next token 3 a@a.local[a-0]")
	c.expect(c.down("b"))
	moved := host("c", 1)
	moved.Devices[0].UUID = "a-0"
	c.expect(c.up(moved), "lost next: device a-0 is on node c now")
	c.expect(c.request(ask("last", 1, 1)), "grant last token 4 c@c.local[a-0]")
}

func TestFaults(t *testing.T) {
	c := begin(t, host("a", 2))
	c.request(ask("x", 1, 2))
	faulty := func(action models.FaultAction, second int) models.NodeInfo {
		info := host("a", 2)
		info.Devices[0].Fault = &models.DeviceFault{Code: "XID 79", Action: action, Reason: "it fell off the bus", At: noon.Add(time.Duration(second) * time.Second)}
		return info
	}
	c.expect(c.up(faulty(models.FaultRestart, 1)), "lost x: device a-0: XID 79: it fell off the bus")
	c.expect(c.request(ask("y", 1, 2)), "grant y token 2 a@a.local[a-0 a-1]")
	c.expect(c.up(faulty(models.FaultRestart, 1))) // told before
	c.expect(c.up(faulty(models.FaultQuarantine, 2)), "lost y: device a-0: XID 79: it fell off the bus")
	c.expect(c.request(ask("z", 1, 2)))
	c.expect(c.order(models.PoolOrder{Action: models.ActionUnquarantine, UUID: "a-0"}), "device a-0 on node a is in use again", "grant z token 3 a@a.local[a-0 a-1]")
	c.expect(c.up(faulty(models.FaultQuarantine, 2))) // the operator has seen this one
	c.expect(c.up(faulty(models.FaultQuarantine, 3)), "lost z: device a-0: XID 79: it fell off the bus")
	c.expect(c.request(ask("end", 1, 2)))
	c.expect(c.up(host("a", 2)), "grant end token 4 a@a.local[a-0 a-1]")
}

func TestOperators(t *testing.T) {
	c := begin(t, host("a", 1), host("b", 1))
	c.request(ask("x", 1, 1))
	c.expect(c.order(models.PoolOrder{Action: models.ActionCordon, Node: "b", By: "ann", Reason: "new cables"}), "node b takes no new leases; those there go on")
	c.expect(c.request(ask("y", 1, 1)))
	c.expect(c.order(models.PoolOrder{Action: models.ActionUncordon, Node: "b"}), "node b takes leases again", "grant y token 2 b@b.local[b-0]")
	c.expect(c.order(models.PoolOrder{Action: models.ActionDrain, Node: "a", By: "ann"}),
		"node a takes no new leases; those there have been asked to move", "affected: train x", "preempt x by 12:01:05 UTC: node a is drained by ann")
	c.expect(c.order(models.PoolOrder{Action: models.ActionQuarantine, UUID: "b-0", By: "ann"}),
		"device b-0 on node b is out of use; its leases are void", "affected: train y", "lost y: device b-0 is out of use: ann")
	c.expect(c.order(models.PoolOrder{Action: models.ActionCordon, Node: "z"}), `error: pool default has no node "z"`)
	c.expect(c.order(models.PoolOrder{Action: "dance"}), `error: no such action "dance": use cordon, uncordon, drain, quarantine, unquarantine or quota`)
}

func TestQuota(t *testing.T) {
	c := begin(t, host("a", 4))
	c.expect(c.order(models.PoolOrder{Action: models.ActionQuota, Tenant: "red", GPUs: 2}), "tenant red has a limit of 2 devices and weight 1")
	c.expect(c.request(ask("big", 1, 3, tenantOf("red"))), "refuse big: needs 1 node × 3 devices, more than the quota of tenant red: 2 devices; ask for less, or have the quota raised")
	c.expect(c.request(ask("one", 1, 2, tenantOf("red"))), "grant one token 1 a@a.local[a-0 a-1]")
	c.expect(c.request(ask("two", 1, 1, tenantOf("red"))))
	c.expect(c.why("two"), "needs 1 node × 1 device; quota of tenant red: 2 of 2 devices in use; best now 1 × 2; in use by: train one; earliest expected: unknown: nothing says when the leases end")
	c.expect(c.request(ask("other", 1, 2)), "grant other token 2 a@a.local[a-2 a-3]")
	c.expect(c.release("one"), "grant two token 3 a@a.local[a-0]")
}

func TestLargeGangStartsUnderAStreamOfSmallOnes(t *testing.T) {
	c := begin(t, host("a", 2), host("b", 2))
	for _, id := range []string{"s0", "s1", "s2", "s3"} {
		c.request(ask(id, 1, 1))
	}
	c.request(ask("gang", 2, 2))
	c.expect(c.why("gang"), "needs 2 nodes × 2 devices; best now none; a, b kept for you since 0s; in use by: train s0, train s1, train s2, others (4 leases in all); earliest expected: unknown: nothing says when the leases end")
	for i, id := range []string{"s0", "s1", "s2"} {
		c.expect(c.release(id))
		c.expect(c.request(ask("later"+id, 1, 1))) // held back
		if i == 2 {
			c.expect(c.why("laters2"), "needs 1 node × 1 device; best now none; ahead of you: train gang, train laters0, train laters1; held back by what is kept for train gang; in use by: train s3; earliest expected: unknown: nothing says when the leases end")
		}
	}
	c.expect(c.after(time.Second))
	c.expect(c.request(ask("guest", 1, 1, preemptible)), "grant guest token 5 b@b.local[b-0]")
	c.expect(c.after(time.Second))
	c.expect(c.release("s3")) // guest was considered less than a minute ago
	c.expect(c.after(planEvery), "preempt guest by 12:02:07 UTC: devices are needed for train gang (the host is kept for it)")
	c.expect(c.release("guest"), "grant gang token 6 a@a.local[a-0 a-1] b@b.local[b-0 b-1]")
}

func TestGangsGrow(t *testing.T) {
	c := begin(t, host("a", 1), host("b", 1))
	c.request(ask("x", 1, 1))
	elastic := ask("e", 2, 1)
	elastic.Resources.MinNodes = 1
	c.expect(c.request(elastic), "grant e token 2 b@b.local[b-0]")
	c.expect(c.release("x"), "growable e to 2")
	c.expect(c.after(time.Minute)) // told once
}

func TestFairShare(t *testing.T) {
	c := begin(t, host("a", 1))
	c.request(ask("red", 1, 1, tenantOf("red")))
	c.now = c.now.Add(time.Hour)
	c.request(ask("red2", 1, 1, tenantOf("red")))
	c.request(ask("blue", 1, 1, tenantOf("blue")))
	c.release("red2") // its reservation, as the first to come, would go before
	c.request(ask("red3", 1, 1, tenantOf("red")))
	c.expect(c.release("red"), "grant blue token 2 a@a.local[a-0]")
	c.expect(c.release("blue"), "grant red3 token 3 a@a.local[a-0]")
}

func TestHosts(t *testing.T) {
	c := begin(t, host("a", 1), host("b", 2))
	c.request(ask("x", 1, 2))
	name := func(nodes, perNode int) string {
		return c.say(c.pool.Hosts(models.HostsRequest{RequestID: "h", Holder: "me", Resources: models.Resources{Nodes: nodes, GPUsPerNode: perNode}}, c.now))
	}
	c.expect(name(1, 1), "hosts h [a]")
	c.expect(name(1, 2), "hosts h [b]") // busy
	c.expect(name(2, 2), "refuse h: needs 2 nodes × 2 devices; pool default can't hold that even when idle: 1 node of the pool could hold one: b 2, a 1; add hosts, or ask for less")
}

// A pool in which nothing can be done wakes about once a minute, and not at all
// when nobody waits.
func TestWakeDoesNotSpin(t *testing.T) {
	c := begin(t, host("a", 2), host("b", 2))
	if at, needed := c.pool.Wake(c.now); needed {
		t.Errorf("an idle pool wakes at %s", at)
	}
	c.request(ask("fixed", 1, 2))
	c.request(ask("long", 1, 2, preemptible))
	c.request(ask("gang", 2, 2))
	wakes := 0
	for end := c.now.Add(5 * time.Hour); c.now.Before(end); wakes++ {
		at, needed := c.pool.Wake(c.now)
		if !needed {
			break
		}
		c.now = at
		c.expect(c.say(c.pool.Tick(at)))
	}
	if wakes < 1 || wakes > 5*60 {
		t.Errorf("woke %d times in five hours", wakes)
	}
}
