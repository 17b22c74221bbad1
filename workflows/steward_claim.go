package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// claim makes sure that this steward is the model's only writer in MLflow,
// before it writes. It fails with KindNotOwner when another one is.
func (s *steward) claim(ctx workflow.Context) error {
	if err := s.aliases.Lock(ctx); err != nil {
		return err
	}
	defer s.aliases.Unlock()
	return s.ownLocked(ctx)
}

// ownLocked claims the model unless it is held already.
func (s *steward) ownLocked(ctx workflow.Context) error {
	if s.state.Owner != "" {
		return nil
	}
	return s.claimLocked(ctx, models.AliasOrder{By: s.workflowID(ctx), Reason: "it is about to write"})
}

// claimLocked claims the model; action take_over replaces another namespace's
// owner. What the aliases are is compared at once: a steward that began anew
// with an empty record must not take MLflow's aliases for its own.
func (s *steward) claimLocked(ctx workflow.Context, order models.AliasOrder) error {
	info := workflow.GetInfo(ctx)
	request := models.ClaimModelRequest{
		Model: s.state.Model, Steward: info.WorkflowExecution.ID + "/" + info.FirstRunID,
		TakeOver: order.Action == models.AliasTakeOver, ModelNote: s.description(),
	}
	result, err := call(quick(ctx, "Claim the model"), models.Registry.ClaimModel, request)
	if err != nil {
		return err
	}
	why := "claimed by " + result.Owner + ": " + order.Reason
	if result.Before != "" && result.Before != result.Owner {
		why = "taken over from " + result.Before + " by " + result.Owner + ": " + order.Reason
	}
	if s.state.Owner != result.Owner {
		s.state.Owner = result.Owner
		s.record(ctx, models.Record{Action: models.ActionClaimed, By: order.By, Reason: why})
	}
	if len(result.Aliases) == 0 && len(s.recorded()) == 0 {
		return nil // a new model: nothing can differ
	}
	return s.compareNow(ctx)
}

// description of the model, as the newest spec has it.
func (s *steward) description() string {
	if s.current != nil && s.current.Register != nil {
		return s.current.Register.Spec.Model.Description
	}
	if n := len(s.state.Versions); n > 0 {
		return s.state.Versions[n-1].Spec.Model.Description
	}
	return ""
}

func (s *steward) workflowID(ctx workflow.Context) string {
	return workflow.GetInfo(ctx).WorkflowExecution.ID
}
