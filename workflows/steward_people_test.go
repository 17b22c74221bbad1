package workflows_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// byAda is the end of a rollout by a person, at a weight and with what the judge
// had said by then.
func byAda(verdict, judged models.Verdict, weight float64) models.RolloutResult {
	step := models.CanaryStep{Weight: weight, Generation: 6, Verdict: models.CanaryVerdict{Verdict: judged}}
	return models.RolloutResult{
		Verdict: verdict, By: "ada", Reason: "decided by ada", Generation: 6, Steps: []models.CanaryStep{step},
		Exposed: models.Exposure{Requests: 100, Total: 1000, Share: 0.1},
		Orders: []models.RolloutOrder{
			{Action: models.RolloutPause, By: "bob", Reason: "lunch", At: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)},
			{Action: models.RolloutPromote, By: "ada"},
		},
	}
}

// TestTheRecordSaysWhoDecidedAgainstWhichEvidence, and the route is treated as
// the spec of whoever owns the traffic then says.
func TestTheRecordSaysWhoDecidedAgainstWhichEvidence(t *testing.T) {
	for name, test := range map[string]struct {
		result   models.RolloutResult
		action   models.Action
		owner    string
		evidence models.Verdict
	}{
		"promoted undecided":         {byAda(models.VerdictPass, models.VerdictInconclusive, 0.5), models.ActionPromoted, "2", models.VerdictInconclusive},
		"promoted at the end":        {byAda(models.VerdictPass, models.VerdictPass, 0.5), models.ActionPromoted, "2", models.VerdictPass},
		"promoted at an early step":  {byAda(models.VerdictPass, models.VerdictPass, 0.1), models.ActionPromoted, "2", models.VerdictInconclusive},
		"promoted after copies only": {byAda(models.VerdictPass, models.VerdictPass, 0), models.ActionPromoted, "2", models.VerdictInconclusive},
		"aborted though safe":        {byAda(models.VerdictFail, models.VerdictPass, 0.5), models.ActionRolledBack, "1", models.VerdictPass},
		"aborted undecided":          {byAda(models.VerdictFail, models.VerdictInconclusive, 0.5), models.ActionRolledBack, "1", models.VerdictInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.route = models.Route{Generation: 6}
			h.judging(test.result)
			one, two := version("1"), version("2")
			one.Spec.Deploy.Traffic.Timeout, two.Spec.Deploy.Traffic.Timeout = models.Duration(time.Second), models.Duration(2*time.Second)
			one.Spec.Deploy.Canary.Latency = &models.LatencySpec{SLO: models.Duration(10 * time.Millisecond)}
			two.Spec.Deploy.Canary.Latency = &models.LatencySpec{SLO: models.Duration(20 * time.Millisecond)}
			h.at(time.Second, models.SignalRollOut, models.RollOutRequest{RequestID: "r", ReplyTo: "l", Version: "2"})
			h.runSteward(h.holding(models.StewardState{Model: "m", Champion: "1", Challenger: "2", Versions: []models.ModelVersion{one, two}}), time.Minute)

			records := status[models.StewardStatus](t, h).Records
			requireChained(t, records)
			last, pause := records[len(records)-1], records[slices.Index(actionsOf(records), models.ActionRolloutOrdered)]
			require.Equal(t, test.action, last.Action)
			require.Equal(t, "ada", last.By)
			require.Equal(t, test.evidence, last.Evidence.Verdict)
			require.Equal(t, "decided by ada; exposed 10 % of 1,000 requests", last.Reason)
			require.Equal(t, "bob", pause.By)
			require.Contains(t, pause.Reason, "lunch")

			owner := map[string]models.ModelVersion{"1": one, "2": two}[test.owner]
			require.Equal(t, []models.Arm{{Version: test.owner, Role: models.RoleChampion, Weight: 1}}, h.route.Arms)
			require.Equal(t, int64(7), h.route.Generation)
			require.Equal(t, owner.Spec.Deploy.Traffic.WithDefaults(), h.route.Traffic)
			require.Equal(t, owner.Spec.Deploy.Canary.Latency.SLO, h.route.SlowAbove)
			require.Equal(t, owner.Spec.Data.Task, h.route.Task)
		})
	}
}

func TestAPromotionAheadOfTheEvidenceSaysSo(t *testing.T) {
	h := newHouse(t)
	h.blocksOf(sane(0))
	h.updateAt(30*time.Second, models.UpdateRollout, ordered(models.RolloutPause))
	h.updateAt(2*time.Hour, models.UpdateRollout, ordered(models.RolloutPromote))
	result := runRollout(t, h, blockInput())
	require.Equal(t, models.VerdictPass, result.Steps[0].Verdict.Verdict)
	require.Len(t, result.Steps, 1)
	require.Contains(t, result.Reason, "promoted by ada, who says: hotfix; ahead of the evidence at 10 %: safe")
}
