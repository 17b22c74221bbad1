package worker

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/models"
)

// announcer tells the node's workflow what this host has, and what is wrong with
// it.
type announcer struct {
	inventory accel.Inventory
	faults    *faults
	info      models.NodeInfo
	// tell blocks until the node's workflow will get it; its only error is that
	// ctx has ended.
	tell func(context.Context, models.NodeInfo) error

	every time.Duration // between two listings without a reason
	now   func() time.Time

	found []models.Device // by the last listing that succeeded
}

// inventoryEvery is how often the devices are listed again without a reason.
const inventoryEvery = 30 * time.Second

func newAnnouncer(inventory accel.Inventory, faults *faults, info models.NodeInfo, tell func(context.Context, models.NodeInfo) error) *announcer {
	return &announcer{
		inventory: inventory, faults: faults, info: info, tell: tell, every: inventoryEvery,
		now: func() time.Time { return time.Now().UTC().Round(0) }, // as it is read back
	}
}

// run announces what was found now, and then whenever it changes. A probe that
// fails changes nothing: the devices are still there as far as anyone knows. An
// event's fault is told before the devices are listed again, because the driver
// of a device that has just died can take long to answer.
func (a *announcer) run(ctx context.Context, found []models.Device) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	a.found = found
	a.info.Devices = a.faults.apply(a.found, a.now())
	if a.tell(ctx, a.info) != nil {
		return nil
	}
	slog.Info("agent is ready", "node", a.info.Node, "pool", a.info.Pool, "devices", len(a.info.Devices))

	events, again, listed := make(chan accel.Event), make(chan struct{}, 1), make(chan []models.Device)
	running.Go(func() { a.watch(ctx, events) })
	running.Go(func() { a.list(ctx, again, listed) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-events:
			a.record(event)
			select {
			case again <- struct{}{}:
			default: // it is going to be listed anyway
			}
		case a.found = <-listed:
		}
		if a.update(ctx) != nil {
			return nil
		}
	}
}

func (a *announcer) record(event accel.Event) {
	if a.faults.record(event, a.now()) {
		slog.Warn("device fault", "devices", event.UUIDs, "code", event.Fault.Code, "action", event.Fault.Action, "reason", event.Fault.Reason)
	}
}

// update announces what has changed. What events told is written down first: an
// agent that is killed after the announcement must not forget it.
func (a *announcer) update(ctx context.Context) error {
	devices := a.faults.apply(a.found, a.now())
	if err := a.faults.save(); err != nil {
		slog.Error("device faults not written down; the next agent won't know them", "error", err)
	}
	if reflect.DeepEqual(devices, a.info.Devices) {
		return nil
	}
	a.info.Devices = devices
	return a.tell(ctx, a.info)
}

// list lists the devices when asked to, and every now and then.
func (a *announcer) list(ctx context.Context, again <-chan struct{}, listed chan<- []models.Device) {
	ticker := time.NewTicker(a.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-ticker.C:
		}
		devices, err := a.inventory.Devices(ctx)
		if err != nil {
			slog.Warn("devices not listed; the last inventory stands", "error", err)
			continue
		}
		select {
		case listed <- devices:
		case <-ctx.Done():
			return
		}
	}
}

// watch passes on what the devices' drivers tell. A driver that can't be watched
// is tried again, ever more rarely: it may never learn it.
func (a *announcer) watch(ctx context.Context, events chan<- accel.Event) {
	watcher, ok := a.inventory.(accel.Watcher)
	if !ok {
		return
	}
	const longest = 5 * time.Minute
	for pause := 5 * time.Second; ; pause = min(2*pause, longest) {
		err := watcher.Watch(ctx, func(event accel.Event) {
			select {
			case events <- event:
			case <-ctx.Done():
			}
		})
		if ctx.Err() != nil {
			return
		}
		slog.Warn("device faults are not watched; trying again", "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// temporalNode is the node's workflow.
type temporalNode struct{ temporal client.Client }

// tell signals until Temporal takes it or ctx ends.
func (n temporalNode) tell(ctx context.Context, info models.NodeInfo) error {
	id := models.NodeID(info.Node)
	pause := 250 * time.Millisecond
	for {
		_, err := n.temporal.SignalWithStartWorkflow(ctx, id, models.SignalInventory, info, client.StartWorkflowOptions{
			ID: id, TaskQueue: models.TaskQueue, StaticSummary: "Host " + info.Node,
			WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		}, models.NodeWorkflow, info)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		slog.Warn("node not announced; trying again", "node", info.Node, "in", pause, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
}
