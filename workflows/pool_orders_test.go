package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// verdict is what became of an update.
type verdict struct {
	rejected, failed error
	result           any
}

func (v *verdict) Accept()          {}
func (v *verdict) Reject(err error) { v.rejected = err }
func (v *verdict) Complete(result any, err error) {
	v.result, v.failed = result, err
}

// updateAt sends an update to the workflow under test.
func (h *house) updateAt(after time.Duration, name string, argument any) *verdict {
	v := &verdict{}
	h.RegisterDelayedCallback(func() { h.UpdateWorkflow(name, "", v, argument) }, after)
	return v
}

func TestPoolRejectsOrdersItCannotCarryOut(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalNodeUp, hostWith("a", "A0"))
	h.at(time.Second, models.SignalNodeUp, hostWith("b", "B0"))
	cases := []struct {
		order models.PoolOrder
		want  string
	}{
		{models.PoolOrder{Action: models.ActionDrain, Node: "c", By: "kim"}, `pool default has no host "c" (its hosts are a, b)`},
		{models.PoolOrder{Action: models.ActionCordon, By: "kim"}, "no host is named"},
		{models.PoolOrder{Action: models.ActionQuarantine, UUID: "GPU-9", By: "kim"}, `no host of pool default has a device "GPU-9"`},
		{models.PoolOrder{Action: models.ActionUnquarantine, UUID: "A0", By: "kim"}, `device "A0" is not in quarantine (in quarantine are: none)`},
		{models.PoolOrder{Action: models.ActionQuota, By: "kim"}, "no tenant is named"},
		{models.PoolOrder{Action: models.ActionQuota, Tenant: "x", GPUs: -1, By: "kim"}, "must not be negative"},
		{models.PoolOrder{Action: "reboot", Node: "a", By: "kim"}, `there is no action "reboot" (use cordon,`},
		{models.PoolOrder{Action: models.ActionCordon, Node: "a"}, "whose order it is"},
	}
	var verdicts []*verdict
	for _, c := range cases {
		verdicts = append(verdicts, h.updateAt(2*time.Second, models.UpdateOperate, c.order))
	}
	h.RegisterDelayedCallback(h.CancelWorkflow, 10*time.Second)
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default"})
	for i, c := range cases {
		require.ErrorContains(t, verdicts[i].rejected, c.want)
	}
}

func TestPoolAnswersAQuestionInTheSameBreath(t *testing.T) {
	h := newHouse(t)
	h.at(time.Second, models.SignalNodeUp, hostWith("a", "A0"))
	first, second := gang("first", 1), gang("second", 1)
	granted := h.updateAt(2*time.Second, models.UpdateAsk, models.TellPoolRequest{Request: &first})
	waits := h.updateAt(3*time.Second, models.UpdateAsk, models.TellPoolRequest{Request: &second})
	exchange := gang("first-again", 1)
	swapped := h.updateAt(4*time.Second, models.UpdateAsk, models.TellPoolRequest{Release: &models.LeaseRelease{RequestID: "first"}, Request: &exchange})
	h.RegisterDelayedCallback(h.CancelWorkflow, 10*time.Second)
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default"})

	answer := func(v *verdict) (m models.PoolMessage) {
		require.NoError(t, v.failed)
		var result models.TellPoolResult
		decode(v.result, &result)
		require.Len(t, result.Messages, 1)
		return result.Messages[0]
	}
	require.Equal(t, "first", answer(granted).Granted.RequestID)
	require.Equal(t, "second", answer(waits).Waiting.RequestID)
	require.NotNil(t, answer(swapped).Waiting, "who waited already comes first")
	sent := leasesGranted(h)
	require.Len(t, sent, 1, "the one that asks is not signalled as well; the one that waited is")
	require.Equal(t, "second", sent[0].RequestID)
}

func TestPoolContinuesAsNewInTheMiddleOfEverything(t *testing.T) {
	h := newHouse(t)
	h.slow = 100 * time.Millisecond // what comes while a batch is on its way
	h.at(time.Second, models.SignalNodeUp, hostWith("a", "A0"))
	h.at(2*time.Second, models.SignalRequestLease, gang("held", 1))
	h.at(5*time.Second, models.SignalRequestLease, gang("one", 1))
	h.RegisterDelayedCallback(func() {
		h.SetContinueAsNewSuggested(true)
		h.SignalWorkflow(models.SignalNodeUp, hostWith("b", "B0"))
		h.SignalWorkflow(models.SignalReleaseLease, models.LeaseRelease{RequestID: "held"})
		h.SignalWorkflow(models.SignalRequestLease, gang("two", 1))
		h.SignalWorkflow(models.SignalRequestLease, gang("three", 1))
	}, 5*time.Second+20*time.Millisecond)
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default"})

	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried models.PoolState
	decodePayloads(t, next, &carried)
	require.Len(t, carried.Nodes, 2)
	require.Len(t, carried.Leases, 2)
	require.Len(t, carried.Waiting, 1)
	told := len(h.sent(models.SignalLeaseGranted)) + len(h.sent(models.SignalLeaseWaiting)) + len(carried.Outbox)
	require.Equal(t, 5, told, "every request has been answered, or will be by the next run: %v", carried.Outbox)

	second := newHouse(t)
	second.at(time.Second, models.SignalReleaseLease, models.LeaseRelease{RequestID: carried.Leases[0].RequestID})
	second.RegisterDelayedCallback(second.CancelWorkflow, time.Minute)
	second.ExecuteWorkflow(models.GPUPoolWorkflow, carried)
	granted := leasesGranted(second)
	require.Equal(t, "three", granted[len(granted)-1].RequestID)
	require.Empty(t, status[models.PoolStatus](t, second).Waiting)
}

func TestPoolTakesNewsOfAHostInTheOrderOfItsClock(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(func() {
		up, down := hostWith("a", "A0"), models.NodeDown{Node: "a", Reason: "silent"}
		up.At, down.At = time.Unix(100, 0), time.Unix(200, 0)
		h.SignalWorkflow(models.SignalNodeUp, up)
		h.SignalWorkflow(models.SignalNodeDown, down)
		other, gone := hostWith("b", "B0"), models.NodeDown{Node: "b", Reason: "silent"}
		gone.At, other.At = time.Unix(100, 0), time.Unix(200, 0)
		h.SignalWorkflow(models.SignalNodeDown, gone)
		h.SignalWorkflow(models.SignalNodeUp, other)
	}, time.Second)
	h.RegisterDelayedCallback(h.CancelWorkflow, 10*time.Second)
	h.ExecuteWorkflow(models.GPUPoolWorkflow, models.PoolState{Pool: "default"})
	nodes := status[models.PoolStatus](t, h).Nodes
	require.Equal(t, "silent", nodes[0].Down)
	require.Empty(t, nodes[1].Down)
}
