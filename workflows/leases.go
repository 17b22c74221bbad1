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
	hear(ctx, d, models.SignalLeaseGranted, func(f *leaseFile, m models.Lease) { f.granted, f.waiting = &m, "" })
	hear(ctx, d, models.SignalLeaseLost, func(f *leaseFile, m models.LeaseLost) { f.lost = &m })
	hear(ctx, d, models.SignalLeasePreempted, func(f *leaseFile, m models.LeasePreempted) { f.preempted = &m })
	hear(ctx, d, models.SignalLeaseRefused, func(f *leaseFile, m models.LeaseRefused) { f.refused = &m })
	hear(ctx, d, models.SignalLeaseGrowable, func(f *leaseFile, m models.LeaseGrowable) { f.growable = m.Nodes })
	hear(ctx, d, models.SignalHostsNamed, func(f *leaseFile, m models.HostsNamed) { f.named = &m })
	hear(ctx, d, models.SignalLeaseWaiting, func(f *leaseFile, m models.LeaseWaiting) { f.waiting = m.Reason })
	return d
}

// hear files a signal's messages with their requests.
func hear[T requestMessage](ctx workflow.Context, d *leaseDesk, signal string, note func(*leaseFile, T)) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		channel := workflow.GetSignalChannel(ctx, signal)
		for {
			var message T
			if !channel.Receive(ctx, &message) {
				return
			}
			file := d.open[requestOf(message)]
			if file == nil {
				d.refuse(ctx, message)
				continue
			}
			before := file.waiting
			note(file, message)
			if file.waiting != before && file.granted == nil && d.changed != nil {
				d.changed(ctx)
			}
		}
	})
}

// refuse gives a lease back that nobody here waits for any more: a request may
// reach the pool late, or twice, and then nobody else would.
func (d *leaseDesk) refuse(ctx workflow.Context, message any) {
	if lease, ok := message.(models.Lease); ok {
		d.release(ctx, lease.LeaseRequest)
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

const (
	// A request is repeated after askAgain, then less and less often: a pool
	// that was not there, or an answer that was lost, costs no more than that.
	askAgain       = 30 * time.Second
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
	file := &leaseFile{waiting: "the pool has not answered yet"}
	d.open[request.RequestID] = file
	err := d.ask(ctx, question{
		TellPoolRequest: models.TellPoolRequest{Pool: request.Resources.Pool, Request: &request},
		limit:           request.Resources.MaxWait.Std(), purpose: request.Purpose,
	}, file, func() bool { return file.granted != nil })
	if err != nil {
		d.release(ctx, request)
		return models.Lease{}, err
	}
	return *file.granted, nil
}

// hosts asks which hosts could hold a gang, so that they can get ready before
// any device is leased. An impossible gang fails with KindLeaseRefused.
func (d *leaseDesk) hosts(ctx workflow.Context, request models.HostsRequest) ([]string, error) {
	file := &leaseFile{waiting: "the pool has not answered yet"}
	d.open[request.RequestID] = file
	defer delete(d.open, request.RequestID)
	err := d.ask(ctx, question{
		TellPoolRequest: models.TellPoolRequest{Pool: request.Resources.Pool, Hosts: &request},
		limit:           request.Resources.MaxWait.Std(), purpose: "hosts for " + request.Holder,
	}, file, func() bool { return file.named != nil })
	if err != nil {
		return nil, err
	}
	return file.named.Nodes, nil
}

// question is what ask repeats until there is an answer.
type question struct {
	models.TellPoolRequest
	limit   time.Duration // 0: none
	purpose string        // for people
}

func (d *leaseDesk) ask(ctx workflow.Context, q question, file *leaseFile, answered func() bool) error {
	began, pause := workflow.Now(ctx), askAgain
	for {
		wait := pause
		if err := tellPool(ctx, q.TellPoolRequest); err != nil && ctx.Err() == nil {
			wait = askUnreached
			d.note(ctx, file, reason(err))
		} else {
			pause = min(2*pause, askAgainAtMost)
		}
		_, err := workflow.AwaitWithTimeout(ctx, wait, func() bool { return answered() || file.refused != nil })
		switch {
		case answered():
			return nil
		case file.refused != nil:
			return failure(&models.Error{Kind: models.KindLeaseRefused, Subject: q.purpose, Message: file.refused.Reason})
		case err != nil:
			return err
		case q.limit > 0 && workflow.Now(ctx).Sub(began) > q.limit+answerMargin:
			return failure(&models.Error{Kind: models.KindLeaseRefused, Subject: q.purpose,
				Message: fmt.Sprintf("waited longer than max_wait (%s): %s", q.limit, file.waiting)})
		}
	}
}

func (d *leaseDesk) note(ctx workflow.Context, file *leaseFile, waiting string) {
	if file.waiting == waiting {
		return
	}
	file.waiting = waiting
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
	err := tellPool(ctx, models.TellPoolRequest{
		Pool: request.Resources.Pool, Release: &models.LeaseRelease{RequestID: request.RequestID},
	})
	if err != nil {
		workflow.GetLogger(ctx).Warn("lease not given back; the pool will notice", "request", request.RequestID, "error", err)
	}
}

// tellPool signals a pool from within the holder's own workflow task. That
// costs neither an event of its own nor another task, as a signal by command
// would: with many short leases it is what counts.
func tellPool(ctx workflow.Context, request models.TellPoolRequest) error {
	request.Pool = cmp.Or(request.Pool, models.DefaultPool)
	return aside(ctx, models.Entities.TellPool, request)
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
