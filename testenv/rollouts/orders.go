package rollouts

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
)

// Status asks a rollout how it stands.
func (b *Bench) Status(ctx context.Context, model, version string) (status models.RolloutStatus, err error) {
	err = b.Laptop.Query(ctx, models.RolloutID(model, version), &status)
	return status, err
}

// AwaitStatus waits until a rollout stands as wanted.
func (b *Bench) AwaitStatus(ctx context.Context, model, version string, wanted func(models.RolloutStatus) bool) (status models.RolloutStatus, err error) {
	err = laptop.Eventually(laptop.Patience, func() (bool, any) {
		if ctx.Err() != nil {
			return true, nil
		}
		status, err = b.Status(ctx, model, version)
		return err == nil && wanted(status), []any{status, err}
	})
	if err == nil {
		err = ctx.Err()
	}
	return status, err
}

// AwaitStep waits until a release's rollout has published its first route.
func (b *Bench) AwaitStep(ctx context.Context, r Release) (version string, err error) {
	var lifecycle models.LifecycleStatus
	err = laptop.Eventually(laptop.Patience, func() (bool, any) {
		err := b.Laptop.Query(ctx, r.ID(), &lifecycle)
		return ctx.Err() != nil || err == nil && lifecycle.Stage == models.StageRollout && lifecycle.Version != "", []any{lifecycle.Stage, err}
	})
	if err != nil {
		return "", fmt.Errorf("%s comes to no rollout: %w", r.ID(), err)
	}
	_, err = b.AwaitStatus(ctx, r.Endpoint, lifecycle.Version, func(s models.RolloutStatus) bool { return len(s.Steps) > 0 })
	return lifecycle.Version, err
}

// Order tells a rollout something, as any client of Temporal can.
func (b *Bench) Order(ctx context.Context, model, version string, order models.RolloutOrder) (status models.RolloutStatus, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	handle, err := b.Laptop.Temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: models.RolloutID(model, version), UpdateName: models.UpdateRollout,
		Args: []any{order}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &status)
	}
	return status, err
}
