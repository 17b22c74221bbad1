package workflows_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// serveAndRollOut starts servers by itself, and a rollout once they are ready.
func serveAndRollOut(ctx workflow.Context, input models.RolloutInput) (result models.RolloutResult, err error) {
	named := func(id string) workflow.Context {
		return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: id})
	}
	serve := models.ServeInput{Model: input.Model, Version: "2", Deploy: input.Deploy, Notify: testWorkflowID}
	serving := workflow.ExecuteChildWorkflow(named(models.ServeID("flights", "2")), models.ServeWorkflow, serve)
	if err := serving.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		return result, err
	}
	workflow.GetSignalChannel(ctx, models.SignalServeReady).Receive(ctx, nil)
	err = workflow.ExecuteChildWorkflow(named(models.RolloutID(input.Model, "2")), models.RolloutWorkflow, input).Get(ctx, &result)
	return result, err
}

// TestARolloutIsToldByAServeThatRunsAlready: a rollout that ended early left it,
// and it had told whoever it was started for.
func TestARolloutIsToldByAServeThatRunsAlready(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	input := rolloutInput("1")
	h.arms = growing(2000, 0, 0)
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		<-ctx.Done()
		return models.ReplicaExit{}, ctx.Err()
	}
	h.ExecuteWorkflow(serveAndRollOut, input)
	require.NoError(t, h.GetWorkflowError())
	var result models.RolloutResult
	require.NoError(t, h.GetWorkflowResult(&result))
	require.Equal(t, models.VerdictPass, result.Verdict, result.Reason)
	require.Len(t, h.starts, 1, "the servers that run are those that are tried")
}
