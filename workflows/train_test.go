package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func trainInput() models.TrainInput {
	restarts := 3
	return models.TrainInput{
		Model: "flight-delay", Data: models.DataSpec{AsOf: time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC)},
		Train: models.TrainSpec{Command: []string{"python", "train.py"}, Timeout: models.Duration(time.Hour), MaxRestarts: &restarts,
			Resources: models.Resources{Pool: "default", Nodes: 2, GPUsPerNode: 1}},
		Snapshot: models.Snapshot{Columns: []models.Column{{Name: "x", Role: "feature"}, {Name: "y", Role: "label"}}},
	}
}

func TestTrainRunsOneGangOnOneLease(t *testing.T) {
	h := newHouse(t)
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.NoError(t, h.GetWorkflowError())

	var result models.TrainResult
	require.NoError(t, h.GetWorkflowResult(&result))
	require.Equal(t, []string{"VIRT-host-a-0", "VIRT-host-b-0"}, result.Devices)
	require.Equal(t, int64(50), result.Steps)
	require.Zero(t, result.Restarts)
	require.Len(t, h.rankCalls, 2)
	for _, call := range h.rankCalls {
		require.Equal(t, 2, call.WorldSize)
		require.Equal(t, []models.Column{{Name: "x", Role: "feature"}}, call.Features)
	}
	require.Len(t, h.sent(models.SignalReleaseLease), 1, "the lease is given back")
}

func TestTrainResumesAfterALostRank(t *testing.T) {
	h := newHouse(t)
	h.ranks = func(r models.RunRanksRequest) (models.RanksResult, error) {
		if r.Restart == 0 {
			h.mu.Lock()
			h.checkpoint = models.Checkpoint{Step: 20}
			h.mu.Unlock()
			if r.GroupRank == 1 {
				return models.RanksResult{}, fail(models.KindRankLost, "rank 1 was killed by signal 9")
			}
			time.Sleep(100 * time.Millisecond) // it notices after its peer is gone
			return models.RanksResult{}, fail(models.KindTrainingFailed, "rank 0 exited with code 1: its peer is gone")
		}
		return goodRanks(r)
	}
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.NoError(t, h.GetWorkflowError())

	var result models.TrainResult
	require.NoError(t, h.GetWorkflowResult(&result))
	require.Equal(t, 1, result.Restarts)
	last := h.rankCalls[len(h.rankCalls)-1]
	require.Equal(t, int64(20), last.Resume.Step, "the second attempt starts from the checkpoint")
	require.Greater(t, last.Token, h.rankCalls[0].Token, "the second lease has a larger fencing token")
	require.Len(t, h.sent(models.SignalReleaseLease), 2)
}

func TestTrainDoesNotRepeatAProgramsOwnError(t *testing.T) {
	h := newHouse(t)
	h.ranks = func(models.RunRanksRequest) (models.RanksResult, error) {
		return models.RanksResult{}, fail(models.KindTrainingFailed, "train.py exited with code 1: KeyError: 'dest'")
	}
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.ErrorContains(t, h.GetWorkflowError(), "KeyError: 'dest'")
	require.LessOrEqual(t, len(h.rankCalls), 2, "one attempt only")
	require.Len(t, h.finished, 1)
	require.Equal(t, "FAILED", h.finished[0].Status)
	require.Len(t, h.sent(models.SignalReleaseLease), 1)
}

func TestTrainGivesUpAfterItsRestarts(t *testing.T) {
	h := newHouse(t)
	h.ranks = func(models.RunRanksRequest) (models.RanksResult, error) {
		return models.RanksResult{}, fail(models.KindRankLost, "killed")
	}
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.ErrorContains(t, h.GetWorkflowError(), "killed")
	require.Len(t, h.leases(), 4, "the first attempt and three restarts")
}

func TestTrainRestartsElsewhereWhenTheLeaseIsLost(t *testing.T) {
	h := newHouse(t)
	h.ranks = func(r models.RunRanksRequest) (models.RanksResult, error) {
		if r.Restart == 0 && r.GroupRank == 0 {
			request := h.leases()[0]
			h.SignalWorkflow(models.SignalLeaseLost, models.LeaseLost{RequestID: request.RequestID, Node: "host-b", Reason: "host-b went silent"})
			return models.RanksResult{}, fail(models.KindRankLost, "peer gone")
		}
		return goodRanks(r)
	}
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.NoError(t, h.GetWorkflowError())
	requests := h.leases()
	require.Len(t, requests, 2)
	require.Equal(t, []string{"host-b"}, requests[1].Avoid)
}

func TestTrainCancelledGivesItsDevicesBack(t *testing.T) {
	h := newHouse(t)
	h.stuck = true
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Second)
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.Error(t, h.GetWorkflowError())
	require.Len(t, h.sent(models.SignalReleaseLease), 1)
	require.Equal(t, "KILLED", h.finished[len(h.finished)-1].Status)
}
