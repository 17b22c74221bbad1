package workflows

import (
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
	s.answerAskers(ctx)
	return s.run(ctx)
}

type serving struct {
	input    models.ServeInput
	desk     *leaseDesk
	ready    []*models.Replica // by index; nil while not ready
	places   []*place          // by index
	waiting  string
	failed   error // the model itself can't be served
	told     bool  // Notify has been told
	proven   bool  // all replicas were ready at one time
	stopping bool
}

// place is what is known of one replica, life after life.
type place struct {
	starts  int
	trouble *models.ReplicaTrouble
	leaving []string // hosts that it had to leave last
	asking  string   // the request that waits; empty: none
	node    string   // that its newest lease is on; empty: none
	readyAt time.Time

	lives int   // that have not ended: two while it moves
	life  *life // the newest
	prior *models.ReplicaState
}

func newServing(ctx workflow.Context, input models.ServeInput) *serving {
	s := &serving{
		input:  input,
		desk:   newLeaseDesk(ctx),
		ready:  make([]*models.Replica, input.Deploy.Replicas),
		places: make([]*place, input.Deploy.Replicas),
	}
	for i := range s.places {
		s.places[i] = &place{}
	}
	if input.Prior != nil {
		s.take(*input.Prior)
	}
	s.desk.changed = func(ctx workflow.Context) { s.show(ctx, s.waiting) }
	return s
}

func (s *serving) run(ctx workflow.Context) error {
	replicas, cancel := workflow.WithCancel(ctx)
	group := workflow.NewWaitGroup(ctx)
	group.Add(len(s.ready))
	for i := range s.ready {
		workflow.Go(replicas, func(ctx workflow.Context) {
			defer group.Done()
			s.keep(ctx, i)
		})
	}
	stop := workflow.GetSignalChannel(ctx, models.SignalStop)
	over := func() bool { return stop.Len() > 0 || s.failed != nil }
	// A cancelled context ends the wait as well: it means stop.
	_ = workflow.Await(ctx, func() bool { return over() || s.renews(ctx) })
	if !over() && ctx.Err() == nil {
		// Nothing is cancelled: the servers go on, and the next run watches them.
		return workflow.NewContinueAsNewError(ctx, models.ServeWorkflow, s.next())
	}
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
	p, lives := s.places[index], workflow.NewWaitGroup(ctx)
	for ctx.Err() == nil && s.failed == nil {
		current := &life{index: index, prior: p.prior}
		if p.prior = nil; current.prior == nil {
			p.starts++
		}
		current.number, p.life = p.starts, current
		p.lives++
		lives.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer lives.Done()
			current.err = s.live(ctx, current)
			current.ended = true
			p.lives--
		})
		_ = workflow.Await(ctx, func() bool { return current.ended || current.moving })
		if !current.ended || ctx.Err() != nil {
			continue
		}
		if s.hopeless(p, current.err) {
			s.failed = current.err
			break
		}
		_ = workflow.Sleep(ctx, p.pause())
	}
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	lives.Wait(ctx)
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
	s.tellReady(ctx)
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
