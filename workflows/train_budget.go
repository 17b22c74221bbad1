package workflows

import (
	"fmt"
	"math"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// A budget counts leased GPU-seconds over all attempts. It never kills: when it
// is used up the gang is ended like a preempted one, the devices go back, and
// the training waits for a top-up. What the ranks take to write their last
// checkpoint comes on top, at most the grace period.

type budget struct {
	limit int64           // GPU-seconds with all top-ups; 0: none
	seen  map[string]bool // top-ups by ID; asked, never ranged over
	// changes counts top-ups, to wake who waits for one.
	changes int
}

func newBudget(spec models.Budget) budget {
	return budget{limit: spec.GPUSeconds, seen: map[string]bool{}}
}

// add counts a top-up once by its ID; one without an ID counts each time. It
// reports whether the limit is another now.
func (b *budget) add(t models.TopUp) bool {
	if b.limit == 0 || t.GPUSeconds <= 0 || t.ID != "" && b.seen[t.ID] {
		return false
	}
	b.seen[t.ID] = true
	b.limit += min(t.GPUSeconds, math.MaxInt64-b.limit)
	b.changes++
	return true
}

// left is how long a lease of so many devices may go on; false: for ever.
func (b *budget) left(used, gpus float64) (time.Duration, bool) {
	const longest = 100 * 365 * 24 * time.Hour
	if b.limit == 0 || gpus <= 0 {
		return 0, false
	}
	left := max((float64(b.limit)-used)/gpus, 0)
	if left > longest.Seconds() {
		return 0, false
	}
	return seconds(left), true
}

// usedUp rounds to whole GPU-seconds: what a timer leaves over is no lease.
func (b *budget) usedUp(used float64) bool { return b.limit > 0 && float64(b.limit)-used < 0.5 }

// hearTopUps listens for the training's life, so that a top-up that comes
// before the budget is used up counts as well.
func (t *training) hearTopUps(ctx workflow.Context) {
	listen(ctx, models.SignalTopUp, func(up models.TopUp) {
		if !t.budget.add(up) {
			workflow.GetLogger(ctx).Warn("top-up without effect", "id", up.ID, "gpu_seconds", up.GPUSeconds, "by", up.By)
			return
		}
		t.status.Budget = t.budget.limit
		t.show(ctx)
	})
}

// awaitBudget holds a training without devices until there is something to use.
func (t *training) awaitBudget(ctx workflow.Context) error {
	used := t.ledger.total().Leased()
	if !t.budget.usedUp(used) {
		return nil
	}
	t.status.State = models.TrainPaused
	t.status.Waiting = fmt.Sprintf("a top-up: %.0f of %d GPU-seconds are used; `mainspring top-up %s GPU-SECONDS` adds to them",
		used, t.budget.limit, workflow.GetInfo(ctx).WorkflowExecution.ID)
	t.show(ctx)
	return workflow.Await(ctx, func() bool { return !t.budget.usedUp(used) })
}

// watchBudget ends a gang when its lease has used the budget up.
func (t *training) watchBudget(ctx workflow.Context, g *gang) {
	for !g.over() {
		used := t.ledger.total().Leased() + g.gpus*workflow.Now(ctx).Sub(g.began).Seconds()
		left, limited := t.budget.left(used, g.gpus)
		changes := t.budget.changes
		woken := func() bool { return g.over() || t.budget.changes != changes }
		if !limited {
			if workflow.Await(ctx, woken) != nil {
				return
			}
			continue
		}
		again, err := workflow.AwaitWithTimeout(ctx, left, woken)
		if err != nil {
			return
		}
		if !again {
			g.end(models.ExitPaused, fmt.Sprintf("the budget of %d GPU-seconds is used up", t.budget.limit))
			return
		}
	}
}
