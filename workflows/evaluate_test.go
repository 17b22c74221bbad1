package workflows_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func evaluateInput() models.EvaluateInput {
	return models.EvaluateInput{
		Model: "flight-delay", Data: lifecycleSpec().Data, Snapshot: models.Snapshot{Manifest: models.Ref{URI: "s3://b/m"}},
		Candidate: models.ModelArtifact{Manifest: models.Ref{SHA256: "ab12"}}, RunID: "run-1", ArtifactURI: "s3://mlflow/1/run-1/artifacts",
		Champion: &models.ChampionModel{Version: "3", Artifact: models.ModelArtifact{Manifest: models.Ref{SHA256: "cd34"}}},
		Train:    models.TrainSpec{Command: []string{"python", "train.py"}},
	}
}

func evaluated(t *testing.T, h *house, input models.EvaluateInput) models.EvaluateResult {
	t.Helper()
	h.evaluation = goodEvaluation()
	h.evaluation.Gain = &models.Estimate{Value: 0.05, Low: 0.01, High: 0.09}
	h.ExecuteWorkflow(models.EvaluateWorkflow, input)
	require.NoError(t, h.GetWorkflowError())
	var result models.EvaluateResult
	require.NoError(t, h.GetWorkflowResult(&result))
	return result
}

func TestEvaluatePredictsInTheWorkerUnlessToldOtherwise(t *testing.T) {
	h := newHouse(t)
	result := evaluated(t, h, evaluateInput())
	require.Equal(t, models.VerdictPass, result.Gate.Verdict)
	require.Len(t, h.predicted, 2)
	require.Equal(t, "candidate", h.predicted[0].Who)
	require.Equal(t, "champion (version 3)", h.predicted[1].Who)
	require.Equal(t, "cd34", h.predicted[1].Artifact.Manifest.SHA256)
	require.Empty(t, h.predicted[0].Node.Node, "no host")
	require.Empty(t, h.leases(), "no device")
	require.Len(t, h.measured, 1)
	require.Equal(t, "s3://b/candidate", h.measured[0].Candidate.File.URI)
	require.Equal(t, "s3://b/champion (version 3)", h.measured[0].Champion.File.URI)
	require.Len(t, h.finished, 1)
	require.Equal(t, 0.5, h.finished[0].Metrics["test_log_loss"])
	require.Equal(t, 0.05, h.finished[0].Metrics["gain"])
	require.Equal(t, "pass", h.finished[0].Tags["mainspring.gate"])
}

func TestEvaluateRunsAProgramOnAnyHostOfThePool(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Spec.Predict = models.PredictSpec{Runtime: models.RuntimePyfunc}
	evaluated(t, h, input)
	require.Len(t, h.predicted, 2)
	require.Equal(t, "host-a", h.predicted[0].Node.Node)
	require.NotEmpty(t, h.predicted[0].Key)
	require.Zero(t, h.predicted[0].Token, "no lease")
	require.Equal(t, []string{"python", "train.py"}, h.predicted[0].Train.Command, "the code and environment of the training")
	require.Empty(t, h.predicted[1].Node.Node, "the champion answers as its own spec says")
	require.Empty(t, h.leases())
}

func TestEvaluateLeasesDevicesThatPredictionsNeed(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Champion.Predict.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 1}
	input.Spec.Predict.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 1}
	evaluated(t, h, input)
	require.Len(t, h.predicted, 2)
	require.Len(t, h.predicted[0].Node.Devices, 1)
	require.NotEqual(t, h.predicted[0].Key, h.predicted[1].Key, "two jobs")
	require.Len(t, h.leases(), 2)
	require.Len(t, h.sent(models.SignalReleaseLease), 2, "both are given back")
}

func TestEvaluateTriesAgainWhereTheHostOrTheLeaseWasLost(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Champion = nil
	input.Spec.Predict.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 1}
	h.predictErr = func(call int) error {
		if call < 3 {
			return fail(models.KindRankLost, "the program was killed")
		}
		return nil
	}
	evaluated(t, h, input)
	require.Len(t, h.predicted, 3)
	require.Len(t, h.leases(), 3, "each try has a lease of its own")
	require.Len(t, h.sent(models.SignalReleaseLease), 3)
}

func TestEvaluateGivesAPreemptedLeaseBackAndTriesAgain(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Champion = nil
	input.Spec.Predict.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 1, Preemptible: true}
	h.predicting = func(ctx context.Context, call int) error {
		if call > 1 {
			return nil
		}
		h.SignalWorkflow(models.SignalLeasePreempted, models.LeasePreempted{RequestID: h.leases()[0].RequestID,
			LeaseEnding: models.LeaseEnding{Reason: "a gang of priority 5", By: time.Now().Add(time.Minute)}})
		<-ctx.Done()
		return ctx.Err()
	}
	evaluated(t, h, input)
	require.Len(t, h.leases(), 2)
	require.Len(t, h.predicted, 2)
	require.Len(t, h.sent(models.SignalReleaseLease), 2)
}

func TestEvaluateOutlastsPreemptions(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Champion = nil
	input.Spec.Predict.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 1, Preemptible: true}
	h.predicting = func(ctx context.Context, call int) error {
		if call > 5 {
			return nil
		}
		h.SignalWorkflow(models.SignalLeasePreempted, models.LeasePreempted{RequestID: h.leases()[call-1].RequestID,
			LeaseEnding: models.LeaseEnding{Reason: "a gang of priority 5", By: time.Now().Add(time.Minute)}})
		<-ctx.Done()
		return ctx.Err()
	}
	evaluated(t, h, input)
	require.Len(t, h.leases(), 6)
}

func TestACancelledEvaluationClosesItsRun(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Spec.Predict.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 1}
	h.pool = func(string, any) {} // does not answer
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Minute)
	h.ExecuteWorkflow(models.EvaluateWorkflow, input)
	require.Error(t, h.GetWorkflowError())
	require.Equal(t, "KILLED", h.finished[0].Status)
}

func TestEvaluateFailsForGoodOnTheModelsOwnFault(t *testing.T) {
	for _, kind := range []models.ErrorKind{models.KindModelRejected, models.KindEnvironmentFailed, models.KindTrainingFailed} {
		h := newHouse(t)
		input := evaluateInput()
		input.Spec.Predict = models.PredictSpec{Runtime: models.RuntimeCommand, Command: []string{"./predict"}}
		h.predictErr = func(int) error { return fail(kind, "it can't be fed") }
		h.ExecuteWorkflow(models.EvaluateWorkflow, input)
		require.ErrorContains(t, h.GetWorkflowError(), "it can't be fed")
		require.Len(t, h.predicted, 1)
		require.Equal(t, "FAILED", h.finished[0].Status, "the run does not stay open")
		require.Contains(t, h.finished[0].Tags["mainspring.failure"], "it can't be fed")
	}
}

func TestEvaluateStopsTryingAtLast(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Spec.Predict = models.PredictSpec{Runtime: models.RuntimePyfunc}
	h.predictErr = func(int) error { return fail(models.KindRankLost, "killed again") }
	h.ExecuteWorkflow(models.EvaluateWorkflow, input)
	require.ErrorContains(t, h.GetWorkflowError(), "killed again")
	require.Len(t, h.predicted, 5)
}

func TestEvaluateRefusedByThePool(t *testing.T) {
	h := newHouse(t)
	h.pool = func(name string, arg any) {
		if name == models.SignalRequestLease {
			var request models.LeaseRequest
			decode(arg, &request)
			h.reply(request.Holder, models.SignalLeaseRefused, models.LeaseRefused{RequestID: request.RequestID, Reason: "no host has 8 devices"})
		}
	}
	input := evaluateInput()
	input.Spec.Predict.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 8}
	h.ExecuteWorkflow(models.EvaluateWorkflow, input)
	require.ErrorContains(t, h.GetWorkflowError(), "no host has 8 devices")
	require.Empty(t, h.predicted)
}

// approvalSpec asks a person before the release.
func approvalSpec() models.LifecycleSpec {
	spec := lifecycleSpec()
	spec.Evaluate.Approval = &models.ApprovalSpec{Timeout: models.Day}
	return spec
}

func (h *house) answerApproval(id string, approval models.Approval) {
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalRegistered, models.RegisterReply{RequestID: id + "/register", Version: "7"})
	}, time.Second)
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalApproved, models.ApprovalReply{RequestID: id + "/approve", Approval: approval})
	}, time.Hour)
	h.RegisterDelayedCallback(func() {
		h.SignalWorkflow(models.SignalRolledOut, models.RollOutReply{RequestID: id + "/roll-out", Version: "7",
			Verdict: models.VerdictPass, Promoted: true, Reason: "safe at 50 %"})
	}, 2*time.Hour)
}

func TestLifecycleReleasesWhatAPersonApproved(t *testing.T) {
	h := newHouse(t)
	h.evaluation = goodEvaluation()
	h.answerApproval(testWorkflowID, models.Approval{Version: "7", Verdict: models.VerdictPass, By: "ada", Reason: "looks right"})
	h.ExecuteWorkflow(models.LifecycleWorkflow, approvalSpec())
	require.NoError(t, h.GetWorkflowError())
	var result models.LifecycleResult
	require.NoError(t, h.GetWorkflowResult(&result))
	require.True(t, result.Promoted)
	require.Equal(t, "7", h.steward[1].RequestApproval.Version)
	require.Equal(t, models.Day, h.steward[1].RequestApproval.Spec.Timeout)
	require.True(t, slices.ContainsFunc(h.steward, func(s models.StewardSignal) bool { return s.RollOut != nil }))
	s := status[models.LifecycleStatus](t, h)
	require.Equal(t, "ada", s.Approval.By)
	require.False(t, s.Ended[models.StageApprove].IsZero())
}

func TestLifecycleReleasesNothingThatNobodyApproved(t *testing.T) {
	for reason, approval := range map[string]models.Approval{
		"rejected by ada: slices look odd":    {Version: "7", Verdict: models.VerdictFail, By: "ada", Reason: "slices look odd"},
		"not approved: version 7 is unknown":  {Version: "7", Verdict: models.VerdictFail, Reason: "version 7 is unknown"},
		"not approved: nobody answered in 1d": {Version: "7", Verdict: models.VerdictInconclusive, Reason: "nobody answered in 1d"},
	} {
		h := newHouse(t)
		h.evaluation = goodEvaluation()
		h.answerApproval(testWorkflowID, approval)
		h.ExecuteWorkflow(models.LifecycleWorkflow, approvalSpec())
		require.NoError(t, h.GetWorkflowError(), "it is a result")
		var result models.LifecycleResult
		require.NoError(t, h.GetWorkflowResult(&result))
		require.False(t, result.Promoted)
		require.Equal(t, "7", result.Version, "the version stays registered")
		require.Equal(t, reason, result.Reason)
		require.Equal(t, approval.By != "", result.RefusedBy == models.RefusedByPerson)
		for _, s := range h.steward {
			require.Nil(t, s.RollOut)
		}
	}
}

func TestEvaluateRefusesAChampionOfAnotherTask(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Champion.Task = models.TaskRegression
	h.evaluation = goodEvaluation()
	h.ExecuteWorkflow(models.EvaluateWorkflow, input)
	require.ErrorContains(t, h.GetWorkflowError(), "champion (version 3): it was trained for task regression")
	require.Empty(t, h.predicted, "nothing is predicted for it")
}

func TestEvaluateHasTheDefaultsOfItsTask(t *testing.T) {
	h := newHouse(t)
	input := evaluateInput()
	input.Data.Task = models.TaskRegression
	evaluated(t, h, input)
	require.Equal(t, "prediction", h.predicted[0].Prediction)
	require.Equal(t, models.RMSE, h.measured[0].Input.Spec.Champion.Metric)
}
