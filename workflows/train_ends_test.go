package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

func TestTrainPausesOnAUsedUpBudgetAndGoesOnAfterATopUp(t *testing.T) {
	h := newHouse(t)
	input := trainInput()
	input.Train.Budget.GPUSeconds = 120 // two devices for a minute
	h.ranks = func(r models.RunRanksRequest) (models.RanksResult, error) {
		if r.Restart < 2 {
			return running(r)
		}
		return goodRanks(r)
	}
	h.RegisterDelayedCallback(func() {
		seen := status[models.TrainStatus](t, h)
		require.Equal(t, models.TrainPaused, seen.State)
		require.Contains(t, seen.Waiting, "mainspring top-up default-test-workflow-id GPU-SECONDS")
		require.Nil(t, seen.Lease)
		require.Equal(t, models.ExitPaused, seen.Attempts[0].Reason)
		require.InDelta(t, 120, seen.Account.Leased(), 0.5)
		require.Len(t, h.sent(models.SignalReleaseLease), 1, "the devices are back")
		require.Len(t, h.leases(), 1)
	}, time.Hour)
	// Twice the same, which counts once: another half minute, then a pause.
	h.later(2*time.Hour, models.SignalTopUp, models.TopUp{ID: "a", GPUSeconds: 60})
	h.later(2*time.Hour+10*time.Second, models.SignalTopUp, models.TopUp{ID: "a", GPUSeconds: 60})
	h.RegisterDelayedCallback(func() {
		seen := status[models.TrainStatus](t, h)
		require.Equal(t, models.TrainPaused, seen.State)
		require.Equal(t, int64(180), seen.Budget)
		require.InDelta(t, 180, seen.Account.Leased(), 1)
	}, 3*time.Hour)
	h.later(4*time.Hour, models.SignalTopUp, models.TopUp{ID: "b", GPUSeconds: 1000})
	h.ExecuteWorkflow(models.TrainWorkflow, input)
	result := trained(t, h)
	require.Zero(t, result.Restarts)
	require.Len(t, result.Attempts, 3)
	require.InDelta(t, 120, h.leases()[1].UsedGPUSeconds, 1)
	require.InDelta(t, 180, h.leases()[2].UsedGPUSeconds, 1)
}

func TestTrainIsNotPausedWhenItIsToppedUpInTime(t *testing.T) {
	h := newHouse(t)
	input := trainInput()
	input.Train.Budget.GPUSeconds = 120
	h.ranks = running
	h.later(30*time.Second, models.SignalTopUp, models.TopUp{ID: "a", GPUSeconds: 120})
	h.RegisterDelayedCallback(func() {
		require.Equal(t, models.TrainRunning, status[models.TrainStatus](t, h).State)
	}, 100*time.Second)
	h.RegisterDelayedCallback(func() {
		require.Equal(t, models.TrainPaused, status[models.TrainStatus](t, h).State)
		h.CancelWorkflow()
	}, 130*time.Second)
	h.ExecuteWorkflow(models.TrainWorkflow, input)
	require.True(t, temporal.IsCanceledError(h.GetWorkflowError()))
	require.Len(t, h.leases(), 1)
}

// TestTrainCancelledInEachState: it ends at once, keeps no device and no
// request, and its run is closed with an account.
func TestTrainCancelledInEachState(t *testing.T) {
	silence := func(string, any) {}
	for name, c := range map[string]struct {
		state  models.TrainState
		set    func(*house, *models.TrainInput)
		waited float64 // GPU-seconds
	}{
		"waiting for a host":  {models.TrainPreparing, func(h *house, _ *models.TrainInput) { h.pool = silence }, 0},
		"waiting for devices": {models.TrainLeasing, func(h *house, _ *models.TrainInput) { h.pool = h.lendAfter(func(models.LeaseRequest) {}) }, 120},
		"running":             {models.TrainRunning, func(h *house, _ *models.TrainInput) { h.ranks = running }, 0},
		"paused": {models.TrainPaused, func(h *house, input *models.TrainInput) {
			h.ranks, input.Train.Budget.GPUSeconds = running, 10
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			input := trainInput()
			c.set(h, &input)
			var cancelled time.Time
			h.RegisterDelayedCallback(func() {
				require.Equal(t, c.state, status[models.TrainStatus](t, h).State)
				cancelled = h.Now()
				h.CancelWorkflow()
			}, time.Minute)
			h.ExecuteWorkflow(models.TrainWorkflow, input)
			require.True(t, temporal.IsCanceledError(h.GetWorkflowError()), "%v", h.GetWorkflowError())
			require.Equal(t, models.TrainCancelled, status[models.TrainStatus](t, h).State)
			require.Len(t, h.finished, 1)
			require.Equal(t, "KILLED", h.finished[0].Status)
			require.Less(t, h.finished[0].EndTime.Sub(cancelled), time.Second, "no timer is waited for")
			require.InDelta(t, c.waited, h.finished[0].Metrics["mainspring.gpu_seconds.waiting"], 1)
			if len(h.leases()) > 0 { // asked again meanwhile, and still one request
				require.Len(t, h.sent(models.SignalReleaseLease), 1, "the request is taken back")
			}
		})
	}
}

func TestTrainRestartsOnWhatMayNotHappenAgain(t *testing.T) {
	silent := func() error { return temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil, nil) }
	for name, c := range map[string]struct {
		err    error
		reason models.ExitReason
		avoid  []string
		told   string
	}{
		"hang":       {failWith(models.KindRankLost, models.ExitHang, "no progress for 30m0s"), models.ExitHang, nil, "hang on host-b: no progress for 30m0s"},
		"signal":     {failWith(models.KindRankLost, models.ExitSignal, "rank-1 was killed"), models.ExitSignal, nil, "signal on host-b: rank-1 was killed"},
		"fenced":     {fail(models.KindStaleFence, "a newer lease"), models.ExitFenced, nil, "fenced on host-b: a newer lease"},
		"agent lost": {silent(), models.ExitAgentLost, []string{"host-b"}, "agent lost on host-b: its agent gave no sign of life (ScheduleToStart)"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.ranks = firstThen(func(r models.RunRanksRequest) (models.RanksResult, error) {
				if r.GroupRank == 0 {
					return running(r)
				}
				return models.RanksResult{}, c.err
			})
			h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
			result := trained(t, h)
			require.Equal(t, 1, result.Restarts)
			require.Equal(t, c.reason, result.Attempts[0].Reason)
			require.Equal(t, c.avoid, h.leases()[1].Avoid)
			require.Contains(t, status[models.TrainStatus](t, h).Failures[0], "attempt 1: "+c.told)
		})
	}
}

func TestTrainEndsOnWhatARestartWouldMeetAgain(t *testing.T) {
	for name, c := range map[string]struct {
		kind   models.ErrorKind
		reason models.ExitReason
		told   string
	}{
		"out of memory":     {models.KindTrainingFailed, models.ExitOutOfMemory, "rank-1 went above its 4GiB (raise train.resources.memory_per_gpu)"},
		"data error":        {models.KindTrainingFailed, models.ExitDataError, "rank-1 says that the data is wrong"},
		"exit status":       {models.KindTrainingFailed, models.ExitStatus, "KeyError: 'dest'"},
		"command not found": {models.KindTrainingFailed, models.ExitNotStarted, `command not found: "pyhton"`},
		"no model":          {models.KindModelRejected, models.ExitNoModel, "no MLmodel in MAINSPRING_MODEL_DIR"},
		"too long":          {models.KindTrainingFailed, models.ExitTimeout, "longer than train.timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.ranks = func(r models.RunRanksRequest) (models.RanksResult, error) {
				if r.GroupRank == 0 {
					return running(r)
				}
				return models.RanksResult{}, failWith(c.kind, c.reason, c.told)
			}
			h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
			var failed *temporal.ApplicationError
			require.ErrorAs(t, h.GetWorkflowError(), &failed)
			require.Equal(t, string(c.kind), failed.Type())
			require.Contains(t, failed.Message(), "attempt 1 on host-b: "+string(c.reason)+": "+c.told)
			require.Len(t, h.leases(), 1)
			require.Equal(t, "FAILED", h.finished[0].Status)
			require.Contains(t, h.finished[0].Tags["mainspring.failure"], c.told)
			require.Equal(t, "1: "+string(c.reason)+" at step 30", h.finished[0].Tags["mainspring.attempt_ends"])
			require.Equal(t, models.TrainFailed, status[models.TrainStatus](t, h).State)
			require.Len(t, h.sent(models.SignalReleaseLease), 1)
		})
	}
}

func TestTrainThatLeavesNoModelFails(t *testing.T) {
	h := newHouse(t)
	h.ranks = func(models.RunRanksRequest) (models.RanksResult, error) { return models.RanksResult{Steps: 3}, nil }
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.ErrorContains(t, h.GetWorkflowError(), "MAINSPRING_MODEL_DIR")
	require.Len(t, h.leases(), 1)
}

func TestTrainSaysAfterHowManyRestartsItGaveUp(t *testing.T) {
	h := newHouse(t)
	h.ranks = func(models.RunRanksRequest) (models.RanksResult, error) {
		return models.RanksResult{}, failWith(models.KindRankLost, models.ExitHang, "no progress for 30m0s")
	}
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	for _, part := range []string{"attempt 4 on host-", "given up after 3 restarts", "hang: no progress for 30m0s", "mainspring status"} {
		require.ErrorContains(t, h.GetWorkflowError(), part)
	}
	require.Len(t, h.leases(), 4)
	require.Len(t, status[models.TrainStatus](t, h).Attempts, 4)
}

func TestTrainPassesOverDamagedCheckpointsAndTellsThem(t *testing.T) {
	h := newHouse(t)
	h.checkpoint = models.Checkpoint{Step: 20, Skipped: []string{"step-30: sha256 of optimizer.pt differs"}}
	h.ranks = firstThen(func(models.RunRanksRequest) (models.RanksResult, error) {
		return models.RanksResult{}, fail(models.KindRankLost, "killed")
	})
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	result := trained(t, h)
	require.Equal(t, h.checkpoint.Skipped, result.Skipped, "once, however often it was met")
	require.Equal(t, "step-30: sha256 of optimizer.pt differs", h.annotated[0].Tags["mainspring.skipped_checkpoints"])
	require.Equal(t, int64(20), h.rankCalls[0].Resume.Step)
}

func TestTrainAccountsForWhatItUsed(t *testing.T) {
	h := newHouse(t)
	h.ranks = firstThen(running)
	h.later(100*time.Second, models.SignalLeaseLost, models.LeaseLost{RequestID: requestID(1), Node: "host-b", Reason: "host-b went silent"})
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	result := trained(t, h)
	require.Len(t, result.Attempts, 2)
	require.InDelta(t, 200, result.Attempts[0].Account.Lost, 1, "no checkpoint: all of it is done again")
	require.InDelta(t, 200, result.Account.Leased(), 1)
	require.Equal(t, []string{"host-a", "host-b"}, result.Attempts[0].Nodes)

	require.Len(t, h.annotated, 1)
	require.Empty(t, h.finished, "the evaluation closes a run that went well")
	told := h.annotated[0]
	require.InDelta(t, 200, told.Metrics["mainspring.gpu_seconds.lost"], 1)
	require.InDelta(t, 200, told.Metrics["mainspring.gpu_seconds.leased"], 1)
	require.Equal(t, "2", told.Tags["mainspring.attempts"])
	require.Equal(t, "1", told.Tags["mainspring.restarts"])
	require.Equal(t, "VIRT-host-a-0,VIRT-host-b-0", told.Tags["mainspring.devices"])
}

func TestATrainingThatFailedSaysWhatItLeased(t *testing.T) {
	h := newHouse(t)
	input := trainInput()
	never := 0
	input.Train.MaxRestarts = &never
	h.ranks = firstThen(running)
	h.later(100*time.Second, models.SignalLeaseLost, models.LeaseLost{RequestID: requestID(1), Node: "host-b", Reason: "host-b went silent"})
	h.ExecuteWorkflow(models.TrainWorkflow, input)
	var failed *temporal.ApplicationError
	require.ErrorAs(t, h.GetWorkflowError(), &failed)
	require.Equal(t, string(models.KindRankLost), failed.Type())
	require.Contains(t, failed.Message(), "host-b went silent")
	var account models.GPUAccount
	require.NoError(t, failed.Details(&account))
	require.InDelta(t, 200, account.Leased(), 1)
}

func TestTrainKeepsItsModelWhenMLflowRefusesTheAccount(t *testing.T) {
	h := newHouse(t)
	h.annotateErr = fail(models.KindInvalidSpec, "the run was deleted")
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.Equal(t, int64(50), trained(t, h).Steps)
	require.Len(t, h.annotated, 1)
}

func TestTrainAloneTakesTheDefaults(t *testing.T) {
	h := newHouse(t)
	input := trainInput()
	input.Train = models.TrainSpec{Command: []string{"python", "train.py"}}
	h.ranks = firstThen(func(models.RunRanksRequest) (models.RanksResult, error) {
		return models.RanksResult{}, fail(models.KindRankLost, "killed")
	})
	h.ExecuteWorkflow(models.TrainWorkflow, input)
	require.Equal(t, 1, trained(t, h).Restarts)
}

// TestTrainShowsItsState reads the page that Temporal's UI shows.
func TestTrainShowsItsState(t *testing.T) {
	h := newHouse(t)
	input := trainInput()
	input.Train.Budget.GPUSeconds = 120
	h.checkpoint = models.Checkpoint{Step: 20, Skipped: []string{"step-30: damaged"}}
	h.ranks = running
	h.RegisterDelayedCallback(func() {
		running := h.page(t)
		require.Contains(t, running, "**Train flight-delay**: running, attempt 1")
		require.Contains(t, running, "Resumed from the checkpoint of step 20")
		require.Contains(t, running, "| host-a | [VIRT-host-a-0] | 1 |")
	}, 10*time.Second)
	h.RegisterDelayedCallback(func() {
		paused := h.page(t)
		for _, want := range []string{
			"paused: the budget is used up, attempt 2", "Waiting for a top-up: 120 of 120 GPU-seconds are used; `mainspring top-up ",
			"| 1 | host-a, host-b | 20 – 20 | 1m0s | paused: the budget of 120 GPU-seconds is used up | 120 | 120 |",
			"Account: 120 GPU-seconds leased: starting 0 (0 %), computing 0 (0 %), checkpointing 0 (0 %), lost 120 (100 %); waited for 0 before",
			"Budget: 120 GPU-seconds", "- checkpoint passed over: step-30: damaged", "logs: `mainspring logs -f default-test-workflow-id`",
		} {
			require.Contains(t, paused, want)
		}
		h.CancelWorkflow()
	}, 2*time.Minute)
	h.ExecuteWorkflow(models.TrainWorkflow, input)
	require.Contains(t, h.page(t), "**Train flight-delay**: cancelled")
}

// page is what the workflow under test shows.
func (h *house) page(t *testing.T) string {
	t.Helper()
	value, err := h.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	return metadata.GetCurrentDetails()
}
