package workflows

import (
	"testing"

	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

// wired is an error as it arrives from another process.
func wired(err error) error {
	wire := temporal.GetDefaultFailureConverter()
	return wire.FailureToError(wire.ErrorToFailure(err))
}

func ended(kind models.ErrorKind, report models.AttemptReport) error {
	return temporal.NewApplicationErrorWithOptions(string(report.Reason), string(kind), temporal.ApplicationErrorOptions{Details: []any{report}})
}

// TestTheCauseIsToldAndNotItsConsequence: hosts end in any order.
func TestTheCauseIsToldAndNotItsConsequence(t *testing.T) {
	memory := ended(models.KindTrainingFailed, models.AttemptReport{Reason: models.ExitOutOfMemory})
	host := ended(models.KindRankLost, models.AttemptReport{Reason: models.ExitOutOfMemory})
	lost := ended(models.KindRankLost, models.AttemptReport{Reason: models.ExitSignal})
	silent := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
	status := ended(models.KindTrainingFailed, models.AttemptReport{Reason: models.ExitStatus})
	asked := temporal.NewCanceledError()
	for name, c := range map[string]struct {
		errs []error
		in   []int // order of their ends
		want int
	}{
		"memory before lost ranks":          {[]error{lost, memory, asked}, []int{0, 1, 2}, 1},
		"memory, told first":                {[]error{lost, memory, asked}, []int{1, 2, 0}, 1},
		"the host's own want of memory":     {[]error{lost, host}, []int{0, 1}, 0},
		"a lost host before an exit status": {[]error{status, silent}, []int{0, 1}, 1},
		"an exit status before the asked":   {[]error{asked, nil, status}, []int{0, 1, 2}, 2},
		"the first among equals":            {[]error{lost, silent, lost}, []int{2, 1, 0}, 2},
		"nobody failed":                     {[]error{nil, nil}, []int{0, 1}, -1},
	} {
		require.Equal(t, c.want, tellsMost(&gang{errs: c.errs, ended: c.in}), name)
	}
}

func TestReportsAreFoundInEveryKindOfFailure(t *testing.T) {
	report := models.AttemptReport{Reason: models.ExitHang, Step: 40, Checkpoint: 30, CheckpointAt: dawn}
	require.Equal(t, report, reportOf(wired(ended(models.KindRankLost, report))))
	require.Equal(t, report, reportOf(wired(temporal.NewCanceledError(report))), "ranks that were asked to leave report as well")
	silent := wired(temporal.NewHeartbeatTimeoutError(models.RankProgress{Step: 50, Checkpoint: 45}))
	require.Equal(t, models.AttemptReport{Reason: models.ExitAgentLost, Step: 50, Checkpoint: 45}, reportOf(silent), "the last heartbeat is what is left")
	require.Zero(t, reportOf(wired(temporal.NewApplicationError("x", "y", "words"))), "details of another kind")
	require.Zero(t, reportOf(wired(temporal.NewCanceledError())))
}

// TestTimesComeFromRankZero: the host that failed knows why, that of rank 0
// when.
func TestTimesComeFromRankZero(t *testing.T) {
	leader := models.AttemptReport{Reason: models.ExitCancelled, FirstProgress: at(5), LastProgress: at(60), Step: 40, Checkpoint: 30,
		CheckpointAt: at(50), CheckpointSeconds: 2, Ended: at(70), Skipped: []string{"step-35"}}
	told := models.AttemptReport{Reason: models.ExitHang, Ended: at(75), Skipped: []string{"step-36"}}
	got := timesOf(&gang{results: make([]models.RanksResult, 2), errs: []error{temporal.NewCanceledError(leader), nil}}, told)
	want := leader
	want.Ended, want.Skipped = at(75), []string{"step-35", "step-36"}
	require.Equal(t, want, got)

	silent := &gang{results: make([]models.RanksResult, 2), errs: []error{temporal.NewCanceledError(), nil}}
	told.FirstProgress, told.Step = at(6), 20
	require.Equal(t, at(6), timesOf(silent, told).FirstProgress, "better than nothing")
}
