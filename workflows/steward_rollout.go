package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// told is a rollout's reason, with how much of the traffic met the version.
func told(result models.RolloutResult) string {
	if e := exposed(result.Exposed); e != "" {
		return result.Reason + "; " + e
	}
	return result.Reason
}

// judged is what the judge said when a person decided in its place; empty: the
// judge decided. What passed an earlier step was not proven at the last weight.
func judged(result models.RolloutResult, candidate models.ModelVersion) models.Verdict {
	n := len(result.Steps)
	switch {
	case result.By == "":
		return ""
	case n == 0 || candidate.Spec.Deploy == nil:
		return models.VerdictInconclusive
	}
	last, weights := result.Steps[n-1], candidate.Spec.Deploy.Canary.WithDefaults().Steps
	if last.Verdict.Verdict == models.VerdictPass && last.Weight < weights[len(weights)-1]/100 {
		return models.VerdictInconclusive
	}
	return last.Verdict.Verdict
}

// recordOrders notes who paused and resumed a rollout. Who ended it is in the
// record of what came of it.
func (s *steward) recordOrders(ctx workflow.Context, version string, result models.RolloutResult) {
	for _, order := range result.Orders {
		switch order.Action {
		case models.RolloutPause, models.RolloutResume:
			why := fmt.Sprintf("%s at %s", order.Action, moment(order.At))
			if order.Reason != "" {
				why += ": " + order.Reason
			}
			s.record(ctx, models.Record{Action: models.ActionRolloutOrdered, Version: version, By: order.By, Reason: why})
		case models.RolloutAbort, models.RolloutPromote:
		}
	}
}
