package client

import (
	"context"
	"errors"
	"fmt"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/mainspring-ml/mainspring/models"
)

// TopUp gives a training with a budget more GPU-seconds, whether it is paused
// or still runs. workflowID is the training's or its lifecycle's. Repeating a
// top-up with the same ID changes nothing. It returns what happened, in words.
func (c *Client) TopUp(ctx context.Context, workflowID string, up models.TopUp) (string, error) {
	if up.GPUSeconds <= 0 {
		return "", fmt.Errorf("a top-up of %d GPU-seconds adds nothing: give a number above 0", up.GPUSeconds)
	}
	training, err := c.trainingOf(ctx, workflowID)
	if err != nil {
		return "", err
	}
	var status models.TrainStatus
	if err := c.query(ctx, training, &status); err != nil {
		return "", err
	}
	if status.Budget == 0 {
		return "", fmt.Errorf("%s has no budget to add to: nothing limits it (train.budget.gpu_seconds)", training)
	}
	if err := c.temporal.SignalWorkflow(ctx, training, "", models.SignalTopUp, up); err != nil {
		return "", fmt.Errorf("top up %s: %w", training, err)
	}
	return fmt.Sprintf("%s: %d GPU-seconds added to a budget of %d, of which its ended attempts have used %.0f",
		training, up.GPUSeconds, status.Budget, status.Account.Leased()), nil
}

// trainingOf finds the running training behind a workflow ID.
func (c *Client) trainingOf(ctx context.Context, workflowID string) (string, error) {
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return "", fmt.Errorf("there is no workflow %s at %s: list them with `temporal workflow list`", workflowID, c.address)
	}
	if err != nil {
		return "", fmt.Errorf("describe %s: %w", workflowID, err)
	}
	execution := description.GetWorkflowExecutionInfo()
	switch typed := execution.GetType().GetName(); {
	case typed == models.LifecycleWorkflow:
		training, err := c.trainingOf(ctx, models.StageID(workflowID, models.StageTrain))
		if err != nil {
			return "", fmt.Errorf("lifecycle %s is not training now: %w", workflowID, err)
		}
		return training, nil
	case typed != models.TrainWorkflow:
		return "", fmt.Errorf("%s is a %s; name a lifecycle or its training", workflowID, typed)
	case execution.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return "", fmt.Errorf("%s has ended; a top-up helps only a training that runs or is paused", workflowID)
	default:
		return workflowID, nil
	}
}
