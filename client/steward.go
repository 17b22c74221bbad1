package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// Steward asks the steward of a model for everything that it knows. A model
// without one is an error that names models of a similar name.
func (c *Client) Steward(ctx context.Context, model string) (models.StewardStatus, error) {
	var status models.StewardStatus
	err := c.query(ctx, models.StewardID(model), &status)
	if absent(err) {
		return status, c.noSteward(ctx, model)
	}
	return status, err
}

// Decide answers the question whether a version may be released.
func (c *Client) Decide(ctx context.Context, model string, decision models.ApprovalDecision) (models.Approval, error) {
	var approval models.Approval
	err := c.order(ctx, model, order{update: models.UpdateDecide, argument: decision}, &approval)
	return approval, err
}

// RollBack makes an earlier version the champion again and waits until it is.
// The same RequestID is carried out once, however often it is sent. tell gets
// what the steward does meanwhile; nil: nobody wants to know.
func (c *Client) RollBack(ctx context.Context, model string, back models.RollBackOrder, tell func(string)) (models.RollBackResult, error) {
	var result models.RollBackResult
	err := c.order(ctx, model, order{update: models.UpdateRollBack, argument: back, id: back.RequestID, tell: tell}, &result)
	return result, err
}

// Aliases compares a model's aliases in MLflow with the record and, unless the
// action is to look, does something about the differences.
func (c *Client) Aliases(ctx context.Context, model string, what models.AliasOrder, tell func(string)) (models.AliasReport, error) {
	var report models.AliasReport
	err := c.order(ctx, model, order{update: models.UpdateAliases, argument: what, tell: tell}, &report)
	return report, err
}

// order is an update that a person sends to a steward.
type order struct {
	update   string
	argument any
	id       string       // of the update; empty: a new one
	tell     func(string) // what the steward does meanwhile; nil: nothing is told
}

// order waits for as long as the steward needs, once it has taken the order.
func (c *Client) order(ctx context.Context, model string, o order, result any) error {
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	handle, err := c.temporal.UpdateWorkflow(asking, sdk.UpdateWorkflowOptions{
		WorkflowID: models.StewardID(model), UpdateID: o.id, UpdateName: o.update, Args: []any{o.argument},
		WaitForStage: sdk.WorkflowUpdateStageAccepted,
	})
	taken := err == nil
	if taken {
		err = c.await(ctx, model, handle, o.tell, result)
	}
	var refused *temporal.ApplicationError
	switch {
	case err == nil || errors.Is(err, ErrStoppedFollowing):
		return err
	case errors.As(err, &refused):
		return errors.New(refused.Message())
	case absent(err):
		return c.noSteward(ctx, model)
	case !taken && ctx.Err() == nil && (noAnswer(err) || asking.Err() != nil):
		return fmt.Errorf("no worker answers for %s: is `mainspring worker` running? The order may still arrive when one is; `mainspring audit %s` tells: %w",
			models.StewardID(model), model, err)
	default:
		return fmt.Errorf("%s %s: %w", o.update, model, err)
	}
}

// await waits for the end of an order. When ctx ends first, the order goes on.
func (c *Client) await(ctx context.Context, model string, handle sdk.WorkflowUpdateHandle, tell func(string), result any) error {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- handle.Get(waiting, result) }()
	ticker := time.NewTicker(c.poll)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				return ErrStoppedFollowing
			}
			return err
		case <-ctx.Done():
			return ErrStoppedFollowing
		case <-ticker.C:
			if tell == nil {
				continue
			}
			// A look that fails tells nothing: the order does not depend on it.
			if now := c.doing(ctx, model); now != "" && now != told {
				told = now
				tell(now)
			}
		}
	}
}

// doing is what a steward does or waits for; empty: nothing, or nobody answers.
func (c *Client) doing(ctx context.Context, model string) string {
	var status models.StewardStatus
	if err := c.query(ctx, models.StewardID(model), &status); err != nil {
		return ""
	}
	now := cmp.Or(status.Doing, status.Waiting)
	if why := c.unanswered(ctx, models.StewardID(model)); now != "" && why != "" {
		now += "; " + why
	}
	return now
}

// patience is how long an activity of a steward may run before a person who
// waits is told: most end in a moment.
const patience = 10 * time.Second

// unanswered says which of a workflow's activities is tried again, and why, or
// has no answer yet, such as while MLflow hangs.
func (c *Client) unanswered(ctx context.Context, workflowID string) string {
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return ""
	}
	for _, activity := range description.GetPendingActivities() {
		name := activity.GetActivityType().GetName()
		if failure := activity.GetLastFailure(); failure != nil {
			return name + " waits and is tried again: " + failure.GetMessage()
		}
		if began := activity.GetLastStartedTime(); began != nil && time.Since(began.AsTime()) > patience {
			return name + " has had no answer for longer than " + patience.String()
		}
	}
	return ""
}

// noSteward says why nobody answers for a model: it was never registered, or
// its steward was ended from outside.
func (c *Client) noSteward(ctx context.Context, model string) error {
	id := models.StewardID(model)
	description, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	if info := description.GetWorkflowExecutionInfo(); err == nil && info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return fmt.Errorf("%s, the steward of %s, has ended (%s): the model's next lifecycle starts it anew", id, model,
			strings.ToLower(info.GetStatus().String()))
	}
	text := fmt.Sprintf("there is no model %s at %s: nothing has been registered under this name", model, c.address)
	known := c.modelNames(ctx)
	if near := models.Nearest(model, known); near != "" {
		return fmt.Errorf("%s; did you mean %s?", text, near)
	}
	if len(known) > 0 {
		const most = 10
		if more := len(known) - most; more > 0 {
			return fmt.Errorf("%s; there are %s and %d more", text, strings.Join(known[:most], ", "), more)
		}
		return fmt.Errorf("%s; there are %s", text, strings.Join(known, ", "))
	}
	return errors.New(text)
}

// modelNames are some of the models that have a steward. It is for a hint, so
// a failure is no names.
func (c *Client) modelNames(ctx context.Context) []string {
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	listed, err := c.temporal.ListWorkflow(asking, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: c.namespace, PageSize: 200,
		Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", models.ModelStewardWorkflow),
	})
	if err != nil {
		return nil
	}
	var names []string
	for _, execution := range listed.GetExecutions() {
		if name, ok := strings.CutPrefix(execution.GetExecution().GetWorkflowId(), models.StewardID("")); ok {
			names = append(names, name)
		}
	}
	return names
}
