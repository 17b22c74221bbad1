package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// gang is the ranks of one lease while they run, one activity per host.
type gang struct {
	lease  models.Lease
	resume models.Checkpoint
	began  time.Time
	gpus   float64

	cancel  workflow.CancelFunc  // ends the ranks
	results []models.RanksResult // by host
	errs    []error              // by host
	ended   []int                // hosts in the order in which they ended

	// asked is why the gang was ended from here, and why the same in words;
	// empty: it was not.
	asked models.ExitReason
	why   string
}

// end asks all ranks to checkpoint and leave. The first reason stays.
func (g *gang) end(reason models.ExitReason, why string) {
	if g.asked == "" {
		g.asked, g.why = reason, why
	}
	g.cancel()
}

// gone: every host has answered, so no rank runs any more.
func (g *gang) gone() bool { return len(g.ended) == len(g.lease.Nodes) }

// over: there is nothing left to end.
func (g *gang) over() bool { return g.gone() || g.asked != "" }

// runRanks starts one activity per host and waits for all of them. The first
// failure ends the others, and so does whatever is watched for; none is left
// running. A cancelled workflow reaches the ranks without passing through here:
// their context is a child of ctx.
func (t *training) runRanks(ctx workflow.Context, g *gang, request func(int) models.RunRanksRequest) {
	ranks, cancel := workflow.WithCancel(ctx)
	defer cancel()
	g.cancel = cancel
	g.results, g.errs = make([]models.RanksResult, len(g.lease.Nodes)), make([]error, len(g.lease.Nodes))
	// The agent ends what takes too long and reports on it; the server's own
	// time-out only stands behind that.
	spec := t.input.Train
	atMost := spec.Timeout.Std() + spec.Grace.Std() + 5*time.Minute
	waiting, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	for i, node := range g.lease.Nodes {
		summary := fmt.Sprintf("Ranks on %s: %s, attempt %d", node.Node, t.input.Model, t.status.Attempt)
		f := start(longOnHost(ranks, node.Node, summary, atMost), models.Hosts.RunRanks, request(i))
		workflow.Go(waiting, func(ctx workflow.Context) {
			g.results[i], g.errs[i] = f.get(ctx)
			g.ended = append(g.ended, i)
			if g.errs[i] != nil {
				g.cancel()
			}
		})
	}
	// Whatever ends the gang ends its watchers as well.
	workflow.Go(ranks, func(ctx workflow.Context) { t.watchLease(ctx, g) })
	workflow.Go(ranks, func(ctx workflow.Context) { t.watchBudget(ctx, g) })
	workflow.Go(ranks, func(ctx workflow.Context) { t.watchGrowth(ctx, g) })
	if err := workflow.Await(waiting, g.gone); err != nil {
		// waiting is never cancelled before this returns.
		workflow.GetLogger(ctx).Error("ranks not awaited", "error", err)
	}
}

// watchLease ends the gang when its lease is void or wanted back.
func (t *training) watchLease(ctx workflow.Context, g *gang) {
	id := g.lease.RequestID
	err := workflow.Await(ctx, func() bool {
		_, lost := t.desk.lossOf(id)
		_, preempted := t.desk.preemptionOf(id)
		return lost || preempted || g.gone()
	})
	if err != nil || g.gone() {
		return
	}
	if wanted, preempted := t.desk.preemptionOf(id); preempted {
		g.end(models.ExitPreempted, wanted.Reason)
		return
	}
	lost, _ := t.desk.lossOf(id)
	g.end(models.ExitLeaseLost, lost.Reason)
}

const (
	// growEvery bounds how often a gang is moved to a larger lease: a move
	// costs a start.
	growEvery = 10 * time.Minute
	// growLook is how often the store is looked at for a fresh checkpoint before
	// a move, and growLooks how often at most. A program that ignores SIGTERM
	// loses about growLook.
	growLook  = time.Minute
	growLooks = 30
)

// watchGrowth ends a gang that could be larger, right after a checkpoint.
func (t *training) watchGrowth(ctx workflow.Context, g *gang) {
	has, most := len(g.lease.Nodes), t.input.Train.Resources.Nodes
	if has >= most {
		return
	}
	larger := func() bool { return t.desk.growableTo(g.lease.RequestID) > has }
	if err := workflow.Await(ctx, func() bool { return larger() || g.over() }); err != nil || g.over() {
		return
	}
	if _, err := workflow.AwaitWithTimeout(ctx, growEvery-workflow.Now(ctx).Sub(g.began), g.over); err != nil || g.over() {
		return
	}
	if !t.freshCheckpoint(ctx, g) || g.over() {
		return
	}
	g.end(models.ExitPreempted, fmt.Sprintf("the pool has %d of the %d hosts it wants; it had %d",
		t.desk.growableTo(g.lease.RequestID), most, has))
}

// freshCheckpoint waits until a checkpoint appears. When none does in half an
// hour, one that is newer than what the gang started from has to do.
func (t *training) freshCheckpoint(ctx workflow.Context, g *gang) bool {
	known := int64(-1)
	for range growLooks {
		found, err := call(quick(ctx, "Look for a checkpoint to grow at"), models.Checkpoints.FindCheckpoint,
			models.FindCheckpointRequest{RunKey: t.runKey})
		if err != nil || g.over() {
			return false
		}
		if known >= 0 && found.Step > known {
			return true
		}
		known = found.Step
		if _, err := workflow.AwaitWithTimeout(ctx, growLook, g.over); err != nil || g.over() {
			return false
		}
	}
	return known > g.resume.Step
}
