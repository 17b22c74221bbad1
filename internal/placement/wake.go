package placement

import (
	"slices"
	"time"
)

// Tick does what is due by now: see Wake.
func (p *Pool) Tick(now time.Time) Effects { return p.schedule(Effects{}, now) }

// Wake is when Tick has something to do next, if nothing happens before. It is
// at least a second ahead, so that no caller spins.
func (p *Pool) Wake(now time.Time) (at time.Time, needed bool) {
	due := func(t time.Time) {
		if !needed || t.Before(at) {
			at, needed = t, true
		}
	}
	preemptible := false
	for _, h := range p.leases {
		if h.Ending != nil {
			due(h.Ending.By)
		} else if h.Resources.Preemptible {
			preemptible = true
		}
	}
	for _, n := range p.rest.Nodes {
		if t, has := forgettable(n); has {
			due(t)
		}
	}
	for _, w := range p.waiting {
		if t, has := w.deadline(); has {
			due(t)
		}
		if !w.aged(now) {
			due(w.QueuedAt.Add(ageAfter))
		}
		if !w.Proven && !p.checked && len(p.rest.Nodes) > 0 {
			due(p.rest.JoinedAt.Add(settleAfter))
		}
	}
	if preemptible && slices.ContainsFunc(p.waiting, unpromised) {
		due(p.nextPlan())
	}
	if soonest := now.Add(shortest); needed && at.Before(soonest) {
		at = soonest
	}
	return at, needed
}

// nextPlan is when preemption is worth considering again: not before planEvery,
// nor before some lease may be asked for.
func (p *Pool) nextPlan() time.Time {
	var first time.Time
	for _, h := range p.leases {
		if h.Resources.Preemptible && h.Ending == nil {
			until := h.protectedUntil()
			if p.backfilled(h) {
				until = h.GrantedAt
			}
			if first.IsZero() || until.Before(first) {
				first = until
			}
		}
	}
	if next := p.rest.PlannedAt.Add(planEvery); next.After(first) {
		return next
	}
	return first
}
