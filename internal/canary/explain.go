package canary

import (
	"fmt"
	"sort"

	"github.com/mainspring-ml/mainspring/models"
)

// explain says in a sentence with figures what led to the verdict, or what
// would.
func (c Config) explain(v models.CanaryVerdict, steps []models.CanaryStep) string {
	if len(steps) == 0 {
		return "no traffic goes to the canary yet"
	}
	step := steps[len(steps)-1]
	weight := 100 * step.Weight
	arms := fmt.Sprintf("failed requests: canary %s, champion %s", share(step.Canary), share(step.Champion))
	switch v.Verdict {
	case models.VerdictFail:
		return fmt.Sprintf("harm at %.3g %% of the traffic: %s; evidence %.3g, threshold %.3g", weight, arms, v.Harm, v.HarmThreshold)
	case models.VerdictPass:
		return fmt.Sprintf("safe at %.3g %% of the traffic: %s; evidence %.3g, threshold %.3g", weight, arms, v.Safe, v.SafeThreshold)
	default:
		return fmt.Sprintf("undecided at %.3g %% of the traffic: %s; evidence of safety %.3g of %.3g, of harm %.3g of %.3g; %s",
			weight, arms, v.Safe, v.SafeThreshold, v.Harm, v.HarmThreshold, c.outlook(step))
	}
}

func share(arm models.ArmCounts) string {
	if arm.Requests == 0 {
		return "none sent yet"
	}
	return fmt.Sprintf("%d of %d (%.3g %%)", arm.Errors, arm.Requests, 100*float64(arm.Errors)/float64(arm.Requests))
}

func (c Config) outlook(step models.CanaryStep) string {
	more, ok := c.cleanRequests(step)
	if !ok {
		return "no foreseeable number of good answers would prove it safe"
	}
	return fmt.Sprintf("canary requests still needed if none fails: %d", more)
}

// cleanRequests is the least number of further canary requests, all answered,
// that would pass the step. Evidence of safety grows with each.
func (c Config) cleanRequests(step models.CanaryStep) (int, bool) {
	const limit = 10_000_000
	relative := c.safeRelative(step)
	passes := func(more int) bool { return c.safeAfter(step, relative, more) >= 1/c.Beta }
	reach := 64
	for ; reach < limit && !passes(reach); reach *= 2 {
	}
	if !passes(reach) {
		return 0, false
	}
	return sort.Search(reach, passes), true
}
