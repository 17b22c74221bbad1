package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// Node stands for a host while its agent lives: one long heartbeating activity
// on the host's queue, whose time-out is the loss of the node. It tells the
// pool of every inventory and of every loss. Agents start it, and signal each
// boot's inventory to it.
func Node(ctx workflow.Context, info models.NodeInfo) error {
	n := &node{status: models.NodeStatus{Info: info}}
	if err := answer(ctx, func() models.NodeStatus { return n.status }); err != nil {
		return err
	}
	for {
		if err := n.follow(ctx); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			n.takeInventory(ctx)
			return workflow.NewContinueAsNewError(ctx, models.NodeWorkflow, n.status.Info)
		}
	}
}

type node struct{ status models.NodeStatus }

// follow is one boot of the agent: watch it until it is gone, or until a newer
// boot announces itself or the history is long enough.
func (n *node) follow(ctx workflow.Context) error {
	n.takeInventory(ctx)
	n.joined(ctx)
	watching, cancel := workflow.WithCancel(ctx)
	defer cancel() // ends an older boot's activity
	boot := n.status.Info.Boot
	gone := workflow.ExecuteActivity(n.options(watching), models.Hosts.WatchNode,
		models.WatchNodeRequest{Node: n.status.Info.Node, Boot: boot})
	announced := workflow.GetSignalChannel(ctx, models.SignalInventory)
	for {
		if err := workflow.Await(ctx, func() bool { return gone.IsReady() || announced.Len() > 0 }); err != nil {
			return err
		}
		if gone.IsReady() && announced.Len() == 0 {
			return n.end(ctx, gone.Get(ctx, nil))
		}
		// A fault or a change of devices is news for the pool, and no reason to
		// stop watching.
		n.takeInventory(ctx)
		if gone.IsReady() || n.status.Info.Boot != boot {
			return nil // joined tells the pool
		}
		n.joined(ctx)
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return nil
		}
	}
}

// joined tells the pool what the host has. It does so whenever the agent
// speaks, and after continue-as-new: telling twice does no harm.
func (n *node) joined(ctx workflow.Context) {
	n.status.Up, n.status.Reason = true, ""
	n.status.Info.At = workflow.Now(ctx)
	n.tellPool(ctx, models.SignalNodeUp, n.status.Info)
	n.show(ctx)
}

// end is the end of a watch. An agent that said that it leaves has taken care
// of its jobs, and has some time to be replaced; silence has been long enough.
func (n *node) end(ctx workflow.Context, cause error) error {
	announced := workflow.GetSignalChannel(ctx, models.SignalInventory)
	if kindOf(cause) == agentLeft {
		n.status.Reason = "its agent leaves; waiting for the next"
		n.show(ctx)
		if back, err := workflow.AwaitWithTimeout(ctx, agentAbsent, func() bool { return announced.Len() > 0 }); back || err != nil {
			return err
		}
	}
	return n.lose(ctx, cause)
}

// lose reports the node down and waits for an agent: the next one, which
// announces itself, or the same one, which answers when the network is back.
func (n *node) lose(ctx workflow.Context, cause error) error {
	n.status.Up, n.status.Reason = false, "its agent stopped"
	if cause != nil {
		n.status.Reason = "its agent went silent: " + reason(cause)
	}
	n.show(ctx)
	n.tellPool(ctx, models.SignalNodeDown, models.NodeDown{Node: n.status.Info.Node, Reason: n.status.Reason, At: workflow.Now(ctx)})

	listening, cancel := workflow.WithCancel(ctx)
	defer cancel()
	// The lightest call that any agent answers.
	answered := workflow.ExecuteActivity(workflow.WithActivityOptions(listening, workflow.ActivityOptions{
		TaskQueue: models.HostQueue(n.status.Info.Node), ScheduleToStartTimeout: tenYears, StartToCloseTimeout: 5 * time.Second,
		Summary: "Wait for an agent of " + n.status.Info.Node,
	}), models.Hosts.ReserveMasterPort, models.ReserveMasterPortRequest{})
	announced := workflow.GetSignalChannel(ctx, models.SignalInventory)
	return workflow.Await(ctx, func() bool { return announced.Len() > 0 || answered.IsReady() })
}

// takeInventory takes the newest announcement.
func (n *node) takeInventory(ctx workflow.Context) {
	drain(ctx, models.SignalInventory, func(info models.NodeInfo) { n.status.Info = info })
}

const (
	// nodeSilent and nodeAbsent add up to how late the loss of a host is
	// noticed: its agent has not been heard of for the one, and no other has
	// taken the watch over for the other.
	nodeSilent = 5 * time.Second
	nodeAbsent = 4500 * time.Millisecond
	// agentLeft is how WatchNode fails when its agent stops and leaves its jobs
	// to the next.
	agentLeft = models.KindUnavailable
)

// options: an agent that is replaced in time takes the next attempt, and
// nothing was lost.
func (n *node) options(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              models.HostQueue(n.status.Info.Node),
		ScheduleToStartTimeout: nodeAbsent,
		StartToCloseTimeout:    tenYears,
		HeartbeatTimeout:       nodeSilent,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 1, NonRetryableErrorTypes: []string{string(agentLeft)}},
		Summary:                "Watch host " + n.status.Info.Node,
	})
}

func (n *node) tellPool(ctx workflow.Context, signal string, message any) {
	pool, pause := models.PoolID(n.status.Info.Pool), 2*time.Second
	for {
		err := workflow.SignalExternalWorkflow(ctx, pool, "", signal, message).Get(ctx, nil)
		if err == nil || ctx.Err() != nil {
			return
		}
		workflow.GetLogger(ctx).Warn("pool not reached", "pool", pool, "error", err)
		if workflow.Sleep(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, time.Minute)
	}
}

func (n *node) show(ctx workflow.Context) {
	var p page
	state := "up"
	if !n.status.Up {
		state = "**down**: " + n.status.Reason
	}
	p.linef("Host **%s** (%s) of pool %s: %s", n.status.Info.Node, n.status.Info.Address, n.status.Info.Pool, state)
	p.header("device", "model", "memory", "fault")
	for _, d := range n.status.Info.Devices {
		fault := ""
		if d.Fault != nil {
			fault = fmt.Sprintf("%s: %s (%s)", d.Fault.Code, d.Fault.Reason, d.Fault.Action)
		}
		p.row(d.UUID, d.Model, fmt.Sprintf("%d MiB", d.MemoryMiB), fault)
	}
	p.show(ctx)
}
