package client

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func TestAPreparationIsTold(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	n := newNarrator(began)
	seen := observation{
		Status:  models.LifecycleStatus{Stage: models.StagePrepare, Started: map[models.Stage]time.Time{models.StagePrepare: began}},
		Prepare: &models.PreparationStatus{State: "preparing 10 partitions: 3 of 10 tasks done, 900 rows"},
	}
	lines := n.tell(seen, began.Add(time.Second))
	require.Contains(t, lines[len(lines)-1], "preparing 10 partitions: 3 of 10 tasks done, 900 rows")
	seen.Prepare.State = "preparing 10 partitions: 4 of 10 tasks done, 1200 rows"
	require.Empty(t, n.tell(seen, began.Add(2*time.Second)), "what moves all the time is thinned")

	for how, snapshot := range map[string]models.Snapshot{
		"nothing was read": {Unread: true, Reused: true},
		"the same as one from before: the rows were read and are unchanged": {Reused: true},
		"; warning: too many nulls":                                         {Checks: []models.CheckResult{{Message: "too many nulls"}, {Skipped: "no champion", Message: "never told"}}},
	} {
		text := describeSnapshot(snapshot)
		require.Contains(t, text, how)
		require.NotContains(t, text, "never told")
		require.LessOrEqual(t, strings.Count(text, "("), 1)
	}
	require.NotContains(t, describeSnapshot(models.Snapshot{}), "before")
}
