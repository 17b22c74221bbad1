package workflows_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func serveInput() models.ServeInput {
	return models.ServeInput{Model: "flight-delay", Version: "2", Notify: "rollout",
		Deploy: models.DeploySpec{Endpoint: "flights", Replicas: 1, Resources: models.Resources{Pool: "default", Nodes: 1, GPUsPerNode: 1}}}
}

func TestServeRestartsAReplicaThatEnds(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	lives := 0
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		lives++
		if lives == 1 {
			return models.ReplicaExit{Reason: "killed"}, nil
		}
		h.SignalWorkflow(models.SignalStop, models.StopServe{Reason: "replaced"})
		<-ctx.Done()
		return models.ReplicaExit{}, ctx.Err()
	}
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	require.NoError(t, h.GetWorkflowError())

	require.Len(t, h.starts, 2)
	require.Len(t, h.sent(models.SignalServeReady), 1, "the rollout is told once")
	require.Len(t, h.sent(models.SignalReleaseLease), 2)
	require.Empty(t, h.replicas[len(h.replicas)-1].URLs, "no address is left behind")
	require.Equal(t, []string{"http://host-a:9001"}, h.replicas[0].URLs)
}

func TestServeReportsAModelThatCannotBeServed(t *testing.T) {
	h := newHouse(t)
	h.startErr = fail(models.KindServerFailed, "the server ended: unknown operator Foo")
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	require.ErrorContains(t, h.GetWorkflowError(), "unknown operator Foo")

	failed := h.sent(models.SignalServeFailed)
	require.Len(t, failed, 1)
	var message models.ServeFailed
	decode(failed[0].Arg, &message)
	require.Contains(t, message.Reason, "unknown operator Foo")
	require.Len(t, h.starts, 1, "the same bytes are not tried again")
}

func TestServeReportsAModelThatIsNotTrusted(t *testing.T) {
	h := newHouse(t)
	h.startErr = fail(models.KindNotTrusted, "its signature does not verify on host host-a")
	input := serveInput()
	input.Signature, input.Deploy.RequireSignature = &models.Signature{KeyID: "abc"}, true
	h.ExecuteWorkflow(models.ServeWorkflow, input)
	require.ErrorContains(t, h.GetWorkflowError(), "does not verify on host host-a")
	require.Len(t, h.sent(models.SignalServeFailed), 1)
	require.Len(t, h.starts, 1, "the same files are not tried again")
	require.Equal(t, input.Signature, h.starts[0].Signature)
	require.True(t, h.starts[0].RequireSignature)
}

func TestServeStopsWhenTold(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		h.SignalWorkflow(models.SignalStop, models.StopServe{Reason: "version 3 took over"})
		<-ctx.Done()
		return models.ReplicaExit{}, ctx.Err()
	}
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Hour) // never reached
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	require.NoError(t, h.GetWorkflowError())
	require.Len(t, h.sent(models.SignalReleaseLease), 1)
}

func TestServeMovesAReplicaBeforeItsLeaseEnds(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	var order []string
	note := func(what string) { order = append(order, what) } // under h.mu, or from the one who runs
	h.pool = func(signal string, arg any) {
		switch signal {
		case models.SignalRequestLease:
			var request models.LeaseRequest
			decode(arg, &request)
			note("ask " + strings.Join(request.Avoid, ","))
			lease := leaseOf(request, int64(len(order)))
			if len(request.Avoid) > 0 {
				lease.Nodes[0].Node = "host-z"
			}
			h.reply(request.Holder, models.SignalLeaseGranted, lease)
		case models.SignalReleaseLease:
			note("release")
		}
	}
	lives := 0
	h.watch = func(ctx context.Context, r models.WatchReplicaRequest) (models.ReplicaExit, error) {
		lives++
		if lives == 1 {
			h.mu.Lock()
			request := h.leasesLocked()[0].RequestID
			h.mu.Unlock()
			h.SignalWorkflow(models.SignalLeasePreempted, models.LeasePreempted{RequestID: request,
				LeaseEnding: models.LeaseEnding{Reason: "host-a is drained", By: h.Now().Add(16 * time.Second)}})
			<-ctx.Done()
			return models.ReplicaExit{}, ctx.Err()
		}
		require.Equal(t, "host-z", r.Replica.Node)
		for { // until the first server's lease is back
			h.mu.Lock()
			released := slices.Contains(order, "release")
			h.mu.Unlock()
			if released {
				h.CancelWorkflow()
				<-ctx.Done()
				return models.ReplicaExit{}, ctx.Err()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())

	require.Equal(t, []string{"ask ", "ask host-a", "release", "release"}, order, "the second server is there before the first lease goes back")
	for _, published := range h.replicas[:len(h.replicas)-1] {
		require.NotEmpty(t, published.URLs, "at no time is there no address")
	}
}

func TestServeShowsWhyItWaits(t *testing.T) {
	h := newHouse(t)
	h.pool = func(signal string, arg any) {
		if signal == models.SignalRequestLease {
			var request models.LeaseRequest
			decode(arg, &request)
			h.reply(request.Holder, models.SignalLeaseWaiting, models.LeaseWaiting{RequestID: request.RequestID, Reason: "ahead of you: train x"})
		}
	}
	h.RegisterDelayedCallback(func() {
		require.Contains(t, status[models.ServeStatus](t, h).Waiting, "ahead of you: train x")
		h.CancelWorkflow()
	}, time.Second)
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	require.Len(t, h.sent(models.SignalReleaseLease), 1, "the request is taken back")
}
