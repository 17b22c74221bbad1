package workflows_test

import (
	"context"
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

func TestServeStopsWhenTold(t *testing.T) {
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
