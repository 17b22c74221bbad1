package workflows_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func qualityInput() models.RolloutInput {
	input := blockInput()
	input.Deploy.Canary.Steps = []float64{10}
	input.Deploy.Canary.StepDeadline = models.Duration(10 * 24 * time.Hour)
	input.Deploy.Canary.Quality = &models.QualitySpec{Metric: models.LogLoss, Tolerance: 0.1}
	return input
}

// labelsAfter plays labels that come after a while, an hour of them a reading.
func (h *house) labelsAfter(wait time.Duration, worse float64) *[]models.ReadLossesRequest {
	requests, start := &[]models.ReadLossesRequest{}, h.Now().Add(wait)
	register(h, "ReadLosses", func(_ context.Context, r models.ReadLossesRequest) (models.LossReading, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		*requests = append(*requests, r)
		if h.Now().Before(start) {
			return models.LossReading{Waiting: "labels of the first hour"}, nil
		}
		at := r.After
		if at.IsZero() {
			at = r.Since
		}
		moments := func(mean float64) models.Moments {
			return models.Moments{N: 1000, Sum: 1000 * mean, SumSquares: 1000 * (mean*mean + 0.01)}
		}
		return models.LossReading{Next: at.Add(time.Hour), Blocks: []models.LossBlock{{
			Start: at, Champion: moments(0.3 + 0.001*float64(at.Hour()%3)), Canary: moments(0.3 + worse + 0.001*float64(at.Hour()%2)),
		}}}, nil
	})
	return requests
}

func TestRolloutWaitsDaysForLabels(t *testing.T) {
	for _, test := range []struct {
		worse   float64
		verdict models.Verdict
	}{{0, models.VerdictPass}, {0.5, models.VerdictFail}} {
		h := newHouse(t)
		world := sane(0)
		requests := h.labelsAfter(48*time.Hour, test.worse)
		h.blocksOf(world)
		h.RegisterDelayedCallback(func() {
			require.Contains(t, status[models.RolloutStatus](t, h).Steps[0].Verdict.Reason, "labels: labels of the first hour")
		}, 24*time.Hour)
		began := h.Now()
		result := runRollout(t, h, qualityInput())
		require.Equal(t, test.verdict, result.Verdict, result.Reason)
		require.Greater(t, h.Now().Sub(began), 48*time.Hour)
		require.Less(t, len(*requests), 48*2+200, "the labels are read ever more seldom")
		require.Equal(t, 5, world.requests[len(world.requests)/2].MinBlocks, "one look takes in several blocks meanwhile")
	}
}

func TestServeTellsWhoeverAsks(t *testing.T) {
	t.Parallel() // servers that run keep the test's clock at real time
	h := newHouse(t)
	h.watch = func(ctx context.Context, _ models.WatchReplicaRequest) (models.ReplicaExit, error) {
		h.SignalWorkflow(models.SignalTell, models.TellServe{Notify: "another"})
		h.SignalWorkflow(models.SignalStop, models.StopServe{})
		h.SignalWorkflow(models.SignalTell, models.TellServe{Notify: "too late"})
		<-ctx.Done()
		return models.ReplicaExit{}, ctx.Err()
	}
	h.ExecuteWorkflow(models.ServeWorkflow, serveInput())
	ready := h.sent(models.SignalServeReady)
	require.Len(t, ready, 2)
	require.Equal(t, "rollout", ready[0].To)
	require.Equal(t, "another", ready[1].To)
}

// TestRolloutStateStaysSmall: what a new run is given, at its worst.
func TestRolloutStateStaysSmall(t *testing.T) {
	h := newHouse(t)
	h.labelsAfter(0, 0)
	h.blocksOf(sane(0))
	input := qualityInput()
	input.Deploy.Canary.Latency = &models.LatencySpec{SLO: models.Duration(time.Second)}
	input.Deploy.Canary.Shadow = &models.ShadowSpec{Share: 100, Requests: 20_000}
	input.Deploy.Canary.Steps = []float64{1, 2, 3, 4, 5, 10, 20, 30, 40, 50}
	for i := range 30 {
		action := models.RolloutPause
		if i%2 == 1 {
			action = models.RolloutResume
		}
		h.updateAt(time.Duration(i+1)*time.Minute+30*time.Second, models.UpdateRollout,
			models.RolloutOrder{Action: action, By: "somebody with a name", Reason: strings.Repeat("x", 300)})
	}
	result := runRollout(t, h, input)
	require.Equal(t, models.VerdictPass, result.Verdict, result.Reason)
	require.Len(t, result.Steps, 11)
	data, err := json.Marshal(status[models.RolloutStatus](t, h).RolloutState)
	require.NoError(t, err)
	t.Logf("%d bytes after %d steps", len(data), len(result.Steps))
	require.Less(t, len(data), 20<<10)
	for _, s := range result.Steps[:10] {
		require.LessOrEqual(t, len(s.History), 12)
	}
}
