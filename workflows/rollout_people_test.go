package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func ordered(action models.RolloutAction) models.RolloutOrder {
	return models.RolloutOrder{Action: action, By: "ada", Reason: "hotfix"}
}

// TestAnOrderDuringAPublicationIsObeyedAtOnce: the store may take its time.
func TestAnOrderDuringAPublicationIsObeyedAtOnce(t *testing.T) {
	h := newHouse(t)
	world := sane(0)
	h.blocksOf(world)
	h.OnActivity("PublishRoute", mock.Anything, mock.Anything).After(10 * time.Minute).Return(nil)
	h.updateAt(time.Minute, models.UpdateRollout, ordered(models.RolloutAbort))
	result := runRollout(t, h, blockInput())
	require.Equal(t, models.VerdictFail, result.Verdict)
	require.Equal(t, "ada", result.By)
	require.Empty(t, world.requests, "nobody waits for evidence that doesn't count any more")
}

func TestOrdersWhileServersStart(t *testing.T) {
	serversAfter := func(t *testing.T, h *house, wait time.Duration) (result models.RolloutResult) {
		h.serving()
		h.at(wait, models.SignalServeReady, models.ServeReady{Version: "2"})
		h.ExecuteWorkflow(models.RolloutWorkflow, blockInput())
		require.NoError(t, h.GetWorkflowError())
		require.NoError(t, h.GetWorkflowResult(&result))
		return result
	}
	t.Run("pause", func(t *testing.T) {
		h := newHouse(t)
		world := sane(0)
		h.blocksOf(world)
		began := h.Now()
		h.updateAt(time.Second, models.UpdateRollout, ordered(models.RolloutPause))
		h.RegisterDelayedCallback(func() {
			require.Equal(t, "a person to resume", status[models.RolloutStatus](t, h).Waiting)
			require.Empty(t, h.routes)
			require.Empty(t, world.requests)
		}, time.Hour)
		h.updateAt(2*time.Hour, models.UpdateRollout, ordered(models.RolloutResume))
		result := serversAfter(t, h, time.Minute)
		require.Equal(t, models.VerdictPass, result.Verdict, result.Reason)
		require.WithinDuration(t, began.Add(2*time.Hour), result.Steps[0].StartedAt, time.Second)
		require.Zero(t, result.Steps[0].Paused)
	})
	t.Run("promote", func(t *testing.T) {
		h := newHouse(t)
		h.updateAt(time.Second, models.UpdateRollout, ordered(models.RolloutPromote))
		h.RegisterDelayedCallback(func() {
			require.Equal(t, "the candidate's replicas to become ready, to be promoted then as ada ordered", status[models.RolloutStatus](t, h).Waiting)
		}, 30*time.Second)
		result := serversAfter(t, h, time.Hour)
		require.Equal(t, models.VerdictPass, result.Verdict)
		require.Equal(t, "promoted by ada, who says: hotfix; not backed by the evidence: it had no traffic yet", result.Reason)
		require.Empty(t, h.routes)
	})
	t.Run("promote among many others", func(t *testing.T) {
		h := newHouse(t)
		h.updateAt(time.Second, models.UpdateRollout, ordered(models.RolloutPromote))
		for i := range 10 {
			h.updateAt(time.Duration(2*i+2)*time.Second, models.UpdateRollout, ordered(models.RolloutPause))
			h.updateAt(time.Duration(2*i+3)*time.Second, models.UpdateRollout, ordered(models.RolloutResume))
		}
		result := serversAfter(t, h, time.Hour)
		require.Equal(t, "ada", result.By, fmt.Sprintf("%+v", result))
		require.Equal(t, models.RolloutPromote, result.Orders[0].Action)
		require.Len(t, result.Orders, 12)
	})
}

// TestAHeldStepWaitsForTheJudgeOrAPerson: the spec says that its deadline ends
// nothing.
func TestAHeldStepWaitsForTheJudgeOrAPerson(t *testing.T) {
	h := newHouse(t)
	h.blocksOf(&traffic{})
	input := blockInput()
	input.Deploy.Canary.StepDeadline, input.Deploy.Canary.OnDeadline = models.Duration(time.Hour), models.PolicyHold
	h.RegisterDelayedCallback(func() {
		s := status[models.RolloutStatus](t, h)
		require.Equal(t, "evidence at 10 % of the traffic", s.Waiting)
		require.Equal(t, models.VerdictInconclusive, s.Steps[0].Verdict.Verdict)
		require.Contains(t, s.Steps[0].Verdict.Reason, "no requests reach the endpoint since 1 hour")
	}, 2*time.Hour-time.Second)
	h.updateAt(5*time.Hour, models.UpdateRollout, ordered(models.RolloutPromote))
	result := runRollout(t, h, input)
	require.Equal(t, models.VerdictPass, result.Verdict)
	require.Equal(t, "ada", result.By)
	require.Contains(t, result.Reason, "not backed by the evidence at 10 %: undecided")
	require.Len(t, h.routes, 1, "the weight stayed")
}
