package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

func lifecycleSpec() models.LifecycleSpec {
	return models.LifecycleSpec{
		Model: models.ModelSpec{Name: "flight-delay"},
		Data: models.DataSpec{
			Source: "s3://mainspring/data/flights/", Time: "sched_dep", Key: "id", Label: "late", Features: []string{"x"},
			AsOf: time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC), Window: 59 * models.Day, Holdout: 14 * models.Day,
		},
		Train:   models.TrainSpec{Command: []string{"python", "train.py"}, Resources: models.Resources{Nodes: 2, GPUsPerNode: 1}},
		Deploy:  &models.DeploySpec{Endpoint: "flights"},
		Monitor: &models.MonitorSpec{},
	}
}

// goodEvaluation passes the gate without a champion.
func goodEvaluation() models.Evaluation {
	e := models.Estimate{Value: 0.5, Low: 0.48, High: 0.52}
	return models.Evaluation{
		Rows: 5, Blocks: 14, Days: make([]models.BlockComparison, 14), Reference: []float64{0.5, 0.51},
		Candidate: map[models.Metric]models.Estimate{models.LogLoss: e, models.Brier: e, models.AUC: e},
	}
}

// answerLifecycle plays a steward that registers version 7 and promotes it.
func (h *house) answerLifecycle(id string) {
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalRegistered, models.RegisterReply{RequestID: id + "/register", Version: "7"})
	}, time.Second)
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalRolledOut, models.RollOutReply{RequestID: id + "/roll-out", Version: "7",
			Verdict: models.VerdictPass, Promoted: true, Reason: "safe at 50 %"})
	}, 2*time.Second)
}

const testWorkflowID = "default-test-workflow-id"

func TestLifecycleCarriesACandidateToProduction(t *testing.T) {
	h := newHouse(t)
	h.evaluation = goodEvaluation()
	h.answerLifecycle(testWorkflowID)
	h.ExecuteWorkflow(models.LifecycleWorkflow, lifecycleSpec())
	require.NoError(t, h.GetWorkflowError())

	var result models.LifecycleResult
	require.NoError(t, h.GetWorkflowResult(&result))
	require.True(t, result.Promoted)
	require.Equal(t, "7", result.Version)
	require.Equal(t, "5a4b", result.Snapshot)
	require.Equal(t, models.VerdictPass, result.Gate.Verdict)
	require.Equal(t, "safe at 50 %", result.Reason)

	require.Len(t, h.steward, 3)
	require.Equal(t, testWorkflowID, h.steward[0].Register.ReplyTo)
	require.Equal(t, "ab12", h.steward[0].Register.Candidate.Artifact.Manifest.SHA256)
	require.Equal(t, "7", h.steward[1].RollOut.Version)
	require.True(t, h.steward[2].LifecycleClosed.Result.Promoted)
	require.Equal(t, models.StageDone, status[models.LifecycleStatus](t, h).Stage)
}

func TestLifecycleRefusedByTheGateIsAResult(t *testing.T) {
	h := newHouse(t)
	h.evaluation = goodEvaluation()
	h.champion = &models.ChampionModel{Version: "3"}
	h.evaluation.Gain = &models.Estimate{Value: -0.09, Low: -0.12, High: -0.05}
	h.ExecuteWorkflow(models.LifecycleWorkflow, lifecycleSpec())
	require.NoError(t, h.GetWorkflowError())

	var result models.LifecycleResult
	require.NoError(t, h.GetWorkflowResult(&result))
	require.Equal(t, models.VerdictFail, result.Gate.Verdict)
	require.Empty(t, result.Version, "a refused candidate is not registered")
	require.False(t, result.Promoted)
	require.Len(t, h.steward, 1, "the steward only hears of the end")
	require.Equal(t, models.RefusedByGate, h.steward[0].LifecycleClosed.Result.RefusedBy)
}

func TestLifecycleNamesEverythingWrongWithItsSpec(t *testing.T) {
	h := newHouse(t)
	spec := lifecycleSpec()
	spec.Data.Holdout = 90 * models.Day
	spec.Train.Command = nil
	h.ExecuteWorkflow(models.LifecycleWorkflow, spec)
	err := h.GetWorkflowError()
	require.ErrorContains(t, err, "data.window: is 59d and must be longer than the holdout (90d)")
	require.ErrorContains(t, err, "train.command")
	require.Empty(t, h.rankCalls)
}

func TestLifecycleStopsWhenACheckFails(t *testing.T) {
	h := newHouse(t)
	h.snapshotErr = fail(models.KindNoRows, "no rows between 2012-01-01 and 2012-03-01")
	h.ExecuteWorkflow(models.LifecycleWorkflow, lifecycleSpec())
	require.ErrorContains(t, h.GetWorkflowError(), "no rows between")
	require.Contains(t, h.steward[0].LifecycleClosed.Error, "no rows between")
	require.Empty(t, h.leases(), "no device was asked for")
}

// Whoever pays hears what the training leased, whatever came of it.
func TestLifecycleSaysWhatItsTrainingLeased(t *testing.T) {
	account := models.GPUAccount{Waiting: 1000, Starting: 10, Computing: 50, Checkpointing: 5, Lost: 35}
	for name, failed := range map[string]error{
		"trained": nil,
		"failed": temporal.NewApplicationErrorWithOptions("attempt 1: out of memory", string(models.KindTrainingFailed),
			temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{account}}),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.evaluation = goodEvaluation()
			h.champion = &models.ChampionModel{Version: "3"}
			h.evaluation.Gain = &models.Estimate{Value: -0.09, Low: -0.12, High: -0.05}
			h.OnWorkflow(models.TrainWorkflow, mock.Anything, mock.Anything).Return(models.TrainResult{Account: account}, failed)
			h.ExecuteWorkflow(models.LifecycleWorkflow, lifecycleSpec())
			closed := h.steward[len(h.steward)-1].LifecycleClosed
			require.Equal(t, 100.0, closed.GPUSeconds)
			require.Equal(t, failed != nil, closed.Error != "")
		})
	}
}

func TestLifecycleCancelledDuringRolloutWithdraws(t *testing.T) {
	h := newHouse(t)
	h.evaluation = goodEvaluation()
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalRegistered, models.RegisterReply{RequestID: testWorkflowID + "/register", Version: "7"})
	}, time.Second)
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Minute)
	h.ExecuteWorkflow(models.LifecycleWorkflow, lifecycleSpec())
	require.Error(t, h.GetWorkflowError())

	var withdrawn bool
	for _, s := range h.steward {
		withdrawn = withdrawn || s.Withdraw != nil && s.Withdraw.LifecycleID == testWorkflowID
	}
	require.True(t, withdrawn)
}

func TestLifecycleRepeatsAnUnansweredRequest(t *testing.T) {
	h := newHouse(t)
	h.evaluation = goodEvaluation()
	spec := lifecycleSpec()
	spec.Deploy, spec.Monitor = nil, nil
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalRegistered, models.RegisterReply{RequestID: "somebody else's", Version: "1"})
	}, time.Second)
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalRegistered, models.RegisterReply{RequestID: testWorkflowID + "/register", Version: "7"})
	}, 16*time.Minute)
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalRolledOut, models.RollOutReply{RequestID: testWorkflowID + "/roll-out", Version: "7",
			Verdict: models.VerdictPass, Promoted: true, Reason: "it passed the gate"})
	}, 17*time.Minute)
	h.ExecuteWorkflow(models.LifecycleWorkflow, spec)
	require.NoError(t, h.GetWorkflowError())
	var result models.LifecycleResult
	require.NoError(t, h.GetWorkflowResult(&result))
	require.True(t, result.Promoted, "champion in the registry, without an endpoint")
	asked := 0
	for _, s := range h.steward {
		if s.Register != nil {
			asked++
		}
	}
	require.Equal(t, 3, asked, "once, again after five minutes, and after ten more")
}
