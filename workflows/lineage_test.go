package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// types are the events of each job, in the order in which they were told.
func (h *house) tellings() map[string][]models.LineageEventType {
	h.mu.Lock()
	defer h.mu.Unlock()
	types := map[string][]models.LineageEventType{}
	for _, e := range h.told {
		types[e.Job] = append(types[e.Job], e.Type)
	}
	return types
}

func TestPreparationTellsItsLineage(t *testing.T) {
	h := newHouse(t)
	input := models.PrepareDataInput{Model: "flight-delay", Data: lifecycleSpec().Data}
	h.ExecuteWorkflow(models.PrepareDataWorkflow, input)
	require.NoError(t, h.GetWorkflowError())
	require.Len(t, h.told, 2)
	began, ended := h.told[0], h.told[1]
	require.Equal(t, models.LineageStart, began.Type)
	require.Equal(t, models.LineageComplete, ended.Type)
	require.Equal(t, "flight-delay/prepare", ended.Job)
	require.Equal(t, began.RunID, ended.RunID)
	require.NotEmpty(t, began.RunID)
	require.Empty(t, ended.ParentRunID, "started alone")
	require.Equal(t, input.Data.Source, began.Inputs[0].URI)
	require.Empty(t, began.Outputs)
	require.Equal(t, "s3://b/m", ended.Outputs[0].URI)
	require.Equal(t, int64(25), ended.Outputs[0].Snapshot.Rows)
}

func TestAFailedPreparationTellsWhy(t *testing.T) {
	h := newHouse(t)
	h.snapshotErr = fail(models.KindDataCheckFailed, "distance: 3 nulls")
	h.ExecuteWorkflow(models.PrepareDataWorkflow, models.PrepareDataInput{Model: "flight-delay", Data: lifecycleSpec().Data})
	require.Error(t, h.GetWorkflowError())
	require.Equal(t, []models.LineageEventType{models.LineageStart, models.LineageFail}, h.tellings()["flight-delay/prepare"])
	require.Contains(t, h.told[1].Error, "distance: 3 nulls")
	require.Empty(t, h.told[1].Outputs)
}

func TestACancelledTrainingTellsThatItWasAborted(t *testing.T) {
	h := newHouse(t)
	h.stuck = true
	h.RegisterDelayedCallback(h.CancelWorkflow, 300*time.Millisecond) // of real time: an activity runs
	h.ExecuteWorkflow(models.TrainWorkflow, trainInput())
	require.Error(t, h.GetWorkflowError())
	require.Equal(t, []models.LineageEventType{models.LineageStart, models.LineageAbort}, h.tellings()["flight-delay/train"])
}

func TestStagesAreToldAsPartsOfTheirLifecycle(t *testing.T) {
	h := newHouse(t)
	h.evaluation = goodEvaluation()
	h.answerLifecycle(testWorkflowID)
	h.ExecuteWorkflow(models.LifecycleWorkflow, lifecycleSpec())
	require.NoError(t, h.GetWorkflowError())
	types := h.tellings()
	for _, job := range []string{"lifecycle", "prepare", "train", "evaluate"} {
		require.Len(t, types["flight-delay/"+job], 2, job)
		require.Equal(t, models.LineageStart, types["flight-delay/"+job][0], job)
	}
	for _, e := range h.told {
		if e.Job == "flight-delay/lifecycle" {
			require.Empty(t, e.ParentRunID)
			continue
		}
		require.NotEmpty(t, e.ParentRunID, e.Job)
		require.Equal(t, "flight-delay/lifecycle", e.ParentJob)
	}
}

func TestLineageThatCantBeToldFailsNothing(t *testing.T) {
	h := newHouse(t)
	h.tellErr = errors.New("connection refused")
	h.ExecuteWorkflow(models.PrepareDataWorkflow, models.PrepareDataInput{Model: "flight-delay", Data: lifecycleSpec().Data})
	require.NoError(t, h.GetWorkflowError())
	require.Equal(t, 8, len(h.told), "four tries of each event")
}

// A lineage server that hangs costs the time of one event, not of two.
func TestTheEndIsToldBesideABeginningThatHangs(t *testing.T) {
	h := newHouse(t)
	ended := make(chan struct{})
	h.telling = func(e models.LineageEvent) {
		if e.Type != models.LineageStart {
			close(ended)
			return
		}
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
		}
	}
	h.ExecuteWorkflow(models.PrepareDataWorkflow, preparation())
	require.NoError(t, h.GetWorkflowError())
	require.Equal(t, []models.LineageEventType{models.LineageComplete, models.LineageStart}, h.tellings()["flight-delay/prepare"])
}
