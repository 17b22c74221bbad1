package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// Rollout is the newest rollout of an endpoint.
type Rollout struct {
	WorkflowID string               `json:"workflow_id"`
	RunID      string               `json:"run_id"`
	Page       string               `json:"page,omitempty"` // in Temporal's UI
	Started    time.Time            `json:"started"`
	Closed     time.Time            `json:"closed,omitzero"` // zero: it goes on
	Status     models.RolloutStatus `json:"status"`
	// Result is nil while the rollout goes on, and when it ended without one.
	Result  *models.RolloutResult `json:"result,omitempty"`
	Failure string                `json:"failure,omitempty"` // why it has no result
}

// Rollout finds an endpoint's newest rollout, which may have ended.
func (c *Client) Rollout(ctx context.Context, endpoint string) (Rollout, error) {
	info, err := c.newestRollout(ctx, endpoint)
	if err != nil {
		return Rollout{}, err
	}
	found := Rollout{
		WorkflowID: info.GetExecution().GetWorkflowId(), RunID: info.GetExecution().GetRunId(),
		Started: info.GetStartTime().AsTime(), Page: c.page(info.GetExecution().GetWorkflowId()),
	}
	if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return found, c.query(ctx, found.WorkflowID, &found.Status)
	}
	found.Closed = info.GetCloseTime().AsTime()
	return found, c.readOutcome(ctx, &found)
}

// readOutcome needs no worker: an ended rollout's result is in its history.
func (c *Client) readOutcome(ctx context.Context, r *Rollout) error {
	reading, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var result models.RolloutResult
	err := c.temporal.GetWorkflow(reading, r.WorkflowID, r.RunID).Get(reading, &result)
	var none *temporal.WorkflowExecutionError
	switch {
	case errors.As(err, &none):
		r.Failure = failureOf(r.WorkflowID, err).Error()
	case err != nil:
		return fmt.Errorf("read the result of %s: %w", r.WorkflowID, err)
	default:
		r.Result = &result
		r.Status.Steps, r.Status.Generation, r.Status.Orders = result.Steps, result.Generation, result.Orders
	}
	// What the result lacks, the status has, when a worker is there to tell.
	var status models.RolloutStatus
	if err := c.query(ctx, r.WorkflowID, &status); err == nil {
		r.Status = status
	}
	return nil
}

// newestRollout is the one that started last.
func (c *Client) newestRollout(ctx context.Context, endpoint string) (*workflow.WorkflowExecutionInfo, error) {
	if strings.ContainsAny(endpoint, `'"\`) {
		return nil, fmt.Errorf("%q is not the name of an endpoint", endpoint)
	}
	listed, err := c.rollouts(ctx, fmt.Sprintf(" AND %s = '%s'", models.AttributeEndpoint, endpoint))
	if err != nil {
		return nil, err
	}
	var newest *workflow.WorkflowExecutionInfo
	for _, execution := range listed {
		if newest == nil || execution.GetStartTime().AsTime().After(newest.GetStartTime().AsTime()) {
			newest = execution
		}
	}
	if newest == nil {
		return nil, c.noRollout(ctx, endpoint)
	}
	return newest, nil
}

// rollouts are at most the newest hundred.
func (c *Client) rollouts(ctx context.Context, condition string) ([]*workflow.WorkflowExecutionInfo, error) {
	listed, err := c.list(ctx, fmt.Sprintf("WorkflowType = '%s'", models.RolloutWorkflow)+condition)
	if err != nil {
		return nil, fmt.Errorf("list rollouts at %s: %w", c.address, err)
	}
	return listed, nil
}

// list finds workflows, at most the newest hundred.
func (c *Client) list(ctx context.Context, query string) ([]*workflow.WorkflowExecutionInfo, error) {
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	listed, err := c.temporal.ListWorkflow(asking, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: c.namespace, PageSize: 100, Query: query,
	})
	return listed.GetExecutions(), err
}

// noRollout names what there is instead.
func (c *Client) noRollout(ctx context.Context, endpoint string) error {
	text := fmt.Sprintf("there has been no rollout on endpoint %s at %s", endpoint, c.address)
	var names []string
	listed, err := c.rollouts(ctx, "")
	if err != nil {
		return errors.New(text)
	}
	for _, execution := range listed {
		if name := attributeOf(execution, models.AttributeEndpoint); name != "" {
			names = append(names, name)
		}
	}
	if near := models.Nearest(endpoint, names); near != "" {
		return fmt.Errorf("%s; did you mean %s?", text, near)
	}
	if len(names) > 0 {
		return fmt.Errorf("%s; the last one was on %s", text, names[0])
	}
	return errors.New(text + "; a lifecycle with a deploy section makes one")
}

// attributeOf is a search attribute's text: JSON, in quotes.
func attributeOf(execution *workflow.WorkflowExecutionInfo, name string) string {
	return strings.Trim(string(execution.GetSearchAttributes().GetIndexedFields()[name].GetData()), `"`)
}

// OrderRollout tells the endpoint's rollout what a person wants, and returns
// where it stands then.
func (c *Client) OrderRollout(ctx context.Context, endpoint string, order models.RolloutOrder) (models.RolloutStatus, error) {
	var status models.RolloutStatus
	current, err := c.newestRollout(ctx, endpoint)
	if err != nil {
		return status, err
	}
	id := current.GetExecution().GetWorkflowId()
	if current.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return status, fmt.Errorf("no rollout is under way on endpoint %s: the last one, %s, ended at %s", endpoint, id, moment(current.GetCloseTime().AsTime()))
	}
	err = c.instruct(ctx, instruction{
		id: id, update: models.UpdateRollout, action: string(order.Action), argument: order, look: "mainspring rollout " + endpoint,
	}, &status)
	return status, err
}

// instruction is what a person tells a workflow through an update.
type instruction struct {
	id, update, action string
	argument           any
	look               string // the command that shows what became of it
}

// instruct gives an order, and reads the answer into status.
func (c *Client) instruct(ctx context.Context, o instruction, status any) error {
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	handle, err := c.temporal.UpdateWorkflow(asking, sdk.UpdateWorkflowOptions{
		WorkflowID: o.id, UpdateName: o.update, Args: []any{o.argument}, WaitForStage: sdk.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(asking, status)
	}
	var refused *temporal.ApplicationError
	var gone *serviceerror.NotFound
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return errors.New(refused.Message())
	case errors.As(err, &gone):
		return fmt.Errorf("%s has just ended; `%s` shows how", o.id, o.look)
	case ctx.Err() == nil && (noAnswer(err) || asking.Err() != nil):
		return fmt.Errorf("no worker answers for %s: is `mainspring worker` running? The order may still arrive when one is; `%s` tells: %w", o.id, o.look, err)
	default:
		return fmt.Errorf("%s %s: %w", o.action, o.id, err)
	}
}

// page is a workflow's address in Temporal's UI; empty: no UI is known.
func (c *Client) page(workflowID string) string {
	if c.ui == "" {
		return ""
	}
	return strings.TrimRight(c.ui, "/") + "/namespaces/" + c.namespace + "/workflows/" + url.PathEscape(workflowID)
}
