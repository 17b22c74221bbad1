package placement

import (
	"cmp"
	"slices"
	"time"
)

// place is where a request or a lease stands in the order: the smaller comes
// first.
type place struct {
	priority int
	ahead    bool // has waited long
	share    float64
	tenant   string
	level    int
}

// compare orders places; equal ones go by arrival.
func (a place) compare(b place) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), compareTrue(a.ahead, b.ahead), cmp.Compare(a.share, b.share),
		cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.level, b.level))
}

// yields reports whether a lease at place a gives way to a request at place w.
// It must come later in the order, and by a margin: otherwise two that are
// alike would take turns, each throwing away the other's work.
func (a place) yields(w place) bool {
	if w.compare(a) >= 0 {
		return false
	}
	return w.priority > a.priority || w.ahead && !a.ahead || w.level < a.level ||
		w.tenant != a.tenant && a.share > tenantFactor*w.share+float64(levels[0])
}

func compareTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// level is the step of attained service, in GPU-seconds.
func level(used int64) int {
	n := 0
	for n < len(levels) && used >= levels[n] {
		n++
	}
	return n
}

func (w *asked) aged(now time.Time) bool { return now.Sub(w.QueuedAt) >= ageAfter }

// held leases are never ahead: who has what it waited for has stopped waiting.
func (h *held) place(p *Pool, now time.Time) place {
	ran := max(now.Sub(h.GrantedAt), 0)
	used := h.UsedGPUSeconds + int64(ran/time.Second)*h.milli/1000
	return place{
		priority: h.Resources.Priority, share: p.tenant(h.Resources.Tenant).share(now), tenant: h.Resources.Tenant, level: level(used),
	}
}

// order sorts the queue.
func (p *Pool) order(now time.Time) {
	for _, w := range p.waiting {
		w.place = place{
			priority: w.Resources.Priority, ahead: w.aged(now), share: p.tenant(w.Resources.Tenant).share(now),
			tenant: w.Resources.Tenant, level: level(w.UsedGPUSeconds),
		}
	}
	slices.SortFunc(p.waiting, func(a, b *asked) int {
		first := func(w *asked) bool { return w.place.ahead || len(w.ReservedOn) > 0 }
		if c := cmp.Or(cmp.Compare(b.place.priority, a.place.priority), compareTrue(first(a), first(b))); c != 0 {
			return c
		}
		if first(a) { // whoever waited longest, whatever else
			return cmp.Compare(a.Arrival, b.Arrival)
		}
		return cmp.Or(a.place.compare(b.place), cmp.Compare(a.Arrival, b.Arrival))
	})
}
