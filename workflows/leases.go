package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// leaseDesk is a workflow's counter at the device pools: it asks, waits, hands
// back, and hears of losses. A workflow has one, since the signals are shared.
type leaseDesk struct {
	granted map[string]models.Lease
	lost    map[string]models.LeaseLost
}

func newLeaseDesk(ctx workflow.Context) *leaseDesk {
	d := &leaseDesk{granted: map[string]models.Lease{}, lost: map[string]models.LeaseLost{}}
	listen(ctx, models.SignalLeaseGranted, func(l models.Lease) { d.granted[l.RequestID] = l })
	listen(ctx, models.SignalLeaseLost, func(l models.LeaseLost) { d.lost[l.RequestID] = l })
	return d
}

// acquire waits for a lease, for as long as it takes. It asks again every
// half minute: a pool that was not there, or a signal that was lost, costs no
// more than that. When ctx is cancelled the request is taken back.
func (d *leaseDesk) acquire(ctx workflow.Context, request models.LeaseRequest) (models.Lease, error) {
	const repeat = 30 * time.Second
	pool := models.PoolID(request.Resources.Pool)
	for {
		asked := workflow.SignalExternalWorkflow(ctx, pool, "", models.SignalRequestLease, request).Get(ctx, nil)
		if asked != nil && ctx.Err() == nil {
			workflow.GetLogger(ctx).Warn("pool not reached", "pool", pool, "error", asked)
		}
		wait := repeat
		if asked != nil {
			wait = 2 * time.Second
		}
		_, err := workflow.AwaitWithTimeout(ctx, wait, func() bool { return d.has(request.RequestID) })
		if d.has(request.RequestID) {
			return d.granted[request.RequestID], nil
		}
		if err != nil {
			d.release(ctx, request)
			return models.Lease{}, err
		}
	}
}

func (d *leaseDesk) has(requestID string) bool {
	_, ok := d.granted[requestID]
	return ok
}

// release gives a lease or a request back, also from a cancelled context. A
// pool that can't be reached finds out by itself when the workflow ends.
func (d *leaseDesk) release(ctx workflow.Context, request models.LeaseRequest) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	err := workflow.SignalExternalWorkflow(ctx, models.PoolID(request.Resources.Pool), "",
		models.SignalReleaseLease, models.LeaseRelease{RequestID: request.RequestID}).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Warn("lease not given back; the pool will notice", "request", request.RequestID, "error", err)
	}
	delete(d.granted, request.RequestID)
}

// lossOf says whether the pool has declared the lease void, and why.
func (d *leaseDesk) lossOf(requestID string) (models.LeaseLost, bool) {
	l, ok := d.lost[requestID]
	return l, ok
}

// waitingFor describes a request for the UI.
func waitingFor(r models.Resources) string {
	return fmt.Sprintf("%d × %d devices of pool %s; `%s` says what is ahead", r.Nodes, r.GPUsPerNode, r.Pool, models.PoolID(r.Pool))
}
