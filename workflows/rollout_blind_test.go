package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// TestARolloutThatCannotReadCountersKeepsItsDeadline: one whose counters can't
// be read for good must not keep a weight for ever.
func TestARolloutThatCannotReadCountersKeepsItsDeadline(t *testing.T) {
	h := newHouse(t)
	h.OnActivity("ReadArms", mock.Anything, mock.Anything).Return(models.ArmReading{}, fail(models.KindUnavailable, "the gateway's counters can't be decoded"))
	input := blockInput()
	input.Deploy.Canary.StepDeadline = models.Duration(time.Hour)
	began := h.Now()
	h.RegisterDelayedCallback(h.CancelWorkflow, 24*time.Hour)
	result := runRollout(t, h, input)
	require.Equal(t, models.VerdictInconclusive, result.Verdict)
	require.Contains(t, result.Reason, "the gateways' counters can't be read: the gateway's counters can't be decoded")
	require.WithinDuration(t, began.Add(time.Hour), h.Now(), 15*time.Minute)
}

// TestOneLateLookDoesNotDecide: no worker was there to read before the deadline.
func TestOneLateLookDoesNotDecide(t *testing.T) {
	h := newHouse(t)
	late := 0
	h.OnActivity("ReadArms", mock.Anything, mock.Anything).Return(func(_ context.Context, r models.ReadArmsRequest) (models.ArmReading, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if late++; late < 20 {
			return models.ArmReading{}, fail(models.KindUnavailable, "the store is out")
		}
		return growing(20_000, 0, 0)(r), nil
	})
	input := rolloutInput("1")
	input.Deploy.Canary.Steps, input.Deploy.Canary.StepDeadline = []float64{10}, models.Duration(time.Minute)
	result := runRollout(t, h, input)
	require.Equal(t, models.VerdictPass, result.Verdict, result.Reason)
}

// TestLabelsThatCannotBeRead neither end nor promote what is safe otherwise.
func TestLabelsThatCannotBeRead(t *testing.T) {
	h := newHouse(t)
	tries := 0
	register(h, "ReadLosses", func(context.Context, models.ReadLossesRequest) (models.LossReading, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		tries++
		return models.LossReading{}, fail(models.KindInvalidSpec, `no answer has the output "chance"`)
	})
	h.blocksOf(sane(0))
	input := qualityInput()
	input.Deploy.Canary.StepDeadline = models.Duration(6 * time.Hour)
	result := runRollout(t, h, input)
	require.Equal(t, models.VerdictInconclusive, result.Verdict)
	require.Contains(t, result.Reason, `labels: the labels can't be read: no answer has the output "chance"`)
	require.Len(t, result.Steps, 1)
	require.Less(t, tries, 30, "ever more seldom")
}

// TestAReadingThatNeverEndsHoldsNothing: neither a step that has passed nor a
// new run, nor an order.
func TestAReadingThatNeverEndsHoldsNothing(t *testing.T) {
	stuck := func(h *house, after int) {
		calls := 0
		register(h, "ReadLosses", func(context.Context, models.ReadLossesRequest) (models.LossReading, error) {
			return models.LossReading{}, nil
		})
		if after > 0 {
			h.OnActivity("ReadLosses", mock.Anything, mock.Anything).Times(after).Return(func(_ context.Context, r models.ReadLossesRequest) (models.LossReading, error) {
				h.mu.Lock()
				defer h.mu.Unlock()
				calls++
				next := r.Since.Add(time.Duration(calls) * time.Hour)
				return models.LossReading{Next: next, Blocks: []models.LossBlock{{
					Start: next, Generation: r.Generations[len(r.Generations)-1],
					Champion: models.Moments{N: 1000, Sum: 300, SumSquares: 100}, Canary: models.Moments{N: 1000, Sum: 300 + float64(calls%2), SumSquares: 100},
				}}}, nil
			})
		}
		h.OnActivity("ReadLosses", mock.Anything, mock.Anything).After(24*time.Hour).Return(models.LossReading{}, nil)
		h.blocksOf(&traffic{champion: 300, canary: 20, championBad: 1}) // safe later than the losses
	}
	t.Run("pass", func(t *testing.T) {
		h := newHouse(t)
		stuck(h, 8)
		waited := false
		for minute := range 40 {
			h.RegisterDelayedCallback(func() {
				waited = waited || status[models.RolloutStatus](t, h).Waiting == "the labels that are being read"
			}, time.Duration(minute)*time.Minute+30*time.Second)
		}
		result := runRollout(t, h, qualityInput())
		require.Equal(t, models.VerdictPass, result.Verdict, result.Reason)
		require.True(t, waited, "a reading was under way")
	})
	t.Run("next run", func(t *testing.T) {
		h := newHouse(t)
		stuck(h, 0)
		h.RegisterDelayedCallback(h.CancelWorkflow, 24*time.Hour)
		require.NotNil(t, h.nextRun(t, qualityInput(), time.Hour).Prior)
	})
	t.Run("order", func(t *testing.T) {
		h := newHouse(t)
		stuck(h, 8)
		for minute := range 40 {
			h.RegisterDelayedCallback(func() {
				if status[models.RolloutStatus](t, h).Waiting == "the labels that are being read" {
					h.UpdateWorkflow(models.UpdateRollout, "", &verdict{}, ordered(models.RolloutAbort))
				}
			}, time.Duration(minute)*time.Minute+30*time.Second)
		}
		result := runRollout(t, h, qualityInput())
		require.Equal(t, models.VerdictFail, result.Verdict, result.Reason)
		require.Equal(t, "ada", result.By)
		require.Contains(t, result.Reason, "aborted by ada, who says: hotfix; against the evidence at 10 %")
	})
}
