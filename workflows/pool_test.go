package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

func hostWith(node string, devices ...string) models.NodeInfo {
	info := models.NodeInfo{Node: node, Pool: "default", Address: "127.0.0.1", Boot: "1"}
	for i, uuid := range devices {
		info.Devices = append(info.Devices, models.Device{UUID: uuid, Vendor: models.VendorVirtual, Model: "virtual", MemoryMiB: 16384, Index: i})
	}
	return info
}

func gang(id string, nodes int) models.LeaseRequest {
	return models.LeaseRequest{RequestID: id, Holder: "holder/" + id, Purpose: "train " + id,
		Resources: models.Resources{Pool: "default", Nodes: nodes, GPUsPerNode: 1}}
}

// at schedules a signal to the workflow under test.
func (h *house) at(after time.Duration, signal string, message any) {
	h.RegisterDelayedCallback(func() { h.SignalWorkflow(signal, message) }, after)
}

func leasesGranted(h *house) (granted []models.Lease) {
	for _, s := range h.sent(models.SignalLeaseGranted) {
		var l models.Lease
		decode(s.Arg, &l)
		granted = append(granted, l)
	}
	return granted
}

func TestPoolGrantsWholeGangsInOrder(t *testing.T) {
	h := newHouse(t)
	h.at(1*time.Second, models.SignalRequestLease, gang("first", 2))
	h.at(2*time.Second, models.SignalNodeUp, hostWith("a", "A0"))
	h.at(3*time.Second, models.SignalNodeUp, hostWith("b", "B0"))
	h.at(4*time.Second, models.SignalRequestLease, gang("second", 1))
	h.at(5*time.Second, models.SignalRequestLease, gang("second", 1)) // repeats itself
	h.RegisterDelayedCallback(func() {
		s := status[models.PoolStatus](t, h)
		require.Len(t, s.Leases, 1)
		require.Len(t, s.Waiting, 1)
		require.NotEmpty(t, s.Reasons["second"])
	}, 6*time.Second)
	h.at(7*time.Second, models.SignalReleaseLease, models.LeaseRelease{RequestID: "first"})
	h.at(8*time.Second, models.SignalReleaseLease, models.LeaseRelease{RequestID: "first"}) // twice is success
	h.RegisterDelayedCallback(h.CancelWorkflow, 10*time.Second)
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default"})

	granted := leasesGranted(h)
	require.Len(t, granted, 2)
	require.Equal(t, "first", granted[0].RequestID)
	require.Len(t, granted[0].Nodes, 2)
	require.Equal(t, "second", granted[1].RequestID)
	require.Greater(t, granted[1].Token, granted[0].Token)
}

func TestPoolTellsHoldersOfALostNode(t *testing.T) {
	h := newHouse(t)
	h.at(1*time.Second, models.SignalNodeUp, hostWith("a", "A0"))
	h.at(2*time.Second, models.SignalRequestLease, gang("train", 1))
	h.at(3*time.Second, models.SignalNodeDown, models.NodeDown{Node: "a", Reason: "silent for 10s"})
	h.RegisterDelayedCallback(h.CancelWorkflow, 5*time.Second)
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default"})

	lost := h.sent(models.SignalLeaseLost)
	require.Len(t, lost, 1)
	require.Equal(t, "holder/train", lost[0].To)
	require.Empty(t, status[models.PoolStatus](t, h).Leases)
}

func TestPoolSweepsLeasesOfClosedWorkflows(t *testing.T) {
	h := newHouse(t)
	h.closed = []string{"holder/dead"}
	h.at(1*time.Second, models.SignalNodeUp, hostWith("a", "A0"))
	h.at(2*time.Second, models.SignalRequestLease, gang("dead", 1))
	h.at(3*time.Second, models.SignalRequestLease, gang("alive", 1))
	h.RegisterDelayedCallback(func() {
		h.mu.Lock()
		h.closed = nil
		h.mu.Unlock()
	}, 40*time.Second)
	h.RegisterDelayedCallback(h.CancelWorkflow, 2*time.Minute)
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default"})

	granted := leasesGranted(h)
	require.Equal(t, "alive", granted[len(granted)-1].RequestID)
	require.Len(t, status[models.PoolStatus](t, h).Leases, 1)
}

func TestPoolContinuesAsNewWithItsLeases(t *testing.T) {
	h := newHouse(t)
	h.SetContinueAsNewSuggested(true)
	h.at(time.Second, models.SignalNodeUp, hostWith("a", "A0"))
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default", NextToken: 41,
		Waiting: []models.PoolRequest{{LeaseRequest: gang("train", 1)}}})

	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried models.PoolState
	decodePayloads(t, next, &carried)
	require.Len(t, carried.Leases, 1)
	require.Len(t, carried.Nodes, 1)

	second := newHouse(t)
	second.at(time.Second, models.SignalReleaseLease, models.LeaseRelease{RequestID: "train"})
	second.at(2*time.Second, models.SignalRequestLease, gang("later", 1))
	second.RegisterDelayedCallback(second.CancelWorkflow, 3*time.Second)
	second.ExecuteWorkflow(models.GPUPoolWorkflow, carried)
	granted := leasesGranted(second)
	require.Len(t, granted, 1)
	require.Greater(t, granted[0].Token, carried.Leases[0].Token, "tokens go on rising in the second run")
}

func TestNodeTellsThePoolOfLossAndReturn(t *testing.T) {
	h := newHouse(t)
	h.node = silentNode(h)
	second := hostWith("a", "A0", "A1")
	second.Boot = "2"
	h.at(30*time.Minute, models.SignalInventory, second)
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Hour)
	h.ExecuteWorkflow(models.NodeWorkflow, hostWith("a", "A0"))

	ups, downs := h.sent(models.SignalNodeUp), h.sent(models.SignalNodeDown)
	require.Len(t, ups, 2)
	require.NotEmpty(t, downs)
	require.Equal(t, models.PoolID("default"), downs[0].To)
	var back models.NodeInfo
	decode(ups[1].Arg, &back)
	require.Len(t, back.Devices, 2)
}

func TestNodeKeepsItsWatchWhenOnlyTheInventoryChanges(t *testing.T) {
	h := newHouse(t)
	watches := 0
	h.node = func(context.Context) error {
		watches++
		return activity.ErrResultPending // it goes on
	}
	faulty := hostWith("a", "A0")
	faulty.Devices[0].Fault = &models.DeviceFault{Code: "XID 79", Action: models.FaultQuarantine, Reason: "fell off the bus", At: time.Unix(1, 0)}
	h.at(time.Minute, models.SignalInventory, faulty)
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Hour)
	h.ExecuteWorkflow(models.NodeWorkflow, hostWith("a", "A0"))

	require.Equal(t, 1, watches, "a fault does not end the watch")
	require.Empty(t, h.sent(models.SignalNodeDown))
	ups := h.sent(models.SignalNodeUp)
	var told models.NodeInfo
	decode(ups[len(ups)-1].Arg, &told)
	require.NotNil(t, told.Devices[0].Fault)
	require.False(t, told.At.IsZero(), "the pool can order what it hears")
}

func TestNodeIsNotLostWhenItsAgentAnswers(t *testing.T) {
	h := newHouse(t)
	h.returns = true
	watches := 0
	h.node = func(context.Context) error {
		if watches++; watches == 1 {
			return fail(models.KindRankLost, "silent")
		}
		return activity.ErrResultPending
	}
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Minute)
	h.ExecuteWorkflow(models.NodeWorkflow, hostWith("a", "A0"))
	require.Empty(t, h.sent(models.SignalNodeDown), "it answers when it is called")
	require.Equal(t, 2, watches)
}

func TestNodeGivesALeavingAgentTimeToBeReplaced(t *testing.T) {
	h := newHouse(t)
	watches := 0
	h.node = func(context.Context) error {
		if watches++; watches == 1 {
			return temporal.NewNonRetryableApplicationError("the host's agent stops; what it runs goes on", string(models.KindUnavailable), nil)
		}
		return activity.ErrResultPending
	}
	next := hostWith("a", "A0")
	next.Boot = "2"
	h.at(10*time.Second, models.SignalInventory, next)
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Minute)
	h.ExecuteWorkflow(models.NodeWorkflow, hostWith("a", "A0"))
	require.Empty(t, h.sent(models.SignalNodeDown))
	require.Equal(t, 2, watches)
}

func TestNodeComesBackWithTheSameAgent(t *testing.T) {
	h := newHouse(t)
	h.node = func(context.Context) error {
		if h.calls == 0 {
			return fail(models.KindRankLost, "silent")
		}
		return activity.ErrResultPending
	}
	h.answers = true // the second call: the network is back
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Minute)
	h.ExecuteWorkflow(models.NodeWorkflow, hostWith("a", "A0"))
	require.Len(t, h.sent(models.SignalNodeDown), 1)
	require.Len(t, h.sent(models.SignalNodeUp), 2, "it did not have to announce itself anew")
}

// A holder that was killed and started again under its ID is another one: what
// the first has left must not stay out for as long as the second lives.
func TestPoolSweepsLeasesOfReplacedRuns(t *testing.T) {
	h := newHouse(t)
	h.replaced = []models.HolderRun{{WorkflowID: "holder/train", FirstRunID: "first"}}
	request := func(id, run string) models.LeaseRequest {
		r := gang(id, 1)
		r.Holder, r.HolderRun = "holder/train", run
		return r
	}
	h.at(1*time.Second, models.SignalNodeUp, hostWith("a", "A0"))
	h.at(2*time.Second, models.SignalRequestLease, request("of the first", "first"))
	h.at(3*time.Second, models.SignalRequestLease, request("of the second", "second"))
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Minute)
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default"})

	leases := status[models.PoolStatus](t, h).Leases
	require.Len(t, leases, 1)
	require.Equal(t, "of the second", leases[0].RequestID, "the same workflow ID, another run")
}
