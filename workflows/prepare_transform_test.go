package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func transformInput() models.PrepareDataInput {
	input := models.PrepareDataInput{Model: "flight-delay", Data: lifecycleSpec().Data}
	input.Data.Prepare = &models.PrepareSpec{Command: []string{"python", "prepare.py"}}
	return input
}

// transformed runs a preparation with two tasks of one partition each.
func transformed(t *testing.T, h *house, input models.PrepareDataInput) {
	t.Helper()
	h.ExecuteWorkflow(models.PrepareDataWorkflow, input)
	require.NoError(t, h.GetWorkflowError())
	var snapshot models.Snapshot
	require.NoError(t, h.GetWorkflowResult(&snapshot))
	require.Equal(t, 1, snapshot.Files, "of what the program has left")
}

func TestPreparingProgramsRunSideBySideOnHostsOfThePool(t *testing.T) {
	h := newHouse(t)
	transformed(t, h, transformInput())
	require.Len(t, h.transforms, 2)
	require.NotEqual(t, h.transforms[0].Node.Node, h.transforms[1].Node.Node, "the hosts share the work")
	require.NotEqual(t, h.transforms[0].Key, h.transforms[1].Key, "two jobs")
	for _, r := range h.transforms {
		require.Equal(t, "1d", r.Preparation.ID)
		require.NotEmpty(t, r.Key)
		require.Zero(t, r.Token, "no lease")
	}
	require.Empty(t, h.leases())
	require.Len(t, h.joined, 1)
	require.Len(t, h.joined[0].Tasks, 2)
	now := status[models.PreparationStatus](t, h)
	require.Equal(t, []string{"2e", "1d"}, []string{now.ID, now.RawID}, "a collection keeps what either has left")
}

func TestWhatIsPreparedAlreadyIsNotPreparedAgain(t *testing.T) {
	h := newHouse(t)
	h.transformedBefore = 1
	transformed(t, h, transformInput())
	require.Len(t, h.transforms, 1)
	require.Equal(t, models.PartitionTask{From: 1, To: 2}, h.transforms[0].Task)
	require.Len(t, h.joined[0].Tasks, 2, "of all tasks")
}

func TestOneRunOfAPreparingProgramPerSource(t *testing.T) {
	h := newHouse(t)
	input := transformInput()
	input.Data.Prepare.Per = models.PreparePerSource
	transformed(t, h, input)
	require.Len(t, h.transforms, 1)
	require.Equal(t, models.PartitionTask{From: 0, To: 2}, h.transforms[0].Task)
}

func TestPreparingProgramsOnLeasedDevices(t *testing.T) {
	h := newHouse(t)
	input := transformInput()
	input.Data.Prepare.Resources = &models.Resources{Nodes: 1, GPUsPerNode: 1}
	transformed(t, h, input)
	require.Len(t, h.transforms, 2)
	require.Len(t, h.transforms[0].Node.Devices, 1)
	require.Len(t, h.leases(), 2)
	require.Len(t, h.sent(models.SignalReleaseLease), 2, "both are given back")
}

func TestPreparingProgramsAreRunElsewhereWhenAHostIsLost(t *testing.T) {
	h := newHouse(t)
	h.transforming = func(_ context.Context, call int) error {
		if call <= 2 {
			return fail(models.KindRankLost, "the program was killed")
		}
		return nil
	}
	transformed(t, h, transformInput())
	require.Len(t, h.transforms, 4)
	keys := map[string]bool{}
	for _, r := range h.transforms {
		keys[r.Key] = true
	}
	require.Len(t, keys, 4, "each try has a job of its own")
}

func TestAFailingPreparingProgramEndsTheOthers(t *testing.T) {
	h := newHouse(t)
	h.transforming = func(ctx context.Context, call int) error {
		if call > 1 {
			return fail(models.KindPreparationFailed, "line 3 is wrong")
		}
		<-ctx.Done() // or nobody would end this one
		return ctx.Err()
	}
	h.ExecuteWorkflow(models.PrepareDataWorkflow, transformInput())
	require.ErrorContains(t, h.GetWorkflowError(), "line 3 is wrong")
	require.Empty(t, h.joined)
}

func TestACancelledPreparationEndsItsPrograms(t *testing.T) {
	h := newHouse(t)
	h.transforming = func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return ctx.Err()
	}
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Second)
	h.ExecuteWorkflow(models.PrepareDataWorkflow, transformInput())
	require.Error(t, h.GetWorkflowError())
	require.Empty(t, h.joined)
}
