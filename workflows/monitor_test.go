package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

var march = time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC)

// watch asks for a monitor without seasons: its reference does not say which
// days its losses are of.
func watch(id, v string, reference ...float64) models.WatchRequest {
	if len(reference) == 0 {
		for i := range 40 {
			reference = append(reference, 0.50+0.002*float64(i%10))
		}
	}
	spec := lifecycleSpec()
	spec.Monitor.Detectors = []models.DetectorSpec{{Kind: models.DetectorConformal, Share: 4, Season: models.SeasonNone}, {Kind: models.DetectorLevel}}
	spec = spec.WithDefaults()
	return models.WatchRequest{RequestID: id, Model: "m", Version: v, Reference: reference, Data: spec.Data, Spec: *spec.Monitor,
		Prediction: "probability", Promised: models.Estimate{Value: 0.51, Low: 0.48, High: 0.56}}
}

// days is a log of so many days that is complete from the start.
func days(end int, loss func(day int) float64) *dailyLog {
	return &dailyLog{end: end, first: losing(loss), watermark: func(time.Time) time.Time { return march.AddDate(0, 0, end+4) }}
}

// aDayEveryTenMinutes is a log of so many days that grows.
func aDayEveryTenMinutes(end int, loss func(day int) float64) *dailyLog {
	return &dailyLog{end: end, first: losing(loss), speed: 144}
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

func (w *tower) runMonitor(state models.MonitorState, lasts time.Duration) {
	w.RegisterDelayedCallback(w.CancelWorkflow, lasts)
	w.ExecuteWorkflow(models.MonitorWorkflow, state)
}

// watching runs a monitor of version 1 and returns its status in the end.
func (w *tower) watching(t *testing.T, request models.WatchRequest, lasts time.Duration) models.MonitorStatus {
	t.Helper()
	w.at(time.Second, models.SignalWatch, request)
	w.runMonitor(models.MonitorState{Endpoint: "flights"}, lasts)
	return status[models.MonitorStatus](t, w.house)
}

func TestMonitorJudgesEveryBlockOnceInOrder(t *testing.T) {
	w := newTower(t, days(70, steady))
	s := w.watching(t, watch("w1", "1"), time.Hour)
	require.Len(t, s.Blocks, 70, "a backlog is worked off in pieces of a month")
	for d, b := range s.Blocks {
		require.Equal(t, march.AddDate(0, 0, d), b.Start)
		require.True(t, b.Conclusive)
		require.True(t, b.Final)
	}
	require.EqualValues(t, 70, s.Detector.Observed)
	require.Empty(t, s.Alarms)
	require.Empty(t, w.retrainRequests())
}

func TestMonitorAsksForARetrainingWhenTheLossRises(t *testing.T) {
	w := newTower(t, days(90, jump(60)))
	s := w.watching(t, watch("w1", "1"), time.Hour)
	require.Len(t, s.Alarms, 1, "one alarm; the detectors rest while it is pending")
	require.Len(t, s.Blocks, 90, "blocks are shown all the same")
	alarm := s.Alarms[0]
	requests := w.retrainRequests()
	require.Len(t, requests, 1)
	require.Equal(t, alarm.RequestID, requests[0].RequestID)
	require.Equal(t, "1", requests[0].Champion, "a later one has not lost")
	require.Equal(t, models.AlarmAsked, alarm.State)
	require.Equal(t, alarm.Block.AddDate(0, 0, 2), requests[0].AsOf, "once the block's labels are known")
	require.True(t, requests[0].AsOf.After(march.AddDate(0, 0, 60)))
	require.Equal(t, march.AddDate(0, 0, 60), alarm.Change, "the loss rose on that day")
	require.InDelta(t, 0.702, alarm.Loss, 0.003, "the mean since")
	require.Equal(t, alarm.Change, requests[0].Trigger.Change)
	require.Equal(t, alarm.RequestID, s.Pending)
	require.Equal(t, "because", alarm.Explanation.Words)
	require.Contains(t, s.Waiting, "the steward's answer")
}

func TestMonitorLeavesBlocksWithoutLabelsUndecided(t *testing.T) {
	log := days(30, jump(0))
	few := log.first
	log.first = func(day int) models.Block { b := few(day); b.Labelled = 3; return b }
	w := newTower(t, log)
	s := w.watching(t, watch("w1", "1"), time.Minute)
	require.Len(t, s.Blocks, 30)
	require.Empty(t, s.Alarms)
	require.Zero(t, s.Detector.Observed)
	for _, b := range s.Blocks {
		require.False(t, b.Conclusive)
	}
}

func TestMonitorContinuesAsNewWithoutRepeatingABlock(t *testing.T) {
	w := newTower(t, days(40, steady))
	w.RegisterDelayedCallback(func() { w.SetContinueAsNewSuggested(true) }, time.Minute)
	w.at(time.Second, models.SignalWatch, watch("w1", "1"))
	w.ExecuteWorkflow(models.MonitorWorkflow, models.MonitorState{Endpoint: "flights"})
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, w.GetWorkflowError(), &next)
	var carried models.MonitorState
	decodePayloads(t, next, &carried)
	require.Equal(t, march.AddDate(0, 0, 40), carried.Next)

	second := newTower(t, days(45, steady))
	second.runMonitor(carried, time.Minute)
	blocks := status[models.MonitorStatus](t, second.house).Blocks
	require.Equal(t, march.AddDate(0, 0, 44), blocks[len(blocks)-1].Start)
	require.Len(t, blocks, 45)
	require.Empty(t, second.references, "the reference is not built again")
}
