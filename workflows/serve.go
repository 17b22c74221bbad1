package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// gatewaysFollow is how long a server that lost its traffic goes on answering.
// Gateways look at the routes every half second by default.
const gatewaysFollow = 5 * time.Second

// Serve keeps the replicas of one version alive on leased devices until it is
// told to stop or cancelled. A replica that ends is started anew, elsewhere
// when its host is gone; the gateways learn every address from what it
// publishes.
func Serve(ctx workflow.Context, input models.ServeInput) error {
	s := newServing(ctx, input)
	if err := answer(ctx, func() models.ServeStatus { return s.status() }); err != nil {
		return err
	}
	publish(ctx, attributeModel.ValueSet(input.Model), attributeVersion.ValueSet(input.Version),
		attributeEndpoint.ValueSet(input.Deploy.Endpoint))
	return s.run(ctx)
}

type serving struct {
	input    models.ServeInput
	desk     *leaseDesk
	ready    []*models.Replica // by index; nil while not ready
	starts   []int             // by index
	leaving  [][]string        // by index: hosts that it had to leave last
	asking   []string          // by index: the request that waits; empty: none
	waiting  string
	failed   error // the model itself can't be served
	told     bool  // Notify has been told
	stopping bool
}

func newServing(ctx workflow.Context, input models.ServeInput) *serving {
	s := &serving{
		input:   input,
		desk:    newLeaseDesk(ctx),
		ready:   make([]*models.Replica, input.Deploy.Replicas),
		starts:  make([]int, input.Deploy.Replicas),
		leaving: make([][]string, input.Deploy.Replicas),
		asking:  make([]string, input.Deploy.Replicas),
	}
	s.desk.changed = func(ctx workflow.Context) { s.show(ctx, s.waiting) }
	return s
}

func (s *serving) run(ctx workflow.Context) error {
	replicas, cancel := workflow.WithCancel(ctx)
	defer cancel()
	group := workflow.NewWaitGroup(ctx)
	group.Add(len(s.ready))
	for i := range s.ready {
		workflow.Go(replicas, func(ctx workflow.Context) {
			defer group.Done()
			s.keep(ctx, i)
		})
	}
	stop := workflow.GetSignalChannel(ctx, models.SignalStop)
	// A cancelled context ends the wait as well: both mean stop.
	_ = workflow.Await(ctx, func() bool { return stop.Len() > 0 || s.failed != nil })
	if s.failed == nil && ctx.Err() == nil {
		// Told to stop: the route has moved away, and the servers answer until
		// the last gateway has seen that.
		_ = workflow.Sleep(ctx, gatewaysFollow)
	}
	s.stopping = true
	cancel()

	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	group.Wait(ctx)
	s.announce(ctx)
	if s.failed != nil {
		s.tell(ctx, models.SignalServeFailed, models.ServeFailed{Version: s.input.Version, Reason: reason(s.failed)})
	}
	return s.failed
}

// keep runs one replica, life after life. A life whose lease has to be given
// back overlaps with the next: the old server answers until the new one does,
// or until its time is up.
func (s *serving) keep(ctx workflow.Context, index int) {
	lives := workflow.NewWaitGroup(ctx)
	for ctx.Err() == nil && s.failed == nil {
		s.starts[index]++
		current := &life{index: index, number: s.starts[index], avoid: s.leaving[index]}
		lives.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer lives.Done()
			current.err = s.live(ctx, current)
			current.ended = true
		})
		_ = workflow.Await(ctx, func() bool { return current.ended || current.moving })
		switch kindOf(current.err) {
		case models.KindModelRejected, models.KindServerFailed, models.KindNotTrusted:
			s.failed = current.err // the same bytes would fail the same way everywhere
		default:
		}
		if current.ended && s.failed == nil && ctx.Err() == nil {
			pause := min(time.Duration(s.starts[index])*500*time.Millisecond, 30*time.Second)
			_ = workflow.Sleep(ctx, pause)
		}
	}
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	lives.Wait(ctx)
}

// life is one lease and one server of a replica.
type life struct {
	index, number int
	avoid         []string // hosts that the replica has to leave
	moving        bool     // the lease has to be given back; the next life begins
	ended         bool
	err           error
}

// live is one life of a replica: lease, start, publish, watch; then withdraw
// the address before the devices are given back.
func (s *serving) live(ctx workflow.Context, l *life) error {
	request := models.LeaseRequest{
		RequestID: fmt.Sprintf("%s#%d.%d", workflow.GetInfo(ctx).WorkflowExecution.RunID, l.index, l.number),
		Holder:    workflow.GetInfo(ctx).WorkflowExecution.ID,
		HolderRun: workflow.GetInfo(ctx).FirstRunID,
		Purpose:   fmt.Sprintf("serve %s version %s", s.input.Deploy.Endpoint, s.input.Version),
		Resources: s.input.Deploy.Resources,
		Avoid:     l.avoid,
		Grace:     models.Duration(moveWithin),
	}
	s.asking[l.index] = request.RequestID
	s.show(ctx, "waiting for "+waitingFor(request.Resources))
	lease, err := s.desk.acquire(ctx, request)
	s.asking[l.index] = ""
	if err != nil {
		return err
	}
	defer s.desk.release(ctx, request)

	s.show(ctx, "starting replica on "+lease.Nodes[0].Node)
	replica, err := call(startingOnHost(ctx, lease.Nodes[0].Node, s.input.Deploy.Server), models.Hosts.StartReplica, models.StartReplicaRequest{
		Endpoint: s.input.Deploy.Endpoint, Version: s.input.Version, Replica: l.index,
		Token: lease.Token, Node: lease.Nodes[0], Artifact: s.input.Artifact,
		Signature: s.input.Signature, RequireSignature: s.input.Deploy.RequireSignature,
		Server: s.input.Deploy.Server, Prediction: s.input.Prediction, Task: s.input.Task,
	})
	if err != nil {
		return err
	}
	s.ready[l.index] = &replica
	s.announce(ctx)
	defer s.withdraw(ctx, replica)
	s.show(ctx, "")
	return s.watch(ctx, l, lease, replica)
}

// watch returns when the server has ended, its host is lost, its successor
// answers in its place, or ctx is cancelled, which drains and ends it.
func (s *serving) watch(ctx workflow.Context, l *life, lease models.Lease, replica models.Replica) error {
	watching, cancel := workflow.WithCancel(ctx)
	defer cancel()
	ended := start(longOnHost(watching, replica.Node, "Watch replica at "+replica.URL, tenYears), models.Hosts.WatchReplica,
		models.WatchReplicaRequest{Endpoint: s.input.Deploy.Endpoint, Version: s.input.Version, Replica: replica, Node: lease.Nodes[0], Server: s.input.Deploy.Server})
	over := func() bool {
		_, lost := s.desk.lossOf(lease.RequestID)
		return lost || ended.IsReady()
	}
	_ = workflow.Await(ctx, func() bool { _, asked := s.desk.preemptionOf(lease.RequestID); return asked || over() })
	if asked, ok := s.desk.preemptionOf(lease.RequestID); ok && !over() {
		s.move(ctx, l, asked, over)
	}
	cancel()
	waiting, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	exit, err := ended.get(waiting)
	if err == nil {
		workflow.GetLogger(ctx).Warn("replica ended", "replica", replica.URL, "reason", exit.Reason)
	}
	return err
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
		s.leaving[l.index] = []string{mine.Node}
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

// withdraw takes a server's address back, unless its successor's is published
// in its place already.
func (s *serving) withdraw(ctx workflow.Context, replica models.Replica) {
	current := s.ready[replica.Replica]
	if current == nil || current.Token != replica.Token {
		return
	}
	s.ready[replica.Replica] = nil
	if s.stopping {
		return // run announces once, after the last has ended
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	s.announce(ctx)
}

// announce publishes the addresses, and tells Notify once all replicas are up.
func (s *serving) announce(ctx workflow.Context) {
	addresses := models.Replicas{Endpoint: s.input.Deploy.Endpoint, Version: s.input.Version, URLs: []string{}}
	for _, r := range s.replicas() {
		addresses.URLs = append(addresses.URLs, r.URL)
	}
	slices.Sort(addresses.URLs)
	if err := do(quick(ctx, "Publish replica addresses"), models.Routing.PublishReplicas, addresses); err != nil {
		workflow.GetLogger(ctx).Error("replica addresses not published", "error", err)
		return
	}
	if !s.told && len(s.replicas()) == len(s.ready) {
		s.told = true
		s.tell(ctx, models.SignalServeReady, models.ServeReady{Version: s.input.Version, Replicas: s.replicas()})
	}
}

func (s *serving) tell(ctx workflow.Context, signal string, message any) {
	if s.input.Notify == "" {
		return
	}
	if err := workflow.SignalExternalWorkflow(ctx, s.input.Notify, "", signal, message).Get(ctx, nil); err != nil && !temporal.IsCanceledError(err) {
		workflow.GetLogger(ctx).Warn("rollout not told", "rollout", s.input.Notify, "signal", signal, "error", err)
	}
}

func (s *serving) replicas() []models.Replica {
	found := []models.Replica{}
	for _, r := range s.ready {
		if r != nil {
			found = append(found, *r)
		}
	}
	return found
}

func (s *serving) status() models.ServeStatus {
	restarts := 0
	for _, n := range s.starts {
		restarts += max(n-1, 0)
	}
	waiting := s.waiting
	for _, why := range s.reasons() {
		waiting += "; " + why
	}
	return models.ServeStatus{Version: s.input.Version, Replicas: s.replicas(), Waiting: waiting, Restarts: restarts}
}

// reasons is why replicas wait for devices, as the pool last said.
func (s *serving) reasons() (all []string) {
	for i, request := range s.asking {
		if why := s.desk.waitingReason(request); why != "" {
			all = append(all, fmt.Sprintf("replica %d: %s", i, why))
		}
	}
	return all
}

func (s *serving) show(ctx workflow.Context, waiting string) {
	s.waiting = waiting
	var p page
	p.linef("**%s version %s**: %d of %d replicas ready, %d restarts", s.input.Deploy.Endpoint, s.input.Version,
		len(s.replicas()), len(s.ready), s.status().Restarts)
	if waiting != "" {
		p.linef("")
		p.linef("Now: %s", waiting)
	}
	for _, why := range s.reasons() {
		p.linef("- %s", why)
	}
	p.header("replica", "host", "address")
	for _, r := range s.replicas() {
		p.row(fmt.Sprint(r.Replica), r.Node, r.URL)
	}
	p.show(ctx)
}
