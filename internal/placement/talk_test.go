package placement

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

var noon = time.Date(2013, 7, 1, 12, 0, 0, 0, time.UTC)

// host makes a host with virtual devices <name>-0, <name>-1, …
func host(name string, count int) models.NodeInfo {
	info := models.NodeInfo{Node: name, Pool: "default", Address: name + ".local", Boot: "1", CPUMilli: 64000, MemoryMiB: 1 << 20}
	for i := range count {
		info.Devices = append(info.Devices, models.Device{
			UUID: fmt.Sprintf("%s-%d", name, i), Vendor: models.VendorVirtual, Model: "virtual", MemoryMiB: 1024, Index: i,
		})
	}
	return info
}

// ask makes a request; how changes it.
func ask(id string, nodes, perNode int, how ...func(*models.LeaseRequest)) models.LeaseRequest {
	r := models.LeaseRequest{
		RequestID: id, Holder: "holder-" + id, Purpose: "train " + id,
		Resources: models.Resources{Pool: "default", Nodes: nodes, GPUsPerNode: perNode},
	}
	for _, change := range how {
		change(&r)
	}
	return r
}

func preemptible(r *models.LeaseRequest) { r.Resources.Preemptible = true }

func priority(n int) func(*models.LeaseRequest) {
	return func(r *models.LeaseRequest) { r.Resources.Priority = n }
}

func tenantOf(name string) func(*models.LeaseRequest) {
	return func(r *models.LeaseRequest) { r.Resources.Tenant = name }
}

// talk is a scripted conversation: each line applies one event and returns what
// was sent, in words, without the reasons of those who wait. Between any two
// events the pool is made anew from its state, as after continue-as-new.
type talk struct {
	*testing.T
	pool *Pool
	now  time.Time
}

func begin(t *testing.T, hosts ...models.NodeInfo) *talk {
	c := &talk{T: t, pool: New(models.PoolState{Pool: "default"}), now: noon}
	for _, h := range hosts {
		c.up(h)
	}
	c.now = c.now.Add(settleAfter)
	return c
}

func (c *talk) say(e Effects) string {
	c.pool = New(c.pool.State())
	return words(e)
}

func words(e Effects) string {
	var lines []string
	for _, m := range e.Losses {
		lines = append(lines, fmt.Sprintf("lost %s: %s", m.Body.RequestID, m.Body.Reason))
	}
	for _, m := range e.Preemptions {
		lines = append(lines, fmt.Sprintf("preempt %s by %s: %s", m.Body.RequestID, clock(m.Body.By), m.Body.Reason))
	}
	for _, m := range e.Refusals {
		lines = append(lines, fmt.Sprintf("refuse %s: %s", m.Body.RequestID, m.Body.Reason))
	}
	for _, g := range e.Grants {
		lines = append(lines, fmt.Sprintf("grant %s token %d %s", g.RequestID, g.Token, layout(g.Nodes)))
	}
	for _, m := range e.Growths {
		lines = append(lines, fmt.Sprintf("growable %s to %d", m.Body.RequestID, m.Body.Nodes))
	}
	for _, m := range e.Hosts {
		lines = append(lines, fmt.Sprintf("hosts %s %v", m.Body.RequestID, m.Body.Nodes))
	}
	return strings.Join(lines, "\n")
}

func layout(parts []models.LeaseNode) string {
	var out []string
	for _, n := range parts {
		var ids []string
		for _, d := range n.Devices {
			ids = append(ids, d.UUID)
		}
		out = append(out, fmt.Sprintf("%s@%s%v", n.Node, n.Address, ids))
	}
	return strings.Join(out, " ")
}

func (c *talk) request(r models.LeaseRequest) string { return c.say(c.pool.Request(r, c.now)) }
func (c *talk) release(id string) string {
	return c.say(c.pool.Release(models.LeaseRelease{RequestID: id}, c.now))
}
func (c *talk) up(n models.NodeInfo) string { return c.say(c.pool.NodeUp(n, c.now)) }
func (c *talk) down(n string) string {
	return c.say(c.pool.NodeDown(models.NodeDown{Node: n, Reason: "no heartbeat for 30s"}, c.now))
}
func (c *talk) after(d time.Duration) string {
	c.now = c.now.Add(d)
	return c.say(c.pool.Tick(c.now))
}

func (c *talk) order(o models.PoolOrder) string {
	result, e, err := c.pool.Operate(o, c.now)
	if err != nil {
		return "error: " + err.Error()
	}
	said := []string{result.Done}
	if len(result.Affected) > 0 {
		said = append(said, "affected: "+strings.Join(result.Affected, ", "))
	}
	if also := c.say(e); also != "" {
		said = append(said, also)
	}
	return strings.Join(said, "\n")
}

func (c *talk) why(id string) string { return c.pool.Explain(id, c.now) }

// expect compares what was said with lines.
func (c *talk) expect(got string, want ...string) {
	c.Helper()
	if joined := strings.Join(slices.DeleteFunc(want, func(s string) bool { return s == "" }), "\n"); got != joined {
		c.Errorf("\n got: %s\nwant: %s", got, joined)
	}
}
