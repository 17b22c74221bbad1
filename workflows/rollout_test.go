package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func version(v string) models.ModelVersion {
	spec := lifecycleSpec().WithDefaults()
	return models.ModelVersion{Version: v, Spec: spec, Candidate: models.Candidate{
		Lifecycle: "lifecycle/flight-delay/" + v, RunID: "run-" + v, Reference: []float64{0.5, 0.52, 0.49}}}
}

func rolloutInput(champion string) models.RolloutInput {
	v := version("2")
	v.Spec.Deploy.Canary.Evidence = models.EvidenceRequests
	return models.RolloutInput{Model: "flight-delay", Deploy: *v.Spec.Deploy, Candidate: v, Champion: champion, Generation: 4}
}

// serving replaces the Serve child, which outlives the rollout.
func (h *house) serving() {
	h.OnWorkflow(models.ServeWorkflow, mock.Anything, mock.Anything).Return(nil)
}

// growing plays traffic: each look finds more requests, with errors on each
// arm at the given rates.
func growing(perLook int64, championErrors, canaryErrors float64) func(models.ReadArmsRequest) models.ArmReading {
	counts := map[int64]int64{}
	return func(r models.ReadArmsRequest) models.ArmReading {
		newest := r.Generations[len(r.Generations)-1]
		counts[newest] += perLook
		var reading models.ArmReading
		for _, g := range r.Generations {
			n := counts[g]
			reading.Arms = append(reading.Arms,
				models.ArmCounts{Generation: g, Version: "1", Requests: 9 * n, Errors: int64(championErrors * float64(9*n))},
				models.ArmCounts{Generation: g, Version: r.Canary, Requests: n, Errors: int64(canaryErrors * float64(n))})
		}
		return reading
	}
}

func runRollout(t *testing.T, h *house, input models.RolloutInput) models.RolloutResult {
	t.Helper()
	h.serving()
	h.at(time.Second, models.SignalServeReady, models.ServeReady{Version: "2"})
	h.ExecuteWorkflow(models.RolloutWorkflow, input)
	require.NoError(t, h.GetWorkflowError())
	var result models.RolloutResult
	require.NoError(t, h.GetWorkflowResult(&result))
	return result
}

func TestRolloutPromotesStepByStep(t *testing.T) {
	h := newHouse(t)
	h.arms = growing(200, 0, 0)
	result := runRollout(t, h, rolloutInput("1"))
	require.Equal(t, models.VerdictPass, result.Verdict)
	require.Len(t, result.Steps, 2)
	require.Equal(t, int64(6), result.Generation, "each step is a generation of its own")
	require.InDelta(t, 0.1, h.routes[0].Arms[1].Weight, 1e-9)
	require.InDelta(t, 0.5, h.routes[1].Arms[1].Weight, 1e-9)
	require.NotEmpty(t, result.Steps[0].History)
}

func TestRolloutStopsAtHarm(t *testing.T) {
	h := newHouse(t)
	h.arms = growing(200, 0.001, 0.2)
	result := runRollout(t, h, rolloutInput("1"))
	require.Equal(t, models.VerdictFail, result.Verdict)
	require.Equal(t, models.RefusedByCanary, result.RefusedBy)
	require.Len(t, result.Steps, 1, "the second step is never taken")
	require.Len(t, h.routes, 1)
}

func TestRolloutWithoutTrafficIsInconclusive(t *testing.T) {
	h := newHouse(t)
	h.OnActivity("ReadArms", mock.Anything, mock.Anything).After(time.Minute).Return(models.ArmReading{}, nil)
	input := rolloutInput("1")
	input.Deploy.Canary.StepDeadline = models.Duration(time.Hour)
	result := runRollout(t, h, input)
	require.Equal(t, models.VerdictInconclusive, result.Verdict)
	require.Contains(t, result.Reason, "not enough evidence")
	require.Empty(t, result.RefusedBy, "nobody refused it: there was nothing to judge by")
}

func TestRolloutOfTheFirstVersionNeedsNoCanary(t *testing.T) {
	h := newHouse(t)
	result := runRollout(t, h, rolloutInput(""))
	require.Equal(t, models.VerdictPass, result.Verdict)
	require.Empty(t, result.Steps)
	require.Contains(t, result.Reason, "no champion")
}

func TestRolloutFailsWhenItsServersDo(t *testing.T) {
	h := newHouse(t)
	h.serving()
	h.at(time.Second, models.SignalServeFailed, models.ServeFailed{Version: "2", Reason: "unknown operator"})
	h.ExecuteWorkflow(models.RolloutWorkflow, rolloutInput("1"))
	require.NoError(t, h.GetWorkflowError())
	var result models.RolloutResult
	require.NoError(t, h.GetWorkflowResult(&result))
	require.Equal(t, models.VerdictFail, result.Verdict)
	require.Contains(t, result.Reason, "unknown operator")
	require.Empty(t, result.RefusedBy, "nobody judged it")
	require.Empty(t, h.routes, "no request ever went there")
}
