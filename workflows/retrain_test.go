package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

var scheduledAt = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

func retrainInput() models.RetrainInput {
	return models.RetrainInput{Model: "m", Endpoint: "flights", Kind: models.TriggerSchedule, Reason: "by schedule, every 7d"}
}

// says plays the steward's words.
func (h *house) says(after time.Duration, settled models.RetrainSettled) {
	if settled.RequestID == "" {
		settled.RequestID = testWorkflowID
	}
	h.at(after, models.SignalRetrainSettled, settled)
}

func (h *house) retrain(t *testing.T) models.RetrainResult {
	t.Helper()
	h.ExecuteWorkflow(models.RetrainWorkflow, retrainInput())
	require.NoError(t, h.GetWorkflowError())
	var result models.RetrainResult
	require.NoError(t, h.GetWorkflowResult(&result))
	return result
}

func TestRetrainWaitsForTheEnd(t *testing.T) {
	h := newHouse(t)
	due := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	h.SetStartTime(due.Add(40 * time.Minute)) // made up for
	require.NoError(t, h.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(scheduledAt.ValueSet(due))))
	h.says(1*time.Second, models.RetrainSettled{Outcome: models.RetrainStarted, Lifecycle: "lifecycle/m/2026-11-23"})
	h.says(2*time.Second, models.RetrainSettled{RequestID: "somebody else's", Outcome: models.RetrainFailed})
	h.says(50*time.Hour, models.RetrainSettled{Outcome: models.RetrainPromoted, Lifecycle: "lifecycle/m/2026-11-23", Reason: "safe at 50 %"})
	require.Equal(t, models.RetrainResult{Outcome: models.RetrainPromoted, Lifecycle: "lifecycle/m/2026-11-23", Reason: "safe at 50 %"}, h.retrain(t))

	asked := h.steward[0].Retrain
	require.Equal(t, models.RetrainRequest{RequestID: testWorkflowID, ReplyTo: testWorkflowID, AsOf: due, Endpoint: "flights",
		Trigger: models.Trigger{Kind: models.TriggerSchedule, Reason: "by schedule, every 7d", At: due}}, *asked)
	require.Less(t, len(h.steward), 13, "it repeats itself less and less often")
	for _, s := range h.steward {
		require.Equal(t, asked, s.Retrain)
	}
	require.Equal(t, models.RetrainPromoted, status[models.RetrainStatus](t, h).Settled.Outcome)
}

func TestRetrainEndsWithARefusal(t *testing.T) {
	h := newHouse(t)
	start := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	h.SetStartTime(start)
	retry := start.AddDate(0, 0, 3)
	h.says(time.Second, models.RetrainSettled{Outcome: models.RetrainCooling, Reason: "the cooldown is 14d", RetryAt: retry})
	require.Equal(t, models.RetrainResult{Outcome: models.RetrainCooling, Reason: "the cooldown is 14d", RetryAt: retry}, h.retrain(t))
	require.Equal(t, start, h.steward[0].Retrain.AsOf, "nothing scheduled it: as of now")
}

func TestRetrainDoesNotWaitForEver(t *testing.T) {
	h := newHouse(t)
	h.says(time.Second, models.RetrainSettled{Outcome: models.RetrainStarted, Lifecycle: "lifecycle/m/a"})
	result := h.retrain(t)
	require.Equal(t, models.RetrainStarted, result.Outcome)
	require.Equal(t, "lifecycle/m/a", result.Lifecycle)
	require.Contains(t, result.Reason, "has not ended within 720h")

	silent := newHouse(t)
	silent.ExecuteWorkflow(models.RetrainWorkflow, retrainInput())
	require.ErrorContains(t, silent.GetWorkflowError(), "the steward did not answer within 24h")
}

func TestRetrainCancelled(t *testing.T) {
	h := newHouse(t)
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Hour)
	h.ExecuteWorkflow(models.RetrainWorkflow, retrainInput())
	require.True(t, temporal.IsCanceledError(h.GetWorkflowError()))
}
