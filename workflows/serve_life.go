package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// life is one lease and one server of a replica.
type life struct {
	index, number int
	prior         *models.ReplicaState // what it goes on with; nil: it begins
	moving        bool                 // the lease has to be given back; the next life begins
	ended         bool
	err           error
	// settled says whether the next run of the workflow could go on with it. nil:
	// it could not, as something is under way.
	settled func() bool
	request models.LeaseRequest
	lease   *models.Lease
}

// live is one life of a replica: lease, start, publish, watch; then withdraw
// the address before the devices are given back.
func (s *serving) live(ctx workflow.Context, l *life) error {
	p := s.places[l.index]
	lease, err := s.lease(ctx, l)
	if err != nil {
		s.noteFailure(ctx, l, "", err)
		return err
	}
	p.node, l.lease = lease.Nodes[0].Node, &lease
	defer func() {
		if p.life == l {
			p.node = ""
		}
	}()
	defer s.desk.release(ctx, lease.LeaseRequest)

	replica, err := s.startReplica(ctx, l, lease)
	if err != nil {
		s.noteFailure(ctx, l, p.node, err)
		return err
	}
	defer s.withdraw(ctx, replica)
	p.leaving = nil
	s.show(ctx, "")
	exit, err := s.watch(ctx, l, lease, replica)
	l.settled = nil
	switch _, lost := s.desk.lossOf(lease.RequestID); {
	case l.moving || ctx.Err() != nil:
	case lost || err != nil:
		p.leaving = []string{replica.Node} // the host is gone, or its agent is
	default:
		workflow.GetLogger(ctx).Warn("replica ended", "replica", replica.URL, "reason", exit.Reason)
		s.noteCrash(ctx, l, replica.Node, exit)
	}
	return err
}

// lease waits for the replica's devices.
func (s *serving) lease(ctx workflow.Context, l *life) (models.Lease, error) {
	p := s.places[l.index]
	switch {
	case l.prior != nil && l.prior.Lease != nil:
		return *l.prior.Lease, nil // taken over with what the desk knows of it
	case l.prior != nil && l.prior.Request != nil:
		l.request = *l.prior.Request // asking again keeps its turn
	default:
		s.letOthersAsk(ctx, l)
		l.request = models.LeaseRequest{
			RequestID: fmt.Sprintf("%s#%d.%d", workflow.GetInfo(ctx).WorkflowExecution.RunID, l.index, l.number),
			Holder:    workflow.GetInfo(ctx).WorkflowExecution.ID,
			HolderRun: workflow.GetInfo(ctx).FirstRunID,
			Purpose:   fmt.Sprintf("serve %s version %s", s.input.Deploy.Endpoint, s.input.Version),
			Resources: s.input.Deploy.Resources,
			Avoid:     s.avoid(l.index),
			Grace:     models.Duration(moveWithin),
		}
	}
	p.asking = l.request.RequestID
	s.show(ctx, "waiting for "+waitingFor(l.request.Resources))
	l.settled = func() bool {
		f := s.desk.open[p.asking]
		return f != nil && f.granted == nil && f.refused == nil && f.waiting != unanswered
	}
	lease, err := s.desk.acquire(ctx, l.request)
	p.asking, l.settled = "", nil
	return lease, err
}

// letOthersAsk waits for a moment until the pool has answered the replicas before
// this one, so that it can avoid their hosts.
func (s *serving) letOthersAsk(ctx workflow.Context, l *life) {
	const atMost = 5 * time.Second
	pending := func() bool {
		return slices.ContainsFunc(s.places[:l.index], func(p *place) bool {
			return p.lives > 0 && p.node == "" && (p.asking == "" || s.desk.waitingReason(p.asking) == unanswered)
		})
	}
	if pending() {
		_, _ = workflow.AwaitWithTimeout(ctx, atMost, func() bool { return !pending() }) // cancelled: asking notices
	}
}

// avoid lists the hosts that a replica had to leave and those of the other
// replicas: one host that is lost should not take two of them along.
func (s *serving) avoid(index int) []string {
	hosts := slices.Clone(s.places[index].leaving)
	for i, p := range s.places {
		if i != index && p.node != "" {
			hosts = append(hosts, p.node)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// startReplica brings up the server and publishes it, unless the last run of the
// workflow has.
func (s *serving) startReplica(ctx workflow.Context, l *life, lease models.Lease) (models.Replica, error) {
	p := s.places[l.index]
	if l.prior != nil && l.prior.Ready != nil {
		return *l.prior.Ready, nil
	}
	s.show(ctx, "starting replica on "+lease.Nodes[0].Node)
	replica, err := call(startingOnHost(ctx, lease.Nodes[0].Node, s.input.Deploy.Server), models.Hosts.StartReplica, models.StartReplicaRequest{
		Endpoint: s.input.Deploy.Endpoint, Version: s.input.Version, Replica: l.index,
		Token: lease.Token, Node: lease.Nodes[0], Artifact: s.input.Artifact,
		Signature: s.input.Signature, RequireSignature: s.input.Deploy.RequireSignature,
		Server: s.input.Deploy.Server, Prediction: s.input.Prediction, Task: s.input.Task,
	})
	if err != nil {
		return replica, err
	}
	s.ready[l.index], p.readyAt = &replica, workflow.Now(ctx)
	s.proven = s.proven || len(s.replicas()) == len(s.ready)
	s.announce(ctx)
	return replica, nil
}

// watch returns when the server has ended, its host is lost, its successor
// answers in its place, or ctx is cancelled, which drains and ends it.
func (s *serving) watch(ctx workflow.Context, l *life, lease models.Lease, replica models.Replica) (models.ReplicaExit, error) {
	watching, cancel := workflow.WithCancel(ctx)
	defer cancel()
	ended := start(longOnHost(watching, replica.Node, "Watch replica at "+replica.URL, tenYears), models.Hosts.WatchReplica,
		models.WatchReplicaRequest{Endpoint: s.input.Deploy.Endpoint, Version: s.input.Version, Replica: replica, Node: lease.Nodes[0], Server: s.input.Deploy.Server})
	over := func() bool {
		_, lost := s.desk.lossOf(lease.RequestID)
		return lost || ended.IsReady()
	}
	asked := func() bool { _, asked := s.desk.preemptionOf(lease.RequestID); return asked }
	l.settled = func() bool { return !over() && !asked() }
	_ = workflow.Await(ctx, func() bool { return asked() || over() })
	l.settled = nil
	if preempted, ok := s.desk.preemptionOf(lease.RequestID); ok && !over() {
		s.move(ctx, l, preempted, over)
	}
	cancel()
	waiting, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	return ended.get(waiting)
}

const (
	// moveWithin is how much time a server asks for to find another host.
	moveWithin = 2 * time.Minute
	// drainWithin is kept of it for the requests that are still being answered.
	drainWithin = 15 * time.Second
)

// move lets the next life begin and waits until it answers, for as long as
// the pool leaves the lease to this one.
func (s *serving) move(ctx workflow.Context, l *life, asked models.LeasePreempted, over func() bool) {
	mine := s.ready[l.index]
	if mine != nil {
		s.places[l.index].leaving = []string{mine.Node}
	}
	l.moving = true
	s.show(ctx, fmt.Sprintf("replica %d moves: %s", l.index, asked.Reason))
	left := max(asked.By.Sub(workflow.Now(ctx))-drainWithin, 0)
	taken := func() bool { return s.ready[l.index] != mine }
	if found, err := workflow.AwaitWithTimeout(ctx, left, func() bool { return taken() || over() }); !found || err != nil || !taken() {
		return
	}
	// Until the last gateway has seen the new address, and not into the time
	// that draining needs.
	left = max(asked.By.Sub(workflow.Now(ctx))-drainWithin/2, 0)
	_ = workflow.Sleep(ctx, min(gatewaysFollow, left))
}
