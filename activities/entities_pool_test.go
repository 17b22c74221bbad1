package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/models"
)

// fakeTemporal answers what Entities asks of a server.
type fakeTemporal struct {
	client.Client
	mu        sync.Mutex
	signals   []string         // "signal to"
	failing   map[string]error // of signals, by workflow ID
	updates   int
	updateErr error
	answer    models.TellPoolResult
	running   map[string]bool
	first     map[string]string // first run IDs
}

func (f *fakeTemporal) SignalWorkflow(_ context.Context, id, _, name string, _ any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failing[id]; err != nil {
		return err
	}
	f.signals = append(f.signals, name+" "+id)
	return nil
}

func (f *fakeTemporal) UpdateWorkflow(context.Context, client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updates++
	return answered{result: f.answer}, f.updateErr
}

func (f *fakeTemporal) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	running, known := f.running[id]
	if !known {
		return nil, serviceerror.NewNotFound("no " + id)
	}
	status := enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	if running {
		status = enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{Status: status, FirstRunId: f.first[id]}}, nil
}

type answered struct {
	client.WorkflowUpdateHandle
	result models.TellPoolResult
}

func (a answered) Get(_ context.Context, into any) error {
	*into.(*models.TellPoolResult) = a.result
	return nil
}

func question() models.TellPoolRequest {
	return models.TellPoolRequest{Pool: "default", Release: &models.LeaseRelease{RequestID: "r1"}, Request: &models.LeaseRequest{RequestID: "r2"}}
}

func TestTellPoolIsAnsweredAtOnce(t *testing.T) {
	temporal := &fakeTemporal{answer: models.TellPoolResult{Messages: []models.PoolMessage{{Granted: &models.Lease{Token: 7}}}}}
	result, err := (&Entities{Temporal: temporal}).TellPool(t.Context(), question())
	require.NoError(t, err)
	require.EqualValues(t, 7, result.Messages[0].Granted.Token)
	require.Empty(t, temporal.signals)
}

func TestTellPoolSignalsAPoolThatDoesNotAnswer(t *testing.T) {
	temporal := &fakeTemporal{updateErr: errors.New("too many updates in flight")}
	e := &Entities{Temporal: temporal}
	for range 2 {
		result, err := e.TellPool(t.Context(), question())
		require.NoError(t, err)
		require.Empty(t, result.Messages)
	}
	require.Equal(t, []string{"release-lease pool/default", "request-lease pool/default", "release-lease pool/default", "request-lease pool/default"}, temporal.signals)
	require.Equal(t, askAttempts, temporal.updates, "for a while it is not asked again")
}

func TestTellPoolSaysThatThereIsNone(t *testing.T) {
	_, err := (&Entities{Temporal: &fakeTemporal{updateErr: serviceerror.NewNotFound("workflow not found")}}).TellPool(t.Context(), question())
	var failed *models.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, models.KindUnavailable, failed.Kind)
	require.Contains(t, err.Error(), "worker started with --pool default")
}

func TestTellHoldersPassesOverThoseThatHaveEnded(t *testing.T) {
	temporal := &fakeTemporal{failing: map[string]error{"ended": serviceerror.NewNotFound("no"), "full": serviceerror.NewInvalidArgument("too many signals")}}
	var messages []models.PoolMessage
	for _, holder := range []string{"ended", "a", "full", "a"} {
		messages = append(messages, models.PoolMessage{Holder: holder, Lost: &models.LeaseLost{}})
	}
	messages = append(messages, models.PoolMessage{Holder: "a", Granted: &models.Lease{}})
	e := &Entities{Temporal: temporal}
	require.NoError(t, e.TellHolders(t.Context(), models.TellHoldersRequest{Messages: messages}))
	require.Equal(t, []string{"lease-lost a", "lease-lost a", "lease-granted a"}, temporal.signals, "in order")

	temporal.failing["a"] = serviceerror.NewUnavailable("later")
	require.Error(t, e.TellHolders(t.Context(), models.TellHoldersRequest{Messages: messages}), "the batch is tried again")
}

func TestFindClosedCountsUnknownWorkflowsAsClosed(t *testing.T) {
	temporal := &fakeTemporal{running: map[string]bool{}}
	var ids, want []string
	for i := range 100 {
		id := fmt.Sprintf("w-%02d", i)
		ids = append(ids, id)
		if i%3 != 2 {
			temporal.running[id] = i%3 == 0
		}
		if i%3 != 0 {
			want = append(want, id)
		}
	}
	found, err := (&Entities{Temporal: temporal}).FindClosed(t.Context(), models.FindClosedRequest{WorkflowIDs: ids})
	require.NoError(t, err)
	require.Equal(t, want, found.WorkflowIDs)
}

func TestFindClosedTellsRunsThatWereReplaced(t *testing.T) {
	temporal := &fakeTemporal{running: map[string]bool{"again": true, "same": true, "gone": false}, first: map[string]string{"again": "second", "same": "first"}}
	run := func(id, first string) models.HolderRun { return models.HolderRun{WorkflowID: id, FirstRunID: first} }
	found, err := (&Entities{Temporal: temporal}).FindClosed(t.Context(), models.FindClosedRequest{
		WorkflowIDs: []string{"again", "gone", "same"},
		Runs:        []models.HolderRun{run("again", "first"), run("again", "second"), run("gone", "first"), run("same", "first")},
	})
	require.NoError(t, err)
	require.Equal(t, models.FindClosedResult{WorkflowIDs: []string{"gone"}, Replaced: []models.HolderRun{run("again", "first")}}, found)
}
