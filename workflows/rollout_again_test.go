package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// nextRun runs a rollout until it begins a new run after a while.
func (h *house) nextRun(t *testing.T, input models.RolloutInput, after time.Duration) (next models.RolloutInput) {
	t.Helper()
	h.serving()
	h.at(time.Second, models.SignalServeReady, models.ServeReady{Version: "2"})
	h.RegisterDelayedCallback(func() { h.SetContinueAsNewSuggested(true) }, after)
	h.ExecuteWorkflow(models.RolloutWorkflow, input)
	var renewed *workflow.ContinueAsNewError
	require.True(t, errors.As(h.GetWorkflowError(), &renewed), "%v", h.GetWorkflowError())
	decodePayloads(t, renewed, &next)
	return next
}

func TestAPausedRolloutWatchesForHarmInItsNextRunToo(t *testing.T) {
	first := newHouse(t)
	first.blocksOf(sane(0))
	first.updateAt(30*time.Second, models.UpdateRollout, models.RolloutOrder{Action: models.RolloutPause, By: "ada"})
	input := first.nextRun(t, blockInput(), 90*time.Second)
	require.True(t, input.Prior.Paused)

	second := newHouse(t)
	second.blocksOf(sane(60))
	second.route = models.Route{Generation: input.Prior.Generation}
	second.RegisterDelayedCallback(second.CancelWorkflow, 24*time.Hour)
	second.ExecuteWorkflow(models.RolloutWorkflow, input)
	require.NoError(t, second.GetWorkflowError())
	var result models.RolloutResult
	require.NoError(t, second.GetWorkflowResult(&result))
	require.Equal(t, models.VerdictFail, result.Verdict, result.Reason)
}
