package workflows_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

// noisy sends questions and their withdrawals: each makes two records.
func (h *house) noisy(n int) {
	for i := range n {
		at := time.Minute + time.Duration(i)*time.Second
		h.at(at, models.SignalRequestApproval, question("3"))
		h.at(at+time.Millisecond, models.SignalWithdraw, models.Withdrawal{LifecycleID: "lifecycle/m/3", Reason: fmt.Sprint(i)})
	}
}

// requireWhole checks archived and kept records as one chain.
func requireWhole(t *testing.T, h *house, s models.StewardStatus) (records int) {
	t.Helper()
	sequence, head := int64(0), ""
	var prior *models.AuditSegment
	for _, segment := range h.registry.archived {
		require.Equal(t, prior, segment.Prior)
		require.NoError(t, models.VerifyRecords(segment.Records, sequence, head))
		last := segment.Records[len(segment.Records)-1]
		sequence, head = last.Sequence, last.Hash
		prior = &models.AuditSegment{First: segment.Records[0].Sequence, Last: sequence, Head: head}
	}
	require.Equal(t, prior, s.Archive)
	require.NoError(t, models.VerifyRecords(s.Records, sequence, head))
	return int(sequence) + len(s.Records)
}

func TestOldRecordsAreArchivedAndNoneIsLost(t *testing.T) {
	h := newHouse(t)
	h.noisy(200)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	s := status[models.StewardStatus](t, h)
	require.Len(t, h.registry.archived, 4)
	require.Len(t, h.registry.archived[0].Records, 50)
	require.Less(t, len(s.Records), 250)
	require.GreaterOrEqual(t, len(s.Records), 200)
	require.Equal(t, 402, requireWhole(t, h, s), "two for each question, the claim, and that 3 is no challenger any more")
}

func TestRecordsThatCanNotBeArchivedStay(t *testing.T) {
	h := newHouse(t)
	calls := 0
	h.OnActivity("ArchiveRecords", mock.Anything, mock.Anything).Return(
		func(context.Context, models.ArchiveRecordsRequest) (models.AuditSegment, error) {
			calls++
			return models.AuditSegment{}, fail(models.KindInvalidSpec, "somebody wrote to the archive")
		})
	h.noisy(200)
	h.runSteward(h.holding(threeVersions()), time.Hour)
	s := status[models.StewardStatus](t, h)
	require.Equal(t, 402+calls, len(s.Records), "each failure is recorded")
	require.Contains(t, s.Records[250].Reason, "records 1 to 50 are not archived, and kept here: somebody wrote to the archive")
	require.NoError(t, models.VerifyRecords(s.Records, 0, ""))
	require.Nil(t, s.Archive)
	require.Equal(t, 4, calls, "tried again now and then, not at each record")
}

func TestTheFirstRecordAfterAnArchiveFollowsIt(t *testing.T) {
	h := newHouse(t)
	state := threeVersions()
	state.Archive = &models.AuditSegment{First: 1, Last: 50, Head: "f00d"}
	h.at(time.Second, models.SignalRequestApproval, question("3"))
	h.runSteward(h.holding(state), time.Minute)
	require.NoError(t, models.VerifyRecords(status[models.StewardStatus](t, h).Records, 50, "f00d"))
}

func TestWhatIsWrittenIntoTheRecordIsBounded(t *testing.T) {
	h := newHouse(t)
	long := strings.Repeat("ä", 5000)
	for by, reason := range map[string]string{"ada": long, long: "why"} {
		g := order[models.RollBackResult](h, time.Second, models.UpdateRollBack, models.RollBackOrder{By: by, Reason: reason})
		defer func() { require.ErrorContains(t, g.err, "use at most") }()
	}
	h.at(2*time.Second, models.SignalRequestApproval, question("3"))
	h.at(3*time.Second, models.SignalWithdraw, models.Withdrawal{LifecycleID: "lifecycle/m/3", Reason: long})
	h.runSteward(h.holding(threeVersions()), time.Minute)
	for _, r := range status[models.StewardStatus](t, h).Records {
		require.Less(t, len(r.Reason), 2100)
		require.True(t, utf8.ValidString(r.Reason))
	}
}

func TestALongBacklogIsArchivedInParts(t *testing.T) {
	h := newHouse(t)
	state := threeVersions()
	for i := range 700 {
		sequence, head := int64(i), ""
		if i > 0 {
			head = state.Records[i-1].Hash
		}
		state.Records = append(state.Records, models.Record{Action: models.ActionRefused, Reason: fmt.Sprint(i)}.Follow(sequence, head))
	}
	h.runSteward(h.holding(state), time.Minute)
	require.Len(t, h.registry.archived, 5)
	require.Len(t, h.registry.archived[0].Records, 100)
	require.Equal(t, 700, requireWhole(t, h, status[models.StewardStatus](t, h)))
}
