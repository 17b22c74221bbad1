package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	listedInStatus = 100 // leases, requests, … in a status
	listedInPage   = 25  // lines of each kind on the page
	uuidsInPage    = 8   // devices of one lease on the page
)

// showNow: not more often than showEvery, however many signals come.
func (p *pool) showNow(ctx workflow.Context) bool {
	return workflow.Now(ctx).Sub(p.shownAt) >= showEvery
}

// show draws the page, when anything has changed and the last is old enough.
// Whatever is left stale wakes the pool, see wake.
func (p *pool) show(ctx workflow.Context) {
	if !p.stale || !p.showNow(ctx) {
		return
	}
	p.stale, p.shownAt = false, workflow.Now(ctx)
	drawPool(p.core.Status(p.now, listedInPage), p.now).show(ctx)
}

// drawPool writes a page whose length does not grow with the pool.
func drawPool(s models.PoolStatus, now time.Time) *page {
	out := &page{}
	out.linef("**Pool %s**: %d hosts (%d down), %d devices (%d quarantined), %s leased by %d leases, %d waiting", s.Pool,
		s.Counts.Nodes, s.Counts.NodesDown, s.Counts.Devices, s.Counts.Quarantined, gpus(s.Counts.LeasedMilli), s.Counts.Leases, s.Counts.Waiting)
	drawHosts(out, s)
	if len(s.Leases) > 0 {
		out.header("lease", "holder", "since", "devices")
		for _, l := range cut(s.Leases) {
			purpose := fmt.Sprintf("%s (`%s`)", l.Purpose, l.Holder)
			if l.Ending != nil {
				purpose += fmt.Sprintf(", to be given back by %s: %s", l.Ending.By.UTC().Format(time.TimeOnly), l.Ending.Reason)
			}
			out.row(fmt.Sprint(l.Token), purpose, now.Sub(l.GrantedAt).Round(time.Second).String(), someOf(deviceUUIDs(l), uuidsInPage))
		}
		out.more(s.Counts.Leases, "leases")
	}
	if len(s.Waiting) > 0 {
		out.linef("")
	}
	for _, w := range cut(s.Waiting) {
		out.linef("- %s (`%s`) waits %s: %s", w.Purpose, w.Holder, now.Sub(w.QueuedAt).Round(time.Second), s.Reasons[w.RequestID])
	}
	out.more(s.Counts.Waiting, "requests")
	if len(s.Tenants) > 0 {
		out.header("tenant", "weight", "quota", "GPU-hours used, decayed")
		for _, t := range cut(s.Tenants) {
			quota := "none"
			if t.QuotaMilli > 0 {
				quota = gpus(t.QuotaMilli)
			}
			out.row(t.Name, number(cmp.Or(t.Weight, 1)), quota, number(t.UsedGPUSeconds/3600))
		}
		out.more(len(s.Tenants), "tenants")
	}
	return out
}

// drawHosts lists the hosts that need attention before the others.
func drawHosts(out *page, s models.PoolStatus) {
	if len(s.Nodes) == 0 {
		out.linef("")
		out.linef("No host has joined yet: start `mainspring agent --pool %s`.", s.Pool)
		return
	}
	hosts := slices.Clone(s.Nodes)
	slices.SortStableFunc(hosts, func(a, b models.PoolNode) int { return cmp.Compare(rank(a), rank(b)) })
	out.header("host", "state", "devices", "quarantined")
	for _, n := range cut(hosts) {
		var why []string
		for _, q := range n.Quarantined {
			why = append(why, fmt.Sprintf("%s: %s (%s)", q.UUID, q.Reason, q.By))
		}
		out.row(n.Node, nodeState(n), fmt.Sprint(len(n.Devices)), someOf(why, uuidsInPage))
	}
	out.more(s.Counts.Nodes, "hosts")
}

// rank puts what is out of use first.
func rank(n models.PoolNode) int {
	switch {
	case n.Down != "":
		return 0
	case n.Cordoned != "" || len(n.Quarantined) > 0:
		return 1
	default:
		return 2
	}
}

func nodeState(n models.PoolNode) string {
	var words []string
	if n.Down != "" {
		words = append(words, "**down**: "+n.Down)
	}
	if n.Draining {
		words = append(words, "draining")
	}
	if n.Cordoned != "" {
		words = append(words, "cordoned: "+n.Cordoned)
	}
	if len(words) == 0 {
		return "up"
	}
	return strings.Join(words, "; ")
}

// cut is what of a list is shown; more says that there are others.
func cut[T any](list []T) []T { return list[:min(len(list), listedInPage)] }

func (p *page) more(count int, what string) {
	if count > listedInPage {
		p.linef("")
		p.linef("… and %d more %s; `mainspring pool` lists them", count-listedInPage, what)
	}
}

func someOf(words []string, n int) string {
	if len(words) <= n {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s, … (%d in all)", strings.Join(words[:n], ", "), len(words))
}

// gpus writes thousandths of a device.
func gpus(milli int64) string { return number(float64(milli) / models.WholeGPU) }
