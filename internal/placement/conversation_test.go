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
	c.expect(c.after(time.Second), "refuse early: needs 3 nodes × 1 device; pool default can't hold that even when idle: no set of this pool's hosts has what it needs; add hosts, or ask for less")
	c.expect(c.request(ask("huge", 1, 2)), "refuse huge: needs 1 node × 2 device; pool default can't hold that even when idle: no set of this pool's hosts has what it needs; add hosts, or ask for less")
	_ = models.PoolState{}
}
