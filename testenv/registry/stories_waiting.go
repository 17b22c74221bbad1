package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/models"
)

// movedAlias: a promotion waits and says why, until a person decides.
func movedAlias(ctx context.Context, slot *Slot) (string, error) {
	const model = "moved-alias"
	want, _, err := slot.release(ctx, model, 2)
	if err != nil {
		return "", err
	}
	byHand := want.Aliases[models.AliasPrevious]
	if err := slot.stack.MLflow.SetAlias(ctx, model, models.AliasChampion, byHand); err != nil {
		return "", err
	}
	run, err := slot.Begin(ctx, "3", specOf(model, 3, true))
	if err != nil {
		return "", err
	}
	var waiting models.StewardStatus
	if err := eventually(ctx, time.Minute, func() error {
		waiting, err = slot.Steward(ctx, model)
		if err == nil && (len(waiting.Differences) == 0 || waiting.Waiting == "") {
			err = fmt.Errorf("it does not say that it waits: %q, %+v", waiting.Waiting, waiting.Differences)
		}
		return err
	}); err != nil {
		return "", err
	}
	time.Sleep(2 * time.Second) // in which nothing must happen
	found, err := slot.stack.MLflow.GetRegisteredModel(ctx, model)
	if err == nil && found.Aliases[models.AliasChampion] != byHand {
		err = fmt.Errorf("the alias that a person moved to version %s was overwritten: %v", byHand, found.Aliases)
	}
	if err != nil {
		return "", err
	}
	if err := slot.restore(ctx, model); err != nil {
		return "", err
	}
	var result models.LifecycleResult
	if err := run.Get(ctx, &result); err != nil {
		return "", err
	}
	if !result.Promoted {
		return "", fmt.Errorf("it was not promoted after the restoration: %s", result.Reason)
	}
	want.promote(model, 3, result)
	return waiting.Waiting, slot.Verify(ctx, model, want)
}

// restore decides as a person would with `mainspring aliases --restore`.
func (s *Slot) restore(ctx context.Context, model string) error {
	handle, err := s.Temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: models.StewardID(model), UpdateName: models.UpdateAliases, WaitForStage: client.WorkflowUpdateStageCompleted,
		Args: []any{models.AliasOrder{Action: models.AliasRestore, By: "somebody", Reason: "the story wants it"}},
	})
	if err != nil {
		return err
	}
	var report models.AliasReport
	return handle.Get(ctx, &report)
}

// mlflowDown: the lifecycle waits, `mainspring status` says for what, and it
// goes on by itself.
func mlflowDown(ctx context.Context, slot *Slot, outage time.Duration) (string, error) {
	const model = "mlflow-down"
	want, _, err := slot.release(ctx, model, 1)
	if err != nil {
		return "", err
	}
	slot.Front.Down(true)
	run, err := slot.Begin(ctx, "2", specOf(model, 2, true))
	if err != nil {
		return "", err
	}
	time.Sleep(outage)
	said, err := slot.Status(ctx, run.GetID())
	if err == nil {
		err = mentions(said, "MLflow", "no answer")
	}
	description, failed := slot.Temporal.DescribeWorkflowExecution(ctx, run.GetID(), "")
	if failed == nil && description.GetWorkflowExecutionInfo().GetCloseTime() != nil {
		failed = errors.New("the lifecycle ended while MLflow was down")
	}
	slot.Front.Down(false)
	if err := errors.Join(err, failed); err != nil {
		return "", err
	}
	var result models.LifecycleResult
	if err := run.Get(ctx, &result); err != nil {
		return "", err
	}
	if !result.Promoted {
		return "", fmt.Errorf("it was not promoted: %s", result.Reason)
	}
	want.promote(model, 2, result)
	return strings.TrimSpace(said), slot.Verify(ctx, model, want)
}
