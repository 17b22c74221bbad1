package workflows

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// leaseDesk is a workflow's counter at the device pools: it asks, waits, hands
// back, and hears of whatever becomes of a lease. A workflow has one, since
// the signals are shared; what concerns a request that was handed back is
// dropped.
type leaseDesk struct {
	open map[string]*leaseFile // by request ID; asked, never ranged over
	// changed, when set, is called after a request's reason to wait has
	// changed, so that the holder's page can show it.
	changed func(workflow.Context)
}

// leaseFile is what the pool has said about one request.
type leaseFile struct {
	granted   *models.Lease
	lost      *models.LeaseLost
	preempted *models.LeasePreempted
	refused   *models.LeaseRefused
	named     *models.HostsNamed
	waiting   string
	growable  int
}

func newLeaseDesk(ctx workflow.Context) *leaseDesk {
	d := &leaseDesk{open: map[string]*leaseFile{}}
	hear(ctx, d, models.SignalLeaseGranted, noteGranted)
	hear(ctx, d, models.SignalLeaseRefused, noteRefused)
	hear(ctx, d, models.SignalLeaseWaiting, noteWaiting)
	hear(ctx, d, models.SignalHostsNamed, noteHosts)
	hear(ctx, d, models.SignalLeaseLost, func(f *leaseFile, m models.LeaseLost) { f.lost = &m })
	hear(ctx, d, models.SignalLeasePreempted, func(f *leaseFile, m models.LeasePreempted) { f.preempted = &m })
	hear(ctx, d, models.SignalLeaseGrowable, func(f *leaseFile, m models.LeaseGrowable) { f.growable = m.Nodes })
	return d
}

func noteGranted(f *leaseFile, m models.Lease)        { f.granted, f.waiting = &m, "" }
func noteRefused(f *leaseFile, m models.LeaseRefused) { f.refused = &m }
func noteWaiting(f *leaseFile, m models.LeaseWaiting) { f.waiting = m.Reason }
func noteHosts(f *leaseFile, m models.HostsNamed)     { f.named = &m }

// hear files a signal's messages as they come.
func hear[T requestMessage](ctx workflow.Context, d *leaseDesk, signal string, note func(*leaseFile, T)) {
	listen(ctx, signal, func(message T) { file(ctx, d, message, note) })
}

// file puts a message to its request.
func file[T requestMessage](ctx workflow.Context, d *leaseDesk, message T, note func(*leaseFile, T)) {
	f := d.open[requestOf(message)]
	if f == nil {
		d.refuse(ctx, message)
		return
	}
	before := f.waiting
	note(f, message)
	if f.waiting != before && f.granted == nil && d.changed != nil {
		d.changed(ctx)
	}
}

// refuse gives a lease back that nobody here waits for any more: a request may
// reach the pool late, or twice, and then nobody else would.
func (d *leaseDesk) refuse(ctx workflow.Context, message any) {
	if lease, ok := message.(models.Lease); ok {
		workflow.Go(ctx, func(ctx workflow.Context) { d.release(ctx, lease.LeaseRequest) })
	}
}

// requestMessage is what a pool says about one request.
type requestMessage interface {
	models.Lease | models.LeaseLost | models.LeasePreempted | models.LeaseRefused |
		models.LeaseGrowable | models.LeaseWaiting | models.HostsNamed
}

func requestOf(message any) string {
	switch m := message.(type) {
	case models.Lease:
		return m.RequestID
	case models.LeaseLost:
		return m.RequestID
	case models.LeasePreempted:
		return m.RequestID
	case models.LeaseRefused:
		return m.RequestID
	case models.LeaseGrowable:
		return m.RequestID
	case models.LeaseWaiting:
		return m.RequestID
	case models.HostsNamed:
		return m.RequestID
	default:
		return ""
	}
}

// unanswered is why a request waits whose pool has said nothing.
const unanswered = "the pool has not answered yet"

const (
	// A request is repeated after askAgain, then less and less often: a pool
	// that was not there, or an answer that was lost, costs no more than that.
	askAgain       = 30 * time.Second
	askHosts       = 2 * time.Second // a pool forgets a question that it can't answer yet
	askAgainAtMost = 5 * time.Minute
	// askUnreached is the pause when the pool's workflow does not exist.
	askUnreached = 2 * time.Second
	// answerMargin is how much longer than MaxWait a holder waits for the
	// pool's own refusal, which says more.
	answerMargin = time.Minute
)

// acquire waits for a lease, for as long as it takes or the request's MaxWait.
// A request that the pool refuses fails with KindLeaseRefused. When ctx is
// cancelled the request is taken back.
func (d *leaseDesk) acquire(ctx workflow.Context, request models.LeaseRequest) (models.Lease, error) {
	f := d.expect(request.RequestID)
	err := d.ask(ctx, question{
		TellPoolRequest: models.TellPoolRequest{Pool: request.Resources.Pool, Request: &request},
		limit:           request.Resources.MaxWait.Std(), purpose: request.Purpose,
	}, f, func() bool { return f.granted != nil })
	if err != nil {
		d.release(ctx, request)
		return models.Lease{}, err
	}
	return *f.granted, nil
}

// expect opens a request's file, unless it is open: from now on the pool's answer
// is kept.
func (d *leaseDesk) expect(requestID string) *leaseFile {
	if d.open[requestID] == nil {
		d.open[requestID] = &leaseFile{waiting: unanswered}
	}
	return d.open[requestID]
}

// adopt takes over a lease that the workflow's last run held.
func (d *leaseDesk) adopt(lease models.Lease) { d.expect(lease.RequestID).granted = &lease }

// unheard reports whether a message of a pool waits to be filed.
func (d *leaseDesk) unheard(ctx workflow.Context) bool {
	return anyWaits(ctx, models.SignalLeaseGranted, models.SignalLeaseRefused, models.SignalLeaseWaiting, models.SignalHostsNamed,
		models.SignalLeaseLost, models.SignalLeasePreempted, models.SignalLeaseGrowable)
}

// hosts asks which hosts could hold a gang, so that they can get ready before
// any device is leased. An impossible gang fails with KindLeaseRefused.
func (d *leaseDesk) hosts(ctx workflow.Context, request models.HostsRequest) ([]string, error) {
	f := d.expect(request.RequestID)
	defer delete(d.open, request.RequestID)
	err := d.ask(ctx, question{
		TellPoolRequest: models.TellPoolRequest{Pool: request.Resources.Pool, Hosts: &request},
		limit:           request.Resources.MaxWait.Std(), purpose: "hosts for " + request.Holder, again: askHosts,
	}, f, func() bool { return f.named != nil })
	if err != nil {
		return nil, err
	}
	return f.named.Nodes, nil
}

// question is what ask repeats until there is an answer.
type question struct {
	models.TellPoolRequest
	limit   time.Duration // 0: none
	purpose string        // for people
	again   time.Duration // first pause; it doubles. 0: askAgain
}

func (d *leaseDesk) ask(ctx workflow.Context, q question, f *leaseFile, answered func() bool) error {
	began, pause := workflow.Now(ctx), cmp.Or(q.again, askAgain)
	for {
		wait := pause
		if err := d.tell(ctx, q.TellPoolRequest); err != nil && ctx.Err() == nil {
			wait = askUnreached
			d.note(ctx, f, reason(err))
		} else {
			pause = min(2*pause, askAgainAtMost)
		}
		over := func() bool { return answered() || f.refused != nil }
		var err error
		if !over() { // most are answered at once: no timer
			_, err = workflow.AwaitWithTimeout(ctx, wait, over)
		}
		switch {
		case answered():
			return nil
		case f.refused != nil:
			return failure(&models.Error{Kind: models.KindLeaseRefused, Subject: q.purpose, Message: f.refused.Reason})
		case err != nil:
			return err
		case q.limit > 0 && workflow.Now(ctx).Sub(began) > q.limit+answerMargin:
			return failure(&models.Error{Kind: models.KindLeaseRefused, Subject: q.purpose,
				Message: fmt.Sprintf("waited longer than max_wait (%s): %s", q.limit, f.waiting)})
		}
	}
}

func (d *leaseDesk) note(ctx workflow.Context, f *leaseFile, waiting string) {
	if f.waiting == waiting {
		return
	}
	f.waiting = waiting
	if d.changed != nil {
		d.changed(ctx)
	}
}

// release gives a lease or a request back, also from a cancelled context. A
// pool that can't be reached finds out by itself when the workflow ends.
func (d *leaseDesk) release(ctx workflow.Context, request models.LeaseRequest) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	delete(d.open, request.RequestID)
	err := d.tell(ctx, models.TellPoolRequest{
		Pool: request.Resources.Pool, Release: &models.LeaseRelease{RequestID: request.RequestID},
	})
	if err != nil {
		workflow.GetLogger(ctx).Warn("lease not given back; the pool will notice", "request", request.RequestID, "error", err)
	}
}

// tell speaks to a pool from within the holder's own workflow task, and files
// what it answers at once. That costs neither an event nor a workflow task of
// its own, as a signal by command would.
func (d *leaseDesk) tell(ctx workflow.Context, request models.TellPoolRequest) error {
	request.Pool = cmp.Or(request.Pool, models.DefaultPool)
	answer, err := aside(ctx, models.Entities.TellPool, request)
	for _, m := range answer.Messages {
		switch {
		case m.Granted != nil:
			file(ctx, d, *m.Granted, noteGranted)
		case m.Refused != nil:
			file(ctx, d, *m.Refused, noteRefused)
		case m.Waiting != nil:
			file(ctx, d, *m.Waiting, noteWaiting)
		case m.Hosts != nil:
			file(ctx, d, *m.Hosts, noteHosts)
		}
	}
	return err
}

// lossOf says whether the pool has declared the lease void, and why.
func (d *leaseDesk) lossOf(requestID string) (models.LeaseLost, bool) {
	if f := d.open[requestID]; f != nil && f.lost != nil {
		return *f.lost, true
	}
	return models.LeaseLost{}, false
}

// preemptionOf says whether the pool wants the lease back, why and by when.
func (d *leaseDesk) preemptionOf(requestID string) (models.LeasePreempted, bool) {
	if f := d.open[requestID]; f != nil && f.preempted != nil {
		return *f.preempted, true
	}
	return models.LeasePreempted{}, false
}

// growableTo is how many hosts a new request would get; 0: no more than now.
func (d *leaseDesk) growableTo(requestID string) int {
	if f := d.open[requestID]; f != nil {
		return f.growable
	}
	return 0
}

// waitingReason is why a request waits, as the pool last said.
func (d *leaseDesk) waitingReason(requestID string) string {
	if f := d.open[requestID]; f != nil {
		return f.waiting
	}
	return ""
}

// waitingFor describes a request for the UI.
func waitingFor(r models.Resources) string {
	r = r.WithDefaults()
	devices := fmt.Sprintf("%d × %d devices", r.Nodes, r.GPUsPerNode)
	switch {
	case len(r.UUIDs) > 0:
		devices = fmt.Sprintf("%d named devices", len(r.UUIDs))
	case r.GPUs > 0:
		devices = fmt.Sprintf("%d devices", r.GPUs)
	}
	return fmt.Sprintf("%s of pool %s; `%s` says what is ahead", devices, r.Pool, models.PoolID(r.Pool))
}
