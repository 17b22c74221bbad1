package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// running plays ranks that run on: their activity has no result yet, and the
// test's clock goes on meanwhile.
func running(models.RunRanksRequest) (models.RanksResult, error) {
	return models.RanksResult{}, activity.ErrResultPending
}

// firstThen plays one kind of ranks in the first attempt and good ones after.
func firstThen(first func(models.RunRanksRequest) (models.RanksResult, error)) func(models.RunRanksRequest) (models.RanksResult, error) {
	return func(r models.RunRanksRequest) (models.RanksResult, error) {
		if r.Restart == 0 {
			return first(r)
		}
		return goodRanks(r)
	}
}

// failWith is an agent's failure with its report.
func failWith(kind models.ErrorKind, reason models.ExitReason, message string) error {
	return temporal.NewApplicationErrorWithOptions(message, string(kind), temporal.ApplicationErrorOptions{
		NonRetryable: !kind.Retryable(), Details: []any{models.AttemptReport{Reason: reason, Step: 30}}})
}

// later signals the training after it has run for a while.
func (h *house) later(after time.Duration, signal string, message any) {
	h.RegisterDelayedCallback(func() { h.SignalWorkflow(signal, message) }, after)
}

// requestID is that of a training's attempt: all test workflows have one run.
func requestID(attempt int) string { return fmt.Sprintf("default-test-run-id#%d", attempt) }

func trained(t *testing.T, h *house) (result models.TrainResult) {
	t.Helper()
	require.True(t, h.IsWorkflowCompleted())
	require.NoError(t, h.GetWorkflowError())
	require.NoError(t, h.GetWorkflowResult(&result))
	return result
}

func TestTrainFailsBeforeAnyLeaseWhenItsEnvironmentCannotBeBuilt(t *testing.T) {
	h := newHouse(t)
	h.prepare = func(string) (models.PreparedEnvironment, error) {
		return models.PreparedEnvironment{}, fail(models.KindEnvironmentFailed, "requirements.txt: no version of torhc (correct the name)")
	}
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.ErrorContains(t, h.GetWorkflowError(), "no version of torhc")
	require.Empty(t, h.leases(), "no device was asked for")
	require.Equal(t, "FAILED", h.finished[0].Status)
	require.Contains(t, h.finished[0].Tags["mainspring.failure"], "torhc")
	require.Equal(t, models.TrainFailed, status[models.TrainStatus](t, h).State)
}

func TestTrainPreparesOnAnotherHostWhenOneIsSilent(t *testing.T) {
	h := newHouse(t)
	var tried []string
	h.prepare = func(queue string) (models.PreparedEnvironment, error) {
		tried = append(tried, queue)
		if len(tried) < 4 { // both hosts, and the first one that is named again
			return models.PreparedEnvironment{}, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
		}
		return models.PreparedEnvironment{Digest: "abc", Reused: true}, nil
	}
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	trained(t, h)
	a, b := models.HostQueue("host-a"), models.HostQueue("host-b")
	require.Equal(t, []string{a, b, a, b}, tried)
	require.Len(t, h.sent(models.SignalRequestHosts), 2)
	require.Len(t, h.leases(), 1)
}

func TestTrainWaitsForAHostAndSaysSo(t *testing.T) {
	h := newHouse(t)
	h.pool = func(signal string, arg any) {
		if signal != models.SignalRequestHosts {
			h.pool = nil
			require.NoError(t, h.answerPool(signal, arg))
			return
		}
		var request models.HostsRequest
		decode(arg, &request)
		h.later(time.Second, models.SignalLeaseWaiting, models.LeaseWaiting{RequestID: request.RequestID, Reason: "the pool has no host yet"})
		h.RegisterDelayedCallback(func() {
			seen := status[models.TrainStatus](t, h)
			require.Equal(t, models.TrainPreparing, seen.State)
			require.Contains(t, seen.Waiting, "the pool has no host yet")
			h.SignalWorkflow(models.SignalHostsNamed, models.HostsNamed{RequestID: request.RequestID, Nodes: []string{"host-a"}})
		}, 3*time.Second)
	}
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	trained(t, h)
	require.Empty(t, status[models.TrainStatus](t, h).Waiting)
}

func TestTrainTellsWhyItWaitsForDevices(t *testing.T) {
	h := newHouse(t)
	h.pool = h.lendAfter(func(request models.LeaseRequest) {
		h.later(time.Second, models.SignalLeaseWaiting, models.LeaseWaiting{RequestID: request.RequestID, Reason: "needs 2 × 1; best now 1 × 1"})
		h.RegisterDelayedCallback(func() {
			seen := status[models.TrainStatus](t, h)
			require.Equal(t, models.TrainLeasing, seen.State)
			require.Contains(t, seen.Waiting, "needs 2 × 1; best now 1 × 1")
			h.SignalWorkflow(models.SignalLeaseGranted, leaseOf(request, 1))
		}, 11*time.Second)
	})
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	result := trained(t, h)
	require.InDelta(t, 22, result.Account.Waiting, 0.5, "two devices for eleven seconds")
}

// lendAfter plays a pool that names hosts at once and leaves leases to grant.
func (h *house) lendAfter(grant func(models.LeaseRequest)) func(string, any) {
	return func(signal string, arg any) {
		switch signal {
		case models.SignalRequestHosts:
			var request models.HostsRequest
			decode(arg, &request)
			h.reply(request.Holder, models.SignalHostsNamed, models.HostsNamed{RequestID: request.RequestID, Nodes: []string{"host-a"}})
		case models.SignalRequestLease:
			var request models.LeaseRequest
			decode(arg, &request)
			grant(request)
		}
	}
}

func TestTrainThatCanNeverBeGrantedFailsAtOnce(t *testing.T) {
	const never = "no pool of these nodes could ever hold 64 devices on one host"
	for name, pool := range map[string]func(*house) func(string, any){
		"when hosts are asked for": func(h *house) func(string, any) {
			return func(signal string, arg any) {
				var request models.HostsRequest
				decode(arg, &request)
				h.reply(request.Holder, models.SignalLeaseRefused, models.LeaseRefused{RequestID: request.RequestID, Reason: never})
			}
		},
		"when devices are asked for": func(h *house) func(string, any) {
			return h.lendAfter(func(request models.LeaseRequest) {
				h.reply(request.Holder, models.SignalLeaseRefused, models.LeaseRefused{RequestID: request.RequestID, Reason: never})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.pool = pool(h)
			h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
			var failed *temporal.ApplicationError
			require.ErrorAs(t, h.GetWorkflowError(), &failed)
			require.Equal(t, string(models.KindLeaseRefused), failed.Type())
			require.Contains(t, failed.Message(), never)
			require.Empty(t, h.rankCalls)
			require.Equal(t, "FAILED", h.finished[0].Status)
		})
	}
}

func TestTrainLeavesABrokenDeviceOut(t *testing.T) {
	lost := models.LeaseLost{RequestID: requestID(1), Node: "host-b", Device: "VIRT-host-b-0", Reason: "XID 79: fell off the bus"}
	for name, c := range map[string]struct {
		resources models.Resources
		exclude   []string
	}{
		"of a gang by shape": {models.Resources{Nodes: 2, GPUsPerNode: 1}, []string{"VIRT-host-b-0"}},
		"that it named":      {models.Resources{UUIDs: []string{"VIRT-host-b-0"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.ranks = firstThen(running)
			h.later(time.Minute, models.SignalLeaseLost, lost)
			h.pool = h.lendAfter(func(request models.LeaseRequest) {
				two := request
				two.Resources = models.Resources{Nodes: 2}
				lease := leaseOf(two, int64(len(h.leasesLocked())))
				lease.LeaseRequest = request
				h.reply(request.Holder, models.SignalLeaseGranted, lease)
			})
			input := trainInput()
			input.Train.Resources = c.resources
			h.ExecuteWorkflow(models.TrainWorkflow, input)
			result := trained(t, h)
			second := h.leases()[1]
			require.Equal(t, c.exclude, second.Exclude)
			require.Empty(t, second.Avoid, "its host is well")
			require.Equal(t, 1, result.Restarts)
			require.Equal(t, models.ExitLeaseLost, result.Attempts[0].Reason)
			require.Contains(t, result.Attempts[0].Detail, "XID 79")
		})
	}
}

func TestTrainGivesWayAndComesBack(t *testing.T) {
	h := newHouse(t)
	none := 0
	input := trainInput()
	input.Train.MaxRestarts, input.Train.Grace = &none, models.Duration(20*time.Second)
	input.Train.Resources.Preemptible = true
	h.checkpoint = models.Checkpoint{Step: 20}
	h.ranks = func(r models.RunRanksRequest) (models.RanksResult, error) {
		if r.Restart >= 3 {
			return goodRanks(r)
		}
		return running(r)
	}
	for attempt := 1; attempt <= 3; attempt++ {
		h.later(time.Duration(attempt)*time.Minute, models.SignalLeasePreempted, models.LeasePreempted{
			RequestID: requestID(attempt), LeaseEnding: models.LeaseEnding{Reason: "host-a is drained"}})
	}
	h.ExecuteWorkflow(models.TrainWorkflow, input)
	result := trained(t, h)
	require.Zero(t, result.Restarts, "giving way is no failure")
	require.Len(t, result.Attempts, 4)
	require.Equal(t, models.ExitPreempted, result.Attempts[2].Reason)
	require.Equal(t, "host-a is drained", result.Attempts[2].Detail)
	require.Empty(t, status[models.TrainStatus](t, h).Failures)

	requests := h.leases()
	require.Len(t, requests, 4)
	require.Equal(t, models.Duration(20*time.Second), requests[0].Grace)
	require.Zero(t, requests[0].UsedGPUSeconds)
	require.InDelta(t, 120, requests[1].UsedGPUSeconds, 2, "two devices for a minute")
	require.Empty(t, requests[3].Avoid)
	require.True(t, h.rankCalls[0].Preemptible)
	order := h.order(models.SignalRequestLease, models.SignalReleaseLease)
	require.Equal(t, []string{"request-lease", "release-lease", "request-lease", "release-lease"}, order[:4],
		"the lease is back before the next is asked for")
}

// order is in which order these signals were sent.
func (h *house) order(names ...string) (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.signals {
		for _, name := range names {
			if s.Name == name {
				all = append(all, name)
			}
		}
	}
	return all
}

func TestTrainCountsNoErrorOfRanksThatWereAskedToLeave(t *testing.T) {
	h := newHouse(t)
	h.ranks = firstThen(func(r models.RunRanksRequest) (models.RanksResult, error) {
		if r.GroupRank == 0 {
			return running(r)
		}
		h.SignalWorkflow(models.SignalLeasePreempted, models.LeasePreempted{RequestID: requestID(1), LeaseEnding: models.LeaseEnding{Reason: "drain"}})
		time.Sleep(100 * time.Millisecond) // its peer heard of it first
		return models.RanksResult{}, failWith(models.KindTrainingFailed, models.ExitStatus, "rank-1 ended with exit status 1: connection reset by peer")
	})
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	result := trained(t, h)
	require.Zero(t, result.Restarts)
	require.Equal(t, models.ExitPreempted, result.Attempts[0].Reason)
}

func TestTrainGrowsAtACheckpoint(t *testing.T) {
	h := newHouse(t)
	input := trainInput()
	input.Train.Resources.MinNodes = 1
	h.pool = h.lendAfter(func(request models.LeaseRequest) {
		lease := leaseOf(request, int64(len(h.leasesLocked())))
		if lease.Token == 1 {
			lease.Nodes = lease.Nodes[:1]
		}
		h.reply(request.Holder, models.SignalLeaseGranted, lease)
	})
	h.ranks = firstThen(running)
	h.later(time.Minute, models.SignalLeaseGrowable, models.LeaseGrowable{RequestID: requestID(1), Nodes: 2})
	h.RegisterDelayedCallback(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.checkpoint = models.Checkpoint{Step: 20}
	}, 14*time.Minute+30*time.Second)
	h.ExecuteWorkflow(models.TrainWorkflow, input)

	result := trained(t, h)
	require.Equal(t, 1, h.rankCalls[0].WorldSize)
	require.Equal(t, 2, h.rankCalls[len(h.rankCalls)-1].WorldSize, "WORLD_SIZE follows the lease")
	require.Equal(t, int64(20), h.rankCalls[len(h.rankCalls)-1].Resume.Step)
	require.Len(t, result.Attempts, 2)
	require.Zero(t, result.Restarts)
	first := result.Attempts[0]
	require.Equal(t, models.ExitPreempted, first.Reason)
	require.Contains(t, first.Detail, "2 of the 2 hosts")
	took := first.Ended.Sub(first.Began)
	require.Greater(t, took, 14*time.Minute+30*time.Second, "not before there is a fresh checkpoint")
	require.Less(t, took, 16*time.Minute)
}

// checkpointing lets a training write a checkpoint every so often.
func (h *house) checkpointing(every time.Duration, times int) {
	for n := 1; n <= times; n++ {
		h.RegisterDelayedCallback(func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.checkpoint = models.Checkpoint{Step: int64(10 * n)}
		}, time.Duration(n)*every)
	}
}

func TestTrainMovesAtMostOnceInTenMinutes(t *testing.T) {
	h := newHouse(t)
	input := trainInput()
	input.Train.Resources.MinNodes = 1
	h.pool = h.lendAfter(func(request models.LeaseRequest) {
		lease := leaseOf(request, int64(len(h.leasesLocked())))
		lease.Nodes = lease.Nodes[:1]
		h.reply(request.Holder, models.SignalLeaseGranted, lease)
	})
	h.ranks = firstThen(running)
	h.checkpointing(30*time.Second, 60)
	h.later(time.Minute, models.SignalLeaseGrowable, models.LeaseGrowable{RequestID: requestID(1), Nodes: 2})
	h.ExecuteWorkflow(models.TrainWorkflow, input)
	first := trained(t, h).Attempts[0]
	require.Equal(t, models.ExitPreempted, first.Reason)
	require.InDelta(t, 11, first.Ended.Sub(first.Began).Minutes(), 1.1)
}

func TestTrainOfAllItsHostsDoesNotLookForMore(t *testing.T) {
	h := newHouse(t)
	h.ranks = firstThen(running)
	h.checkpointing(30*time.Second, 60)
	h.later(time.Minute, models.SignalLeaseGrowable, models.LeaseGrowable{RequestID: requestID(1), Nodes: 3})
	h.RegisterDelayedCallback(h.CancelWorkflow, 3*time.Hour)
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.Len(t, h.leases(), 1)
}
