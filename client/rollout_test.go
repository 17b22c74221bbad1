package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mainspring-ml/mainspring/models"
)

var rolloutBegan = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// execution is one rollout in the list of workflows.
func execution(id string, began time.Time, status enums.WorkflowExecutionStatus) *workflow.WorkflowExecutionInfo {
	return &workflow.WorkflowExecutionInfo{
		Execution: &common.WorkflowExecution{WorkflowId: id, RunId: "run-" + id}, Status: status,
		StartTime: timestamppb.New(began), CloseTime: timestamppb.New(began.Add(time.Hour)),
		SearchAttributes: &common.SearchAttributes{IndexedFields: map[string]*common.Payload{"MainspringEndpoint": {Data: []byte(`"flights"`)}}},
	}
}

const (
	rolloutRuns  = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	rolloutEnded = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
)

func TestTheNewestRolloutIsShown(t *testing.T) {
	server := newFakeServer(scene{status: map[string]any{"r-4": models.RolloutStatus{Version: "4"}}})
	server.executions = []*workflow.WorkflowExecutionInfo{
		execution("r-3", rolloutBegan, rolloutEnded), execution("r-4", rolloutBegan.Add(time.Minute), rolloutRuns), execution("r-2", rolloutBegan.Add(-time.Hour), rolloutEnded),
	}
	found, err := newTestClient(t, server).Rollout(t.Context(), "flights")
	require.NoError(t, err)
	require.Equal(t, Rollout{WorkflowID: "r-4", RunID: "run-r-4", Started: rolloutBegan.Add(time.Minute),
		Page: "http://127.0.0.1:8233/namespaces/default/workflows/r-4", Status: models.RolloutStatus{Version: "4"}}, found)
	require.Equal(t, []string{"WorkflowType = 'Rollout' AND MainspringEndpoint = 'flights'"}, server.queries)
}

// TestAnEndedRolloutIsShownWithoutAWorker: its result has the steps.
func TestAnEndedRolloutIsShownWithoutAWorker(t *testing.T) {
	server := newFakeServer(scene{err: serviceerror.NewUnavailable("no poller")})
	server.executions = []*workflow.WorkflowExecutionInfo{execution("r-3", rolloutBegan, rolloutEnded)}
	close(server.over)
	server.result = models.RolloutResult{Verdict: models.VerdictFail, Reason: "harm", Steps: []models.CanaryStep{{Weight: 0.1}}}
	found, err := newTestClient(t, server).Rollout(t.Context(), "flights")
	require.NoError(t, err)
	require.Equal(t, models.VerdictFail, found.Result.Verdict)
	require.Equal(t, rolloutBegan.Add(time.Hour), found.Closed)
	require.Equal(t, []models.CanaryStep{{Weight: 0.1}}, found.Status.Steps)
}

func TestNoRolloutNamesWhatThereIs(t *testing.T) {
	server := newFakeServer(scene{})
	server.executions = []*workflow.WorkflowExecutionInfo{}
	_, err := newTestClient(t, server).Rollout(t.Context(), "flight")
	require.EqualError(t, err, "there has been no rollout on endpoint flight at 127.0.0.1:7233; a lifecycle with a deploy section makes one")
	_, err = newTestClient(t, server).Rollout(t.Context(), "x' OR WorkflowType = 'Lifecycle")
	require.ErrorContains(t, err, "is not the name of an endpoint")
}

func TestAnOrderGoesToTheRolloutUnderWay(t *testing.T) {
	order := models.RolloutOrder{Action: models.RolloutPause, By: "kim", Reason: "upgrade"}
	server := newFakeServer(scene{})
	server.executions = []*workflow.WorkflowExecutionInfo{execution("r-4", rolloutBegan, rolloutRuns)}
	server.answer = models.RolloutStatus{Version: "4", RolloutState: models.RolloutState{Paused: true}}
	c := newTestClient(t, server)
	status, err := c.OrderRollout(t.Context(), "flights", order)
	require.NoError(t, err)
	require.True(t, status.Paused)
	require.Equal(t, "r-4", server.updated.WorkflowID)
	require.Equal(t, "order", server.updated.UpdateName)
	require.Equal(t, []any{order}, server.updated.Args)

	server.handleErr = temporal.NewApplicationError("it is not paused", "")
	_, err = c.OrderRollout(t.Context(), "flights", order)
	require.EqualError(t, err, "it is not paused")

	server.handleErr = serviceerror.NewNotFound("workflow execution already completed")
	_, err = c.OrderRollout(t.Context(), "flights", order)
	require.EqualError(t, err, "r-4 has just ended; `mainspring rollout flights` shows how")

	server.executions = []*workflow.WorkflowExecutionInfo{execution("r-4", rolloutBegan, rolloutEnded)}
	_, err = c.OrderRollout(t.Context(), "flights", order)
	require.EqualError(t, err, "no rollout is under way on endpoint flights: the last one, r-4, ended at 2026-11-25 13:00:00Z")
}
