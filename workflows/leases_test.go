package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/workflows"
)

// borrower runs a holder that takes one lease.
func borrower(t *testing.T, maxWait time.Duration) *house {
	t.Helper()
	h := newHouse(t)
	h.borrow = func() error {
		h.ExecuteWorkflow("BorrowLeases", workflows.Borrowing{Until: h.Now().Add(time.Second), Hold: 2 * time.Second,
			Resources: models.Resources{Pool: "default", Nodes: 1, GPUsPerNode: 1, MaxWait: models.Duration(maxWait)}})
		return h.GetWorkflowError()
	}
	return h
}

func TestDeskRepeatsARequestLessAndLessOften(t *testing.T) {
	h := borrower(t, 0)
	var asked []time.Duration
	began := h.Now()
	h.pool = func(signal string, arg any) {
		if signal != models.SignalRequestLease {
			return
		}
		asked = append(asked, h.Now().Sub(began).Round(time.Second))
		if len(asked) == 6 {
			var request models.LeaseRequest
			decode(arg, &request)
			h.reply(request.Holder, models.SignalLeaseGranted, leaseOf(request, 1))
		}
	}
	require.NoError(t, h.borrow())
	for i, gap := range []time.Duration{30, 60, 120, 240, 300} {
		require.InDelta(t, (gap * time.Second).Seconds(), (asked[i+1] - asked[i]).Seconds(), 2)
	}
}

func TestDeskFailsWhenThePoolRefuses(t *testing.T) {
	h := borrower(t, 0)
	h.pool = func(signal string, arg any) {
		if signal == models.SignalRequestLease {
			var request models.LeaseRequest
			decode(arg, &request)
			h.reply(request.Holder, models.SignalLeaseRefused, models.LeaseRefused{RequestID: request.RequestID, Reason: "no host has 9 devices"})
		}
	}
	err := h.borrow()
	var refused *temporal.ApplicationError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, string(models.KindLeaseRefused), refused.Type())
	require.ErrorContains(t, err, "no host has 9 devices")
}

func TestDeskGivesUpAfterMaxWaitThoughThePoolIsSilent(t *testing.T) {
	h := borrower(t, 2*time.Minute)
	h.pool = func(string, any) {}
	err := h.borrow()
	require.ErrorContains(t, err, "longer than max_wait (2m0s)")
	require.Len(t, h.sent(models.SignalReleaseLease), 1, "the request is taken back")
}

func TestDeskWaitsForAPoolThatIsNotThere(t *testing.T) {
	h := borrower(t, 0)
	h.poolErr = fail(models.KindUnavailable, "pool default: workflow pool/default does not run")
	h.RegisterDelayedCallback(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.poolErr = nil
	}, time.Minute)
	require.NoError(t, h.borrow())
	require.Len(t, h.leases(), 1)
}

func TestDeskHandsBackALeaseThatNobodyWaitsFor(t *testing.T) {
	h := borrower(t, 0)
	h.pool = func(signal string, arg any) {
		if signal == models.SignalRequestLease {
			var request models.LeaseRequest
			decode(arg, &request)
			late := request
			late.RequestID = "of an earlier attempt"
			h.reply(request.Holder, models.SignalLeaseGranted, leaseOf(late, 1))
			h.reply(request.Holder, models.SignalLeaseGranted, leaseOf(request, 2))
		}
	}
	require.NoError(t, h.borrow())
	var back []string
	for _, s := range h.sent(models.SignalReleaseLease) {
		var release models.LeaseRelease
		decode(s.Arg, &release)
		back = append(back, release.RequestID)
	}
	require.Contains(t, back, "of an earlier attempt")
	require.Len(t, back, 2)
}
