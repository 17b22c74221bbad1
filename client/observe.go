package client

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/models"
)

// observation is everything a look at a lifecycle found. Parts that are not
// there yet, or not any more, are nil.
type observation struct {
	Status  models.LifecycleStatus
	Train   *models.TrainStatus
	Ranks   *models.RankProgress // of the host that is furthest
	Rollout *models.RolloutStatus
}

// observe looks at a lifecycle and at the child its stage runs in.
func (c *Client) observe(ctx context.Context, workflowID string) (observation, error) {
	status, err := c.Status(ctx, workflowID)
	if err != nil {
		return observation{}, err
	}
	seen := observation{Status: status}
	switch status.Stage {
	case models.StageTrain:
		err = c.observeTraining(ctx, models.StageID(workflowID, models.StageTrain), &seen)
	case models.StageRollout:
		err = c.observeRollout(ctx, status.Spec.Model.Name, &seen)
	default:
		// The other stages are short, and their own status says it all.
	}
	if absent(err) {
		return seen, nil
	}
	return seen, err
}

// absent reports whether a child is not there (any more): stages begin before
// and end after their child.
func absent(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing)
}

func (c *Client) observeTraining(ctx context.Context, workflowID string, seen *observation) error {
	var status models.TrainStatus
	if err := c.query(ctx, workflowID, &status); err != nil {
		return err
	}
	seen.Train = &status
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return err
	}
	for _, activity := range description.GetPendingActivities() {
		var progress models.RankProgress
		details := activity.GetHeartbeatDetails()
		// Other activities' details have another form; they are not progress.
		if activity.GetActivityType().GetName() != runRanks || details == nil ||
			converter.GetDefaultDataConverter().FromPayloads(details, &progress) != nil {
			continue
		}
		if seen.Ranks == nil || progress.Step > seen.Ranks.Step {
			seen.Ranks = &progress
		}
	}
	return nil
}

// runRanks is the activity type of models.Hosts.RunRanks.
const runRanks = "RunRanks"

// observeRollout finds the rollout by the steward's challenger; the lifecycle
// knows its version only when it has ended.
func (c *Client) observeRollout(ctx context.Context, model string, seen *observation) error {
	var steward models.StewardStatus
	if err := c.query(ctx, models.StewardID(model), &steward); err != nil {
		return err
	}
	if steward.Challenger == "" {
		return nil
	}
	var rollout models.RolloutStatus
	if err := c.query(ctx, models.RolloutID(model, steward.Challenger), &rollout); err != nil {
		return err
	}
	seen.Rollout = &rollout
	return nil
}
