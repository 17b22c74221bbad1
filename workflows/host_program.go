package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// hostTries is how often a program is run when hosts or programs are lost
	// meanwhile. Each try begins anew. One whose lease was lost or wanted back does
	// not count: the pool says when the next may begin.
	hostTries = 5
	// hostsNamed is how many hosts of a pool a program is divided among at most.
	hostsNamed = 16
)

// hostProgram is a program that a workflow has a host run to its end: on devices
// that are leased for as long, or on any host of a pool.
type hostProgram[Res any] struct {
	name      string            // in keys: no other program of the workflow has it
	who       string            // for people, such as the candidate
	wanted    string            // what it is run for, such as the answers of the candidate
	purpose   string            // of its lease
	resources *models.Resources // nil: no device
	pool      models.Resources  // whose hosts will do without a device
	turn      int               // programs of different turns go to different hosts
	run       func(workflow.Context, hostPlace) future[Res]
}

// hostPlace is where a program is run. A job that failed stays failed under its
// key.
type hostPlace struct {
	key   string
	token int64
	node  models.LeaseNode
}

// hostDesk runs programs for a workflow.
type hostDesk struct {
	*leaseDesk
	// waitFor says what is waited for; request is the pool's, if one is asked.
	waitFor  func(ctx workflow.Context, request, what string)
	requests int // made to pools
}

// nextRequest numbers what this run asks of pools.
func (d *hostDesk) nextRequest(ctx workflow.Context) string {
	d.requests++
	return fmt.Sprintf("%s#%d", workflow.GetInfo(ctx).WorkflowExecution.RunID, d.requests)
}

// runOnHost runs a program, elsewhere when the host or the lease is lost.
func runOnHost[Res any](ctx workflow.Context, d *hostDesk, p hostProgram[Res]) (Res, error) {
	for try, failed := 1, 0; ; try++ {
		result, err := tryOnHost(ctx, d, p, try)
		if err == nil || ctx.Err() != nil || !elsewhere(err) {
			return result, err
		}
		why, pause := "its lease was lost or wanted back", 500*time.Millisecond
		if !temporal.IsCanceledError(err) {
			failed++
			why, pause = reason(err), time.Duration(failed)*2*time.Second
		}
		if failed == hostTries {
			return result, err
		}
		d.waitFor(ctx, "", fmt.Sprintf("another host for the %s: %s", p.who, why))
		if err := workflow.Sleep(ctx, pause); err != nil {
			return result, err
		}
	}
}

// elsewhere reports whether another host or lease may do better.
func elsewhere(err error) bool {
	switch kindOf(err) {
	case models.KindRankLost, models.KindStaleFence:
		return true
	default:
		return silent(err) || temporal.IsCanceledError(err) // the lease was lost or wanted back
	}
}

func tryOnHost[Res any](ctx workflow.Context, d *hostDesk, p hostProgram[Res], try int) (none Res, _ error) {
	at := hostPlace{key: key(ctx, fmt.Sprintf("%s, try %d", p.name, try))}
	if p.resources != nil {
		return runOnLease(ctx, d, p, at)
	}
	host, err := d.anyHost(ctx, p.pool, p.who, p.turn+try-1)
	if err != nil {
		return none, err
	}
	at.node = models.LeaseNode{Node: host}
	d.waitFor(ctx, "", fmt.Sprintf("%s, on %s", p.wanted, host))
	return p.run(ctx, at).get(ctx)
}

// anyHost names a host of a pool, a different one for each turn if there are
// several.
func (d *hostDesk) anyHost(ctx workflow.Context, pool models.Resources, who string, turn int) (string, error) {
	pool.Nodes, pool.MinNodes = hostsNamed, 1
	ask := models.HostsRequest{
		RequestID: d.nextRequest(ctx), Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Resources: pool.WithDefaults(),
	}
	d.waitFor(ctx, ask.RequestID, "a host for the "+who)
	hosts, err := d.hosts(ctx, ask)
	if err != nil {
		return "", err
	}
	if len(hosts) == 0 {
		return "", failure(&models.Error{Kind: models.KindLeaseRefused, Subject: "pool " + ask.Resources.Pool,
			Message: "it has no host for the " + who, Hint: "start an agent with `mainspring agent`"})
	}
	return hosts[turn%len(hosts)], nil
}

// runOnLease holds devices for as long as the program runs. A lease that is lost
// or wanted back ends the program; the caller tries again.
func runOnLease[Res any](ctx workflow.Context, d *hostDesk, p hostProgram[Res], at hostPlace) (none Res, _ error) {
	info := workflow.GetInfo(ctx)
	lease := models.LeaseRequest{
		RequestID: d.nextRequest(ctx),
		Holder:    info.WorkflowExecution.ID, HolderRun: info.FirstRunID,
		Purpose: p.purpose, Resources: *p.resources, Grace: models.Duration(10 * time.Second),
	}
	d.waitFor(ctx, lease.RequestID, waitingFor(lease.Resources))
	granted, err := d.acquire(ctx, lease)
	if err != nil {
		return none, err
	}
	defer d.release(ctx, lease)
	at.token, at.node = granted.Token, granted.Nodes[0]
	d.waitFor(ctx, "", fmt.Sprintf("%s, on %s", p.wanted, at.node.Node))

	running, cancel := workflow.WithCancel(ctx)
	defer cancel()
	result := p.run(running, at)
	over := func() bool {
		_, lost := d.lossOf(lease.RequestID)
		_, asked := d.preemptionOf(lease.RequestID)
		return lost || asked || result.IsReady()
	}
	// A cancelled context ends the wait as well, and the activity with it.
	_ = workflow.Await(ctx, over)
	if !result.IsReady() {
		cancel()
	}
	waiting, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	return result.get(waiting)
}
