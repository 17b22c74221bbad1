package client

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/models"
)

// observation is everything a look at a lifecycle found. Parts that are not
// there yet, or not any more, are nil.
type observation struct {
	Status  models.LifecycleStatus
	Prepare *models.PreparationStatus
	Train   *models.TrainStatus
	Ranks   *models.RankProgress // of the host that is furthest
	Rollout *models.RolloutStatus
	// Steward is looked at while the lifecycle waits for it.
	Steward *models.StewardStatus
	// Devices says what the training's lease waits for; empty: nothing.
	Devices string
	// Retrying are the activities that failed and will be tried again, such as
	// while S3 or MLflow do not answer, by name.
	Retrying map[string]string
}

// observe looks at a lifecycle and at the child its stage runs in.
func (c *Client) observe(ctx context.Context, workflowID string) (observation, error) {
	status, err := c.Status(ctx, workflowID)
	if err != nil {
		return observation{}, err
	}
	seen := observation{Status: status, Retrying: map[string]string{}}
	switch status.Stage {
	case models.StageTrain:
		err = c.observeTraining(ctx, models.StageID(workflowID, models.StageTrain), &seen)
	case models.StageRollout:
		err = c.observeRollout(ctx, status.Spec.Model.Name, &seen)
	case models.StagePrepare:
		err = c.observePreparation(ctx, models.StageID(workflowID, status.Stage), &seen)
	case models.StageEvaluate:
		_, err = c.pending(ctx, models.StageID(workflowID, status.Stage), &seen)
	case models.StageRegister, models.StageApprove:
		err = c.observeSteward(ctx, status.Spec.Model.Name, &seen)
	default:
		// Before the first stage and after the last, the status says it all.
	}
	if err == nil || absent(err) {
		_, err = c.pending(ctx, workflowID, &seen)
	}
	if absent(err) {
		return seen, nil
	}
	return seen, err
}

// pending returns a workflow's pending activities, and notes in seen those that
// failed and will be tried again.
func (c *Client) pending(ctx context.Context, workflowID string, seen *observation) ([]*workflow.PendingActivityInfo, error) {
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return nil, err
	}
	for _, activity := range description.GetPendingActivities() {
		if failure := activity.GetLastFailure(); failure != nil {
			seen.Retrying[activity.GetActivityType().GetName()] = failure.GetMessage()
		}
	}
	return description.GetPendingActivities(), nil
}

// absent reports whether a child is not there (any more): stages begin before
// and end after their child.
func absent(err error) bool {
	var missing *serviceerror.NotFound
	return errors.As(err, &missing)
}

func (c *Client) observePreparation(ctx context.Context, workflowID string, seen *observation) error {
	var status models.PreparationStatus
	if err := c.query(ctx, workflowID, &status); err != nil {
		return err
	}
	seen.Prepare = &status
	_, err := c.pending(ctx, workflowID, seen)
	return err
}

func (c *Client) observeTraining(ctx context.Context, workflowID string, seen *observation) error {
	var status models.TrainStatus
	if err := c.query(ctx, workflowID, &status); err != nil {
		return err
	}
	seen.Train = &status
	if err := c.observeLease(ctx, workflowID, seen); err != nil {
		return err
	}
	activities, err := c.pending(ctx, workflowID, seen)
	if err != nil {
		return err
	}
	for _, activity := range activities {
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

// observeLease asks the pool why a training has no devices yet.
func (c *Client) observeLease(ctx context.Context, holder string, seen *observation) error {
	if seen.Train.Waiting == "" {
		return nil
	}
	var pool models.PoolStatus
	err := c.query(ctx, models.PoolID(seen.Status.Spec.Train.Resources.Pool), &pool)
	if absent(err) {
		seen.Devices = models.PoolID(seen.Status.Spec.Train.Resources.Pool) + " is not there yet: start `mainspring agent` on a host"
		return nil
	}
	for _, request := range pool.Waiting {
		if request.Holder == holder {
			seen.Devices = pool.Reasons[request.RequestID]
		}
	}
	return err
}

// runRanks is the activity type of models.Hosts.RunRanks.
const runRanks = "RunRanks"

func (c *Client) observeSteward(ctx context.Context, model string, seen *observation) error {
	var steward models.StewardStatus
	if err := c.query(ctx, models.StewardID(model), &steward); err != nil {
		return err
	}
	seen.Steward = &steward
	_, err := c.pending(ctx, models.StewardID(model), seen)
	return err
}

// observeRollout finds the rollout by the steward's challenger; the lifecycle
// knows its version only when it has ended.
func (c *Client) observeRollout(ctx context.Context, model string, seen *observation) error {
	if err := c.observeSteward(ctx, model, seen); err != nil {
		return err
	}
	steward := seen.Steward
	if steward.Challenger == "" {
		return nil
	}
	var rollout models.RolloutStatus
	if err := c.query(ctx, models.RolloutID(model, steward.Challenger), &rollout); err != nil {
		return err
	}
	seen.Rollout = &rollout
	_, err := c.pending(ctx, models.RolloutID(model, steward.Challenger), seen)
	return err
}
