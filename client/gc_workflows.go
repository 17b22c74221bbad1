package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdk "go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// running are the IDs of all running workflows of a type.
func (c *Client) running(ctx context.Context, workflowType string) ([]string, error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{Namespace: c.namespace, PageSize: 500,
		Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", workflowType)}
	var ids []string
	for {
		listed, err := c.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list the running %s workflows at %s: %w", workflowType, c.address, err)
		}
		for _, execution := range listed.GetExecutions() {
			ids = append(ids, execution.GetExecution().GetWorkflowId())
		}
		if request.NextPageToken = listed.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return ids, nil
		}
	}
}

// user is a workflow that has used a snapshot.
type user struct{ namespace, workflow string }

// users are the workflows that have said so. Whether one runs is asked of the
// workflow itself: lists of workflows lag behind. The ID counts and not the run,
// since one that was reset goes on with its snapshot in another run.
func (n *needs) users(ctx context.Context) error {
	used := map[user][]string{}
	var order []user
	for _, item := range n.items {
		for _, use := range item.Uses {
			u := user{use.Namespace, use.Workflow}
			if used[u] == nil {
				order = append(order, u)
			}
			used[u] = append(used[u], item.Snapshot)
		}
	}
	return many(ctx, order, func(ctx context.Context, u user) error {
		runs, where, err := n.client.stillRuns(ctx, u)
		if err != nil || !runs {
			return err
		}
		for _, snapshot := range used[u] {
			n.keep(snapshot, snapshots.KeptByWorkflow, u.workflow+where)
		}
		return nil
	})
}

// stillRuns reports whether a workflow runs. One of a namespace that can't be asked
// may.
func (c *Client) stillRuns(ctx context.Context, u user) (runs bool, where string, err error) {
	from := c.temporal
	if u.namespace != "" && u.namespace != c.namespace {
		where = " in namespace " + u.namespace
		connection, ok := c.temporal.(sdk.Client)
		if !ok {
			return true, where + ", which was not asked", nil
		}
		other, err := sdk.NewClientFromExistingWithContext(ctx, connection, sdk.Options{Namespace: u.namespace})
		if err != nil {
			return false, "", fmt.Errorf("ask namespace %s: %w", u.namespace, err)
		}
		defer other.Close() // the connection stays
		from = other
	}
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	described, err := from.DescribeWorkflowExecution(asking, u.workflow, "")
	switch {
	case errors.As(err, new(*serviceerror.NamespaceNotFound)):
		return true, where + ", which this server does not have", nil
	case errors.As(err, new(*serviceerror.NotFound)):
		return false, "", nil // it ended so long ago that it is forgotten
	case err != nil:
		return false, "", fmt.Errorf("describe %s: %w", u.workflow, err)
	}
	return described.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, where, nil
}

// trainings are those that run, and evaluations: one that was started alone has
// been given a snapshot without anybody's having noted it.
func (n *needs) trainings(ctx context.Context) error {
	for _, workflowType := range []string{models.TrainWorkflow, models.EvaluateWorkflow} {
		found, err := n.client.running(ctx, workflowType)
		if err != nil {
			return err
		}
		if err := many(ctx, found, func(ctx context.Context, id string) error {
			snapshot, err := n.client.snapshotGiven(ctx, id)
			n.keep(snapshot, snapshots.KeptByWorkflow, id)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// snapshotGiven is the snapshot in a workflow's input; empty: it is none of ours,
// or has ended and is forgotten.
func (c *Client) snapshotGiven(ctx context.Context, workflowID string) (string, error) {
	events := c.temporal.GetWorkflowHistory(ctx, workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	event, err := events.Next()
	if errors.As(err, new(*serviceerror.NotFound)) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the input of %s: %w", workflowID, err)
	}
	var input struct {
		Snapshot models.Snapshot `json:"snapshot"`
	}
	if err := c.converter.FromPayloads(event.GetWorkflowExecutionStartedEventAttributes().GetInput(), &input); err != nil {
		return "", fmt.Errorf("read the input of %s: %w", workflowID, err)
	}
	return input.Snapshot.SHA256(), nil
}

// preparations are those that run. One that does not say which it is keeps what
// all have left.
func (n *needs) preparations(ctx context.Context) error {
	found, err := n.client.running(ctx, models.PrepareDataWorkflow)
	if err != nil {
		return err
	}
	var silent []string
	for _, id := range found {
		var status models.PreparationStatus
		if err := n.client.query(ctx, id, &status); err != nil || status.ID == "" {
			silent = append(silent, id)
			continue
		}
		n.found.Preparations[status.ID] = true
		if status.RawID != "" { // it reads what its program has left
			n.found.Preparations[status.RawID] = true
		}
	}
	if len(silent) > 0 {
		n.found.Blind = "it is not known what " + strings.Join(silent, ", ") + " needs"
	}
	return nil
}
