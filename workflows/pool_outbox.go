package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// outbox is what holders are still to be told, in order. One batch is on its
// way at a time, so that order is kept and whatever gathers meanwhile goes
// together. Delivery by activity costs three events for a batch; signals sent
// by command cost two for each, and a workflow task besides.
type outbox struct {
	messages   []models.PoolMessage
	delivering bool
}

// batchAtMost keeps a batch of grants, the largest of messages, far below the
// size of a payload.
const batchAtMost = 64

func (o *outbox) add(e placement.Effects) {
	for _, m := range e.Losses {
		o.put(models.PoolMessage{Holder: m.Holder, Lost: &m.Body})
	}
	for _, m := range e.Preemptions {
		o.put(models.PoolMessage{Holder: m.Holder, Preempted: &m.Body})
	}
	for _, m := range e.Refusals {
		o.settle(m.Body.RequestID)
		o.put(models.PoolMessage{Holder: m.Holder, Refused: &m.Body})
	}
	for _, lease := range e.Grants {
		o.settle(lease.RequestID)
		o.put(models.PoolMessage{Holder: lease.Holder, Granted: &lease})
	}
	for _, m := range e.Waits {
		o.settle(m.Body.RequestID)
		o.put(models.PoolMessage{Holder: m.Holder, Waiting: &m.Body})
	}
	for _, m := range e.Growths {
		o.put(models.PoolMessage{Holder: m.Holder, Growable: &m.Body})
	}
	for _, m := range e.Hosts {
		o.put(models.PoolMessage{Holder: m.Holder, Hosts: &m.Body})
	}
}

func (o *outbox) put(m models.PoolMessage) { o.messages = append(o.messages, m) }

// settle drops a reason to wait that is out of date before it was sent.
func (o *outbox) settle(requestID string) {
	o.messages = slices.DeleteFunc(o.messages, func(m models.PoolMessage) bool {
		return m.Waiting != nil && m.Waiting.RequestID == requestID
	})
}

func (o *outbox) ready() bool { return !o.delivering && len(o.messages) > 0 }

// deliver sends the next batch and does not wait for it.
func (o *outbox) deliver(ctx workflow.Context) {
	if !o.ready() {
		return
	}
	n := min(len(o.messages), batchAtMost)
	batch := slices.Clone(o.messages[:n])
	o.messages = slices.Delete(o.messages, 0, n)
	o.delivering = true
	sending := begin(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 1.5, MaximumInterval: 5 * time.Second},
		Summary:             "Tell holders of leases",
	}), models.Entities.TellHolders, models.TellHoldersRequest{Messages: batch})
	workflow.Go(ctx, func(ctx workflow.Context) {
		if err := sending.Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Error("holders not told; they will ask", "messages", n, "error", err)
		}
		o.delivering = false
	})
}
