package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// sweepEvery is how often a pool looks for holders that ended without giving
	// their lease back.
	sweepEvery = 30 * time.Second
	// sweepAtMost bounds the holders that one sweep asks for; the next goes on
	// after them.
	sweepAtMost = 500
	// showEvery is how often the page is drawn while signals come in.
	showEvery = time.Second
	// shortestWake bounds how often the core's own clock can wake a pool.
	shortestWake = 250 * time.Millisecond
)

// wakeUp is the pool's one timer. It is only ever moved forward: one that
// fires too early costs a look.
type wakeUp struct {
	at     time.Time // zero: not set
	cancel workflow.CancelFunc
	fired  bool
}

func (w *wakeUp) set(ctx workflow.Context, at time.Time) {
	if at.IsZero() || !w.at.IsZero() && !at.Before(w.at) {
		return
	}
	if w.cancel != nil {
		w.cancel()
	}
	ctx, w.cancel = workflow.WithCancel(ctx)
	w.at = at
	timer := workflow.NewTimer(ctx, max(at.Sub(workflow.Now(ctx)), time.Millisecond))
	workflow.Go(ctx, func(ctx workflow.Context) {
		if timer.Get(ctx, nil) == nil {
			w.fired = true
		}
	})
}

func (w *wakeUp) acknowledge() {
	if w.fired {
		*w = wakeUp{}
	}
}

// sweep frees what closed workflows still hold. It is due every sweepEvery,
// and asks for at most sweepAtMost holders, going round.
func (p *pool) sweep(ctx workflow.Context) {
	now := workflow.Now(ctx)
	if !p.core.Lends() {
		p.sweptAt = now // who asks next is alive
	}
	if p.sweeping || now.Sub(p.sweptAt) < sweepEvery {
		return
	}
	p.sweeping, p.sweptAt = true, now
	asked := nextAfter(p.core.Holders(), p.after, sweepAtMost)
	p.after = asked[len(asked)-1]
	looking := start(quick(ctx, "Look for holders that have ended"), models.Entities.FindClosed,
		models.FindClosedRequest{WorkflowIDs: asked, Runs: p.runsOf(asked)})
	workflow.Go(ctx, func(ctx workflow.Context) {
		found, err := looking.get(ctx)
		p.sweeping = false
		if err != nil {
			return // cancelled; the next sweep looks again
		}
		p.now = workflow.Now(ctx)
		for _, holder := range found.WorkflowIDs {
			p.follow(p.core.HolderClosed(holder, p.now))
		}
		for _, old := range found.Replaced {
			for _, request := range p.requestsOf(old) {
				p.follow(p.core.Release(models.LeaseRelease{RequestID: request}, p.now))
			}
		}
	})
}

// runsOf are the runs of these holders that hold a lease or wait for one.
func (p *pool) runsOf(holders []string) []models.HolderRun {
	var runs []models.HolderRun
	p.eachRequest(func(r models.LeaseRequest) {
		run := models.HolderRun{WorkflowID: r.Holder, FirstRunID: r.HolderRun}
		_, asked := slices.BinarySearch(holders, r.Holder)
		if asked && r.HolderRun != "" && !slices.Contains(runs, run) {
			runs = append(runs, run)
		}
	})
	return runs
}

func (p *pool) requestsOf(run models.HolderRun) (ids []string) {
	p.eachRequest(func(r models.LeaseRequest) {
		if r.Holder == run.WorkflowID && r.HolderRun == run.FirstRunID {
			ids = append(ids, r.RequestID)
		}
	})
	return ids
}

func (p *pool) eachRequest(visit func(models.LeaseRequest)) {
	state := p.core.State()
	for _, lease := range state.Leases {
		visit(lease.LeaseRequest)
	}
	for _, waiting := range state.Waiting {
		visit(waiting.LeaseRequest)
	}
}

// nextAfter returns at most n of the sorted names, those after last first and
// then from the beginning.
func nextAfter(sorted []string, last string, n int) []string {
	first := 0
	for first < len(sorted) && sorted[first] <= last {
		first++
	}
	if first == len(sorted) {
		first = 0
	}
	return append([]string{}, sorted[first:min(first+n, len(sorted))]...)
}

// earliest treats zero as never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
