package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// traffic plays gateways that count a block a minute.
type traffic struct {
	champion, canary   int64 // requests a block
	championBad, bad   int64 // errors a block
	start              time.Time
	requests           []models.ReadArmsRequest
	totals, championed map[int64]int64
}

// blocks makes every look take a minute and bring one block.
func (h *house) blocksOf(world *traffic) {
	world.start = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	world.totals, world.championed = map[int64]int64{}, map[int64]int64{}
	h.OnActivity("ReadArms", mock.Anything, mock.Anything).After(time.Minute).Return(
		func(_ context.Context, r models.ReadArmsRequest) (models.ArmReading, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			world.requests = append(world.requests, r)
			newest := r.Generations[len(r.Generations)-1]
			world.totals[newest] += world.canary
			world.championed[newest] += world.champion
			reading := models.ArmReading{Blocks: []models.CanaryBlock{{
				Start:    world.start,
				Champion: models.BlockCounts{Requests: world.champion, Errors: world.championBad},
				Canary:   models.BlockCounts{Requests: world.canary, Errors: world.bad},
			}}}
			world.start = world.start.Add(time.Minute)
			reading.Next = world.start
			for _, g := range r.Generations {
				reading.Arms = append(reading.Arms, models.ArmCounts{Generation: g, Version: "1", Requests: world.championed[g]},
					models.ArmCounts{Generation: g, Version: r.Canary, Requests: world.totals[g], Errors: world.bad})
			}
			return reading, nil
		})
}

func blockInput() models.RolloutInput {
	input := rolloutInput("1")
	input.Deploy.Canary.Evidence = models.EvidenceBlocks
	return input
}

func sane(bad int64) *traffic {
	return &traffic{champion: 900, canary: 300, championBad: 1, bad: bad}
}

func TestRolloutWeighsBlocks(t *testing.T) {
	h := newHouse(t)
	h.blocksOf(sane(0))
	result := runRollout(t, h, blockInput())
	require.Equal(t, models.VerdictPass, result.Verdict, result.Reason)
	require.Positive(t, result.Exposed.Share)
	last := int64(4)
	for i, route := range h.routes {
		require.Greater(t, route.Generation, last)
		last = route.Generation
		require.InDelta(t, 1, route.Arms[0].Weight+route.Arms[1].Weight, 1e-9)
		require.InDelta(t, []float64{0.1, 0.5}[i], route.Arms[1].Weight, 1e-9)
		require.Equal(t, models.Duration(time.Minute), route.Block)
		require.NotZero(t, route.Traffic.Timeout)
	}
}

func TestRolloutRollsBackHarmInBlocks(t *testing.T) {
	h := newHouse(t)
	h.blocksOf(sane(60))
	result := runRollout(t, h, blockInput())
	require.Equal(t, models.VerdictFail, result.Verdict, result.Reason)
	require.Len(t, h.routes, 1)
}

func TestRolloutSaysThatNobodyAsks(t *testing.T) {
	h := newHouse(t)
	h.blocksOf(&traffic{})
	input := blockInput()
	input.Deploy.Canary.StepDeadline = models.Duration(time.Hour)
	h.RegisterDelayedCallback(func() {
		require.Contains(t, status[models.RolloutStatus](t, h).Steps[0].Verdict.Reason, "no requests reach the endpoint since 14 minutes")
	}, 14*time.Minute+30*time.Second)
	result := runRollout(t, h, input)
	require.Equal(t, models.VerdictInconclusive, result.Verdict)
	require.Contains(t, result.Reason, "no requests reach the endpoint since 1 hour")
}

func TestRolloutCopiesFirst(t *testing.T) {
	h := newHouse(t)
	h.blocksOf(sane(0))
	input := blockInput()
	input.Deploy.Canary.Shadow = &models.ShadowSpec{Share: 50, Requests: 1000}
	result := runRollout(t, h, input)
	require.Equal(t, models.VerdictPass, result.Verdict, result.Reason)
	require.Equal(t, models.Arm{Version: "2", Role: models.RoleShadow, Shadow: 0.5}, h.routes[0].Arms[1])
	require.InDelta(t, 1, h.routes[0].Arms[0].Weight, 0)
	require.Len(t, result.Steps, 3)
	require.Equal(t, int64(1200), result.Steps[0].Canary.Requests)
	require.Contains(t, result.Steps[0].Verdict.Reason, "1,200 copies were answered without evidence of harm")
}

func TestRolloutObeysPeople(t *testing.T) {
	order := func(action models.RolloutAction) models.RolloutOrder {
		return models.RolloutOrder{Action: action, By: "ada", Reason: "hotfix"}
	}
	for _, test := range []struct {
		action  models.RolloutAction
		verdict models.Verdict
		says    string
	}{
		{models.RolloutAbort, models.VerdictFail, "aborted by ada, who says: hotfix; the evidence at 10 %: undecided"},
		{models.RolloutPromote, models.VerdictPass, "promoted by ada, who says: hotfix; not backed by the evidence at 10 %: undecided"},
	} {
		h := newHouse(t)
		h.blocksOf(&traffic{})
		h.updateAt(90*time.Second, models.UpdateRollout, order(test.action))
		result := runRollout(t, h, blockInput())
		require.Equal(t, test.verdict, result.Verdict)
		require.Equal(t, "ada", result.By)
		require.Contains(t, result.Reason, test.says)
		require.Len(t, result.Orders, 1)
	}
}

func TestRolloutPausesAcrossItsDeadline(t *testing.T) {
	h := newHouse(t)
	h.blocksOf(&traffic{})
	input := blockInput()
	input.Deploy.Canary.StepDeadline = models.Duration(time.Hour)
	h.updateAt(30*time.Minute, models.UpdateRollout, models.RolloutOrder{Action: models.RolloutPause, By: "ada"})
	again := h.updateAt(31*time.Minute, models.UpdateRollout, models.RolloutOrder{Action: models.RolloutPause, By: "bob"})
	h.updateAt(150*time.Minute, models.UpdateRollout, models.RolloutOrder{Action: models.RolloutResume, By: "ada"})
	began := h.Now()
	result := runRollout(t, h, input)
	require.ErrorContains(t, again.rejected, "paused already by ada")
	require.Equal(t, models.VerdictInconclusive, result.Verdict)
	require.Equal(t, models.Duration(2*time.Hour), result.Steps[0].Paused)
	require.WithinDuration(t, began.Add(3*time.Hour), h.Now(), 3*time.Minute)
}

func TestRolloutRefusesOrders(t *testing.T) {
	h := newHouse(t)
	h.blocksOf(&traffic{})
	input := blockInput()
	input.Deploy.Canary.StepDeadline = models.Duration(10 * time.Minute)
	resume := h.updateAt(2*time.Minute, models.UpdateRollout, models.RolloutOrder{Action: models.RolloutResume, By: "ada"})
	unknown := h.updateAt(2*time.Minute, models.UpdateRollout, models.RolloutOrder{Action: "stop", By: "ada"})
	nobody := h.updateAt(2*time.Minute, models.UpdateRollout, models.RolloutOrder{Action: models.RolloutAbort})
	runRollout(t, h, input)
	require.ErrorContains(t, resume.rejected, "not paused")
	require.ErrorContains(t, unknown.rejected, `no action "stop"`)
	require.ErrorContains(t, nobody.rejected, "whose it is")
}

func TestRolloutGoesOnInANewRun(t *testing.T) {
	whole := newHouse(t)
	whole.blocksOf(sane(0))
	want := runRollout(t, whole, blockInput())

	first := newHouse(t)
	world := sane(0)
	first.blocksOf(world)
	first.serving()
	first.at(time.Second, models.SignalServeReady, models.ServeReady{Version: "2"})
	first.RegisterDelayedCallback(func() { first.SetContinueAsNewSuggested(true) }, 90*time.Second)
	first.ExecuteWorkflow(models.RolloutWorkflow, blockInput())
	var next *workflow.ContinueAsNewError
	require.True(t, errors.As(first.GetWorkflowError(), &next), "%v", first.GetWorkflowError())
	var input models.RolloutInput
	decodePayloads(t, next, &input)

	second := newHouse(t)
	start, totals, championed := world.start, world.totals, world.championed
	second.blocksOf(world)
	world.start, world.totals, world.championed = start, totals, championed
	second.route = models.Route{Generation: input.Prior.Generation}
	second.ExecuteWorkflow(models.RolloutWorkflow, input)
	require.NoError(t, second.GetWorkflowError())
	var got models.RolloutResult
	require.NoError(t, second.GetWorkflowResult(&got))
	require.Equal(t, want.Verdict, got.Verdict)
	require.Equal(t, want.Reason, got.Reason)
	require.Equal(t, want.Exposed, got.Exposed)
	require.Len(t, got.Steps, len(want.Steps))
}
