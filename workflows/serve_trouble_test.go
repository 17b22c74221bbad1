package workflows_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// untilStopped plays a watch that lasts until the workflow is told to stop.
func untilStopped(ctx context.Context, h *house) (models.ReplicaExit, error) {
	h.SignalWorkflow(models.SignalStop, models.StopServe{Reason: "replaced"})
	<-ctx.Done()
	return models.ReplicaExit{}, ctx.Err()
}

func TestServeNeverGivesUpAVersionThatWasReady(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	lives := 0
	var began time.Time
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		lives++
		switch lives {
		case 1:
			began = h.Now()
			h.mu.Lock()
			h.startErr = fail(models.KindServerFailed, "exit status 1")
			h.mu.Unlock()
			return models.ReplicaExit{Reason: "exit status 3", Log: "out of luck"}, nil
		default:
			return untilStopped(ctx, h)
		}
	}
	seen := models.ServeStatus{}
	h.RegisterDelayedCallback(func() {
		seen = status[models.ServeStatus](t, h)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.startErr = nil // whatever was wrong is put right
	}, 10*time.Minute)
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	require.NoError(t, h.GetWorkflowError())

	require.Empty(t, h.sent(models.SignalServeFailed))
	require.Equal(t, 2, lives, "it answers again")
	require.GreaterOrEqual(t, h.Now().Sub(began), 10*time.Minute)
	require.Len(t, seen.Troubles, 1)
	trouble := seen.Troubles[0]
	require.Equal(t, "exit status 1", trouble.Reason)
	require.Equal(t, "host-a", trouble.Node)
	require.Equal(t, seen.Crashes, trouble.Crashes)
	require.Equal(t, trouble.Crashes, trouble.InARow)
	// 0.5, 1, 2, … s and then a minute each: seven within the first minute.
	require.InDelta(t, 16, trouble.Crashes, 2, "the pauses grow to a minute and no further")
	require.InDelta(t, seen.Crashes, seen.Restarts, 1, "it pauses now, or starts")
}

func TestServeShowsTheLastLinesOfACrash(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	lives := 0
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		if lives++; lives <= 2 {
			return models.ReplicaExit{Reason: "exit status 3", Log: fmt.Sprintf("life %d", lives)}, nil
		}
		// Asked where the workflow runs: a query beside it would read what it writes.
		h.RegisterDelayedCallback(func() {
			trouble := status[models.ServeStatus](t, h).Troubles[0]
			require.Equal(t, models.ReplicaExit{Reason: "exit status 3", Log: "life 2"}, trouble.ReplicaExit)
			require.Equal(t, 2, trouble.Crashes)
			h.SignalWorkflow(models.SignalStop, models.StopServe{Reason: "seen"})
		}, 0)
		<-ctx.Done()
		return models.ReplicaExit{}, ctx.Err()
	}
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	require.NoError(t, h.GetWorkflowError())
	require.Equal(t, []string{"host-a"}, h.leases()[2].Avoid, "a loop may be the host's fault")
	require.Empty(t, h.leases()[1].Avoid, "a single crash is none")
}

func TestServeGivesUpAServerThatIsKilledBeforeItWasEverReady(t *testing.T) {
	h := newHouse(t)
	h.startErr = fail(models.KindRankLost, "killed")
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	require.ErrorContains(t, h.GetWorkflowError(), "killed")
	require.Len(t, h.starts, 5)
	require.Len(t, h.sent(models.SignalServeFailed), 1)
}

func TestServeLeavesALostHost(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	lives := 0
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		if lives++; lives == 1 {
			h.mu.Lock()
			request := h.leasesLocked()[0].RequestID
			h.mu.Unlock()
			h.SignalWorkflow(models.SignalLeaseLost, models.LeaseLost{RequestID: request, Node: "host-a", Reason: "its agent is gone"})
			<-ctx.Done()
			return models.ReplicaExit{}, ctx.Err()
		}
		return untilStopped(ctx, h)
	}
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	require.NoError(t, h.GetWorkflowError())
	require.Equal(t, []string{"host-a"}, h.leases()[1].Avoid)
	require.Len(t, h.starts, 2)
}

// spreading plays a pool whose hosts have room for one replica each, as long as
// they are not all avoided.
func spreading(h *house) func(signal string, arg any) {
	token := int64(0)
	return func(signal string, arg any) {
		if signal != models.SignalRequestLease {
			return
		}
		var request models.LeaseRequest
		decode(arg, &request)
		token++
		lease := leaseOf(request, token)
		lease.Nodes[0].Node = fmt.Sprintf("host-%c", 'a'+len(request.Avoid))
		h.reply(request.Holder, models.SignalLeaseGranted, lease)
	}
}

func TestReplicasAvoidEachOthersHosts(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	h.pool = spreading(h)
	watching := 0
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		h.mu.Lock()
		watching++
		all := watching == 3
		h.mu.Unlock()
		if all {
			return untilStopped(ctx, h)
		}
		<-ctx.Done()
		return models.ReplicaExit{}, ctx.Err()
	}
	input := serveInput()
	input.Deploy.Replicas = 3
	h.ExecuteWorkflow(models.ServeWorkflow, input)
	require.NoError(t, h.GetWorkflowError())
	require.Len(t, h.starts, 3)
	require.Empty(t, h.leases()[0].Avoid)
	require.Equal(t, []string{"host-a"}, h.leases()[1].Avoid)
	require.Equal(t, []string{"host-a", "host-b"}, h.leases()[2].Avoid)
}

func TestServeGoesOnInItsNextRun(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	h.pool = func(signal string, arg any) { // room for one replica, and the other waits
		if signal != models.SignalRequestLease {
			return
		}
		var request models.LeaseRequest
		decode(arg, &request)
		if len(request.Avoid) > 0 {
			h.reply(request.Holder, models.SignalLeaseWaiting, models.LeaseWaiting{RequestID: request.RequestID, Reason: "no room"})
			return
		}
		h.reply(request.Holder, models.SignalLeaseGranted, leaseOf(request, 7))
	}
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		<-ctx.Done()
		return models.ReplicaExit{}, ctx.Err()
	}
	h.RegisterDelayedCallback(func() { // in real time, as an activity runs
		h.SetContinueAsNewSuggested(true)
		h.SignalWorkflow(models.SignalLeaseWaiting, models.LeaseWaiting{RequestID: "of nobody", Reason: "wakes the workflow up"})
	}, 300*time.Millisecond)
	input := serveInput()
	input.Deploy.Replicas = 2
	h.ExecuteWorkflow(models.ServeWorkflow, input)

	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &again)
	require.Empty(t, h.sent(models.SignalReleaseLease), "the lease is kept")
	require.Equal(t, []string{"http://host-a:9001"}, h.replicas[len(h.replicas)-1].URLs, "the address stays")
	var next models.ServeInput
	decodePayloads(t, again, &next)

	second := newHouse(t)
	watched := []models.Replica{}
	second.watch = func(ctx context.Context, r models.WatchReplicaRequest) (models.ReplicaExit, error) {
		second.mu.Lock()
		watched = append(watched, r.Replica)
		both := len(watched) == 2
		second.mu.Unlock()
		if both {
			return untilStopped(ctx, second)
		}
		<-ctx.Done()
		return models.ReplicaExit{}, ctx.Err()
	}
	second.ExecuteWorkflow(models.ServeWorkflow, next)
	require.NoError(t, second.GetWorkflowError())
	require.Equal(t, *next.Prior.Replicas[0].Ready, watched[0], "the server is found again")
	require.Len(t, second.starts, 1, "only the one that waited is started")
	require.Equal(t, 1, second.starts[0].Replica)
	asked := second.leases()
	require.Len(t, asked, 1)
	require.Equal(t, next.Prior.Replicas[1].Request.RequestID, asked[0].RequestID, "the request keeps its turn")
	require.Len(t, second.sent(models.SignalServeReady), 1)
	require.Len(t, second.sent(models.SignalReleaseLease), 2, "both leases go back in the end")
}

func TestServeBeginsANewRunInACrashLoopToo(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	h.watch = func(context.Context, models.WatchReplicaRequest) (models.ReplicaExit, error) {
		return models.ReplicaExit{Reason: "exit status 3"}, nil
	}
	h.RegisterDelayedCallback(func() { h.SetContinueAsNewSuggested(true) }, time.Hour)
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &again)
	var next models.ServeInput
	decodePayloads(t, again, &next)
	carried := next.Prior.Replicas[0]
	require.Nil(t, carried.Lease)
	require.Nil(t, carried.Ready)
	require.Equal(t, carried.Starts, carried.Trouble.Crashes)

	second := newHouse(t)
	second.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		return untilStopped(ctx, second)
	}
	second.ExecuteWorkflow(models.ServeWorkflow, next)
	require.NoError(t, second.GetWorkflowError())
	require.Equal(t, carried.Trouble.Crashes, status[models.ServeStatus](t, second).Crashes)
	require.Empty(t, second.sent(models.SignalServeReady), "the rollout was told long ago")
}
