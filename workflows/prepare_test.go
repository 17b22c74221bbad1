package workflows_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// prepare runs PrepareData alone.
func (h *house) prepareData(input models.PrepareDataInput) (models.Snapshot, error) {
	h.ExecuteWorkflow(models.PrepareDataWorkflow, input)
	var snapshot models.Snapshot
	if err := h.GetWorkflowError(); err != nil {
		return snapshot, err
	}
	return snapshot, h.GetWorkflowResult(&snapshot)
}

func preparation() models.PrepareDataInput {
	return models.PrepareDataInput{Model: "flight-delay", Data: lifecycleSpec().Data}
}

// tasks are n of one partition each.
func tasks(n int) models.PartitionList {
	list := models.PartitionList{ID: "1d", Count: n, Listing: models.Ref{SHA256: "aa"}}
	for i := range n {
		list.Tasks = append(list.Tasks, models.PartitionTask{From: i, To: i + 1, Bytes: 10})
	}
	return list
}

func TestPartitionsArePreparedSideBySideWithinABound(t *testing.T) {
	h := newHouse(t)
	h.source = tasks(60)
	var mu sync.Mutex
	running, most, seen := 0, 0, map[int]bool{}
	h.partitions = func(_ context.Context, r models.PreparePartitionsRequest) (models.PartitionsPrepared, error) {
		mu.Lock()
		running++
		most, seen[r.Task.From] = max(most, running), true
		mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		running--
		return models.PartitionsPrepared{Rows: 10, Unknown: 1, Reused: r.Task.From % 2}, nil
	}
	snapshot, err := h.prepareData(preparation())
	require.NoError(t, err)
	require.Len(t, seen, 60)
	require.LessOrEqual(t, most, 16)
	require.Greater(t, most, 1)
	require.Equal(t, 60, snapshot.Files)

	now := status[models.PreparationStatus](t, h)
	require.Equal(t, 60, now.Partitions)
	require.Equal(t, 60, now.Done)
	require.Equal(t, "5a4b", now.Snapshot.SHA256())
	page := h.page(t)
	require.Contains(t, page, "Now: snapshot `5a4b`: 20 rows to train, 5 to test")
	require.Contains(t, page, "30 of 60 partitions were known from before, and not read.")
	require.Contains(t, page, "60 rows left out: their label was not known yet.")
	require.NotContains(t, page, "nothing was read")
}

func TestASnapshotThatIsKnownIsNotPreparedAgain(t *testing.T) {
	h := newHouse(t)
	h.before = &models.Snapshot{Manifest: models.Ref{SHA256: "7e1d"}, Reused: true, Unread: true, Checks: []models.CheckResult{
		{Check: "null_rise", Column: "x", Severity: models.SeverityWarn, Message: "column \"x\": too many nulls"}, {Check: "skew", Skipped: "nothing was served yet"}}}
	h.partitions = func(context.Context, models.PreparePartitionsRequest) (models.PartitionsPrepared, error) {
		t.Error("a partition is prepared")
		return models.PartitionsPrepared{}, nil
	}
	input := preparation()
	input.Lifecycle, input.LifecycleRun, input.Data.Retention = "lifecycle/f/1", "run-1", 30*models.Day
	snapshot, err := h.prepareData(input)
	require.NoError(t, err)
	require.True(t, snapshot.Unread)
	require.Len(t, h.uses, 1)
	require.Equal(t, "lifecycle/f/1", h.uses[0].Workflow)
	require.Equal(t, "run-1", h.uses[0].Run)
	require.Equal(t, 30*models.Day, h.uses[0].Retention)
	page := h.page(t)
	require.Contains(t, page, "known from before: source and spec are unchanged, nothing was read")
	require.Contains(t, page, "| null_rise | x | column \"x\": too many nulls |")
	require.Contains(t, page, "1 checks warned, 1 could not be made")
}

func TestNoTaskIsBegunAfterOneThatCantBeCarriedOut(t *testing.T) {
	h := newHouse(t)
	h.source = tasks(200)
	var mu sync.Mutex
	begun := 0
	h.partitions = func(ctx context.Context, r models.PreparePartitionsRequest) (models.PartitionsPrepared, error) {
		mu.Lock()
		begun++
		mu.Unlock()
		if r.Task.From == 3 {
			return models.PartitionsPrepared{}, fail(models.KindInvalidSpec, "the file is damaged")
		}
		return models.PartitionsPrepared{Rows: 1}, nil
	}
	_, err := h.prepareData(preparation())
	require.ErrorContains(t, err, "the file is damaged")
	mu.Lock()
	defer mu.Unlock()
	require.Less(t, begun, 60)
	require.Contains(t, h.page(t), "Now: failed: the file is damaged")
}

func TestALifecycleHoldsItsRowsAgainstTheChampion(t *testing.T) {
	h := newHouse(t)
	h.evaluation = goodEvaluation()
	h.champion = &models.ChampionModel{Version: "6", Endpoint: "flights", Task: models.TaskBinary, Profile: models.Ref{URI: "s3://b/p", SHA256: "bb"}}
	h.answerLifecycle(testWorkflowID)
	h.ExecuteWorkflow(models.LifecycleWorkflow, lifecycleSpec())
	require.Len(t, h.listings, 1)
	require.Equal(t, &models.Baseline{Version: "6", Profile: models.Ref{URI: "s3://b/p", SHA256: "bb"}}, h.listings[0].Baseline)
	require.Equal(t, &models.Served{Endpoint: "flights", Version: "6"}, h.listings[0].Served)
	require.Equal(t, testWorkflowID, h.uses[0].Workflow)
}

func TestTheFirstLifecycleHasNothingToHoldItsRowsAgainst(t *testing.T) {
	h := newHouse(t)
	h.evaluation = goodEvaluation()
	h.answerLifecycle(testWorkflowID)
	spec := lifecycleSpec()
	spec.Data.Holdout, spec.Data.Split = 0, models.SplitSpec{By: models.SplitByHash, Fraction: 0.25}
	h.ExecuteWorkflow(models.LifecycleWorkflow, spec)
	require.NoError(t, h.GetWorkflowError())
	require.Nil(t, h.listings[0].Baseline)
	require.Nil(t, h.listings[0].Served)
	require.Contains(t, h.page(t), "25 % of the values of id held out")
}
