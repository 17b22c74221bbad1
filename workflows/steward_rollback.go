package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// mayRollBack refuses an order that can't be carried out as the model is now.
func (s *steward) mayRollBack(order models.RollBackOrder) error {
	if s.rolledBack(order.RequestID) != nil {
		return nil // gets its answer again
	}
	if err := accountable(order.By, order.Reason); err != nil {
		return err
	}
	return s.mayCrown(s.target(order))
}

// target is the version to go back to.
func (s *steward) target(order models.RollBackOrder) string {
	if order.To != "" {
		return order.To
	}
	return s.state.Previous
}

// mayCrown says why a version can't be made champion; nil: it can.
func (s *steward) mayCrown(version string) error {
	refuse := func(message, hint string) error {
		return failure(&models.Error{Kind: models.KindNotFound, Subject: "model " + s.state.Model, Message: message, Hint: hint})
	}
	v := s.version(version)
	switch {
	case version == "":
		return refuse("there is no previous champion", s.endRollout()+"name the version with --to")
	case version == s.state.Champion:
		return refuse("version "+version+" is the champion", s.endRollout()+"name another one with --to")
	case v == nil:
		return refuse("version "+version+" is not known to the steward", "`mainspring audit` lists what it registered; it keeps the newest")
	case v.Deleted:
		return refuse("version "+version+" was deleted in MLflow", "name another one with --to")
	case s.standing(version) >= 0:
		return refuse("version "+version+" waits for an approval", "approve it first, or name another one with --to")
	case v.Approval != nil && v.Approval.Verdict != models.VerdictPass:
		return refuse("version "+version+" was not approved: "+decided(*v.Approval), "name another one with --to")
	case unapproved(*v):
		return refuse("version "+version+" can't take over: its spec asks for a person's approval, and there is none",
			"name another one with --to, or have a lifecycle ask again")
	case s.withoutEndpoint(*v) != "":
		return refuse("version "+version+" can't take over: "+s.withoutEndpoint(*v), "name another one with --to")
	default:
		return nil
	}
}

// endRollout tells how to end the rollout that is under way, if there is one: who
// wants the champion to have all traffic again may mean that.
func (s *steward) endRollout() string {
	for _, lifecycle := range workflow.DeterministicKeys(s.releases) {
		return "to end the rollout that is under way: temporal workflow cancel --workflow-id " + lifecycle + "; or "
	}
	return ""
}

// orderRollBack makes the version champion again, in its turn. The order is
// looked at again then: the model may have changed while it waited.
func (s *steward) orderRollBack(ctx workflow.Context, order models.RollBackOrder) (models.RollBackResult, error) {
	if done := s.rolledBack(order.RequestID); done != nil {
		return done.Result, nil
	}
	var result models.RollBackResult
	to := s.target(order)
	for i, task := range s.state.Queue {
		if task.Promote != nil && task.Promote.Request.Version != to {
			s.state.Queue[i] = takenBack(*task.Promote, "an operator rolls back to version "+to)
		}
	}
	err := s.inTurn(ctx, "an operator rolls back to version "+to, func(ctx workflow.Context) (err error) {
		if done := s.rolledBack(order.RequestID); done != nil {
			result = done.Result
			return nil
		}
		result, err = s.crown(ctx, coronation{to: to, action: models.ActionRolledBack, by: order.By, why: order.Reason})
		if err != nil {
			s.record(ctx, models.Record{Action: models.ActionRefused, Version: to, By: order.By, Reason: "not rolled back: " + reason(err)})
			return err
		}
		s.state.RolledBack = append(s.state.RolledBack, models.RolledBack{RequestID: order.RequestID, Result: result})
		return nil
	})
	s.show(ctx)
	return result, err
}

func (s *steward) rolledBack(request string) *models.RolledBack {
	i := slices.IndexFunc(s.state.RolledBack, func(done models.RolledBack) bool { return request != "" && done.RequestID == request })
	if i < 0 {
		return nil
	}
	return &s.state.RolledBack[i]
}
