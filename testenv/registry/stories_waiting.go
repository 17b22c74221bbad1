package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
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
	said, result, err := slot.promotedAfterRestoration(ctx, model, 3, byHand)
	if err != nil {
		return "", err
	}
	want.promote(model, 3, result)
	return said, slot.Verify(ctx, model, want)
}

// newSteward: the new steward takes the claim over. It knows no champion, so it
// overwrites none until a person decides.
func newSteward(ctx context.Context, slot *Slot) (string, error) {
	const model = "new-steward"
	want, last, err := slot.release(ctx, model, 2)
	if err != nil {
		return "", err
	}
	if err := slot.Temporal.TerminateWorkflow(ctx, models.StewardID(model), "", "the story wants it"); err != nil {
		return "", err
	}
	said, result, err := slot.promotedAfterRestoration(ctx, model, 3, last.Version)
	if err != nil {
		return "", err
	}
	want.promote(model, 3, result)
	want.Aliases = map[string]string{models.AliasChampion: result.Version}
	status, err := slot.Steward(ctx, model)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(status.Records, func(r models.Record) bool {
		return r.Action == models.ActionClaimed && strings.Contains(r.Reason, "taken over from")
	}) {
		return "", fmt.Errorf("the record does not tell of the predecessor: %v", told(status.Records))
	}
	return said, slot.Verify(ctx, model, want)
}

// promotedAfterRestoration starts a lifecycle whose promotion has to wait, with
// the champion's alias where it is, and lets a person restore the record.
func (s *Slot) promotedAfterRestoration(ctx context.Context, model string, day int, champion string) (said string, result models.LifecycleResult, err error) {
	run, err := s.Begin(ctx, strconv.Itoa(day), specOf(model, day, true))
	if err != nil {
		return "", result, err
	}
	var waiting models.StewardStatus
	if err := namespace.Eventually(ctx, 2*time.Minute, func() error {
		waiting, err = s.Steward(ctx, model)
		if err == nil && (len(waiting.Differences) == 0 || waiting.Waiting == "") {
			err = fmt.Errorf("it does not say that it waits: %q, %+v", waiting.Waiting, waiting.Differences)
		}
		return err
	}); err != nil {
		return "", result, err
	}
	time.Sleep(2 * time.Second) // in which nothing must happen
	found, err := s.stack.MLflow.GetRegisteredModel(ctx, model)
	if err == nil && found.Aliases[models.AliasChampion] != champion {
		err = fmt.Errorf("the champion's alias, at version %s, was overwritten: %v", champion, found.Aliases)
	}
	if err == nil {
		err = s.restore(ctx, model)
	}
	if err == nil {
		err = run.Get(ctx, &result)
	}
	if err == nil && !result.Promoted {
		err = fmt.Errorf("it was not promoted after the restoration: %s", result.Reason)
	}
	return waiting.Waiting, result, err
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
