package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

var march = time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC)

func watch(id, v string, reference ...float64) models.WatchRequest {
	if len(reference) == 0 {
		for i := range 40 {
			reference = append(reference, 0.50+0.002*float64(i%10))
		}
	}
	spec := lifecycleSpec().WithDefaults()
	return models.WatchRequest{RequestID: id, Model: "m", Version: v, Reference: reference, Spec: *spec.Monitor, Prediction: "probability"}
}

// days plays a log with one block a day; loss by day since march.
func days(until int, loss func(day int) float64) func(models.ScoreBlocksRequest) models.ScoredBlocks {
	return func(r models.ScoreBlocksRequest) models.ScoredBlocks {
		from := 0
		if !r.From.IsZero() {
			from = int(r.From.Sub(march) / (24 * time.Hour))
		}
		scored := models.ScoredBlocks{Watermark: march.AddDate(0, 0, until+2)}
		for d := from; d < until && len(scored.Blocks) < r.Max; d++ {
			scored.Blocks = append(scored.Blocks, models.Block{Start: march.AddDate(0, 0, d), Requests: 200, Labelled: 200, Loss: loss(d)})
		}
		return scored
	}
}

func steady(d int) float64 { return 0.501 + 0.002*float64((7*d)%10) }

func jump(at int) func(int) float64 {
	return func(d int) float64 {
		if d >= at {
			return 0.7 + 0.001*float64(d%10)
		}
		return steady(d)
	}
}

func (h *house) runMonitor(state models.MonitorState, lasts time.Duration) {
	h.RegisterDelayedCallback(h.CancelWorkflow, lasts)
	h.ExecuteWorkflow(models.MonitorWorkflow, state)
}

func TestMonitorJudgesEveryBlockOnceInOrder(t *testing.T) {
	h := newHouse(t)
	h.blocks = days(70, steady)
	h.at(time.Second, models.SignalWatch, watch("w1", "1"))
	h.runMonitor(models.MonitorState{Endpoint: "flights"}, time.Hour)

	s := status[models.MonitorStatus](t, h)
	require.Len(t, s.Blocks, 70, "a backlog is worked off in pieces of a month")
	for d, b := range s.Blocks {
		require.Equal(t, march.AddDate(0, 0, d), b.Start)
		require.True(t, b.Conclusive)
	}
	require.Empty(t, s.Alarms)
	require.Empty(t, h.steward)
}

func TestMonitorAsksForARetrainingWhenTheLossRises(t *testing.T) {
	h := newHouse(t)
	h.blocks = days(90, jump(60))
	h.at(time.Second, models.SignalWatch, watch("w1", "1"))
	h.runMonitor(models.MonitorState{Endpoint: "flights"}, time.Hour)

	s := status[models.MonitorStatus](t, h)
	require.Len(t, s.Alarms, 1, "one alarm; the detector rests while it is pending")
	require.Len(t, h.steward, 1)
	request := h.steward[0].Retrain
	require.Equal(t, s.Alarms[0].RequestID, request.RequestID)
	require.Equal(t, s.Alarms[0].Block.AddDate(0, 0, 2), request.AsOf, "once the block's labels are known")
	require.True(t, request.AsOf.After(march.AddDate(0, 0, 60)))
	require.Equal(t, request.RequestID, s.Pending)
}

func TestMonitorStartsAnewFromTheLevelThatRetrainingDidNotHelp(t *testing.T) {
	h := newHouse(t)
	h.blocks = days(80, jump(40))
	h.at(time.Second, models.SignalWatch, watch("w1", "1"))
	h.RegisterDelayedCallback(func() {
		asked := status[models.MonitorStatus](t, h).Pending
		h.SignalWorkflow(models.SignalRetrainSettled, models.RetrainSettled{RequestID: asked, Started: true, Reason: "gain below 0"})
		h.mu.Lock()
		h.blocks = days(140, jump(40))
		h.mu.Unlock()
	}, time.Minute)
	h.runMonitor(models.MonitorState{Endpoint: "flights"}, time.Hour)

	s := status[models.MonitorStatus](t, h)
	require.Len(t, s.Alarms, 1, "the new level raises no second alarm")
	require.True(t, s.Alarms[0].Settled)
	require.False(t, s.Alarms[0].Promoted)
	require.Equal(t, "gain below 0", s.Alarms[0].Action)
	require.Empty(t, s.Pending)
}

func TestMonitorFollowsANewChampion(t *testing.T) {
	h := newHouse(t)
	h.blocks = days(90, jump(60))
	h.at(time.Second, models.SignalWatch, watch("w1", "1"))
	reference := []float64{}
	for i := range 40 {
		reference = append(reference, 0.7+0.001*float64(i%10))
	}
	h.at(time.Minute, models.SignalWatch, watch("w2", "2", reference...))
	h.at(2*time.Minute, models.SignalWatch, watch("w2", "2", 0.1)) // repeats itself
	h.runMonitor(models.MonitorState{Endpoint: "flights"}, time.Hour)

	s := status[models.MonitorStatus](t, h)
	require.Equal(t, "2", s.Watch.Version)
	require.Len(t, s.Watch.Reference, 40)
	require.Empty(t, s.Pending)
	require.True(t, s.Alarms[0].Promoted)
}

func TestMonitorLeavesBlocksWithoutLabelsUndecided(t *testing.T) {
	h := newHouse(t)
	h.blocks = func(r models.ScoreBlocksRequest) models.ScoredBlocks {
		scored := days(30, jump(0))(r)
		for i := range scored.Blocks {
			scored.Blocks[i].Labelled = 3
		}
		return scored
	}
	h.at(time.Second, models.SignalWatch, watch("w1", "1"))
	h.runMonitor(models.MonitorState{Endpoint: "flights"}, time.Minute)
	s := status[models.MonitorStatus](t, h)
	require.Len(t, s.Blocks, 30)
	require.Empty(t, s.Alarms)
	for _, b := range s.Blocks {
		require.False(t, b.Conclusive)
	}
}

func TestMonitorContinuesAsNewWithoutRepeatingABlock(t *testing.T) {
	h := newHouse(t)
	h.SetContinueAsNewSuggested(true)
	h.blocks = days(40, steady)
	h.at(time.Second, models.SignalWatch, watch("w1", "1"))
	h.ExecuteWorkflow(models.MonitorWorkflow, models.MonitorState{Endpoint: "flights"})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, h.GetWorkflowError(), &next)
	var carried models.MonitorState
	decodePayloads(t, next, &carried)
	require.Equal(t, march.AddDate(0, 0, 40), carried.Next)

	second := newHouse(t)
	second.blocks = days(45, steady)
	second.at(time.Second, models.SignalCheck, struct{}{})
	second.runMonitor(carried, time.Minute)
	blocks := status[models.MonitorStatus](t, second).Blocks
	require.Equal(t, march.AddDate(0, 0, 44), blocks[len(blocks)-1].Start)
	require.Len(t, blocks, 45)
}
