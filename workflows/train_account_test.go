package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mainspring-ml/mainspring/models"
)

var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(s float64) time.Time { return dawn.Add(seconds(s)) }

// TestAccountSplitsALease: two devices for 100 seconds, 200 GPU-seconds.
func TestAccountSplitsALease(t *testing.T) {
	report := models.AttemptReport{FirstProgress: at(10), LastProgress: at(80), Step: 70, Ended: at(90), CheckpointSeconds: 5}
	saved := report
	saved.Checkpoint, saved.CheckpointAt = 50, at(60)
	unseen := report
	unseen.Checkpoint = 35 // of 70 steps, between the moments 10 and 80
	early := saved
	early.FirstProgress, early.Ended = at(-30), at(500) // another host's clock
	for name, c := range map[string]struct {
		reason models.ExitReason
		report models.AttemptReport
		from   int64
		want   models.GPUAccount
	}{
		"finished: all counts, the tail stored the model":   {models.ExitFinished, report, 0, models.GPUAccount{Starting: 20, Computing: 150, Checkpointing: 30}},
		"finished without a word":                           {models.ExitFinished, models.AttemptReport{}, 0, models.GPUAccount{Computing: 200}},
		"failed without a checkpoint":                       {models.ExitSignal, report, 0, models.GPUAccount{Starting: 20, Lost: 180}},
		"failed after a checkpoint":                         {models.ExitSignal, saved, 0, models.GPUAccount{Starting: 20, Computing: 90, Checkpointing: 10, Lost: 80}},
		"failed after a checkpoint that nobody saw written": {models.ExitHang, unseen, 0, models.GPUAccount{Starting: 20, Computing: 60, Checkpointing: 10, Lost: 110}},
		"failed before it got beyond where it began":        {models.ExitSignal, saved, 50, models.GPUAccount{Starting: 20, Lost: 180}},
		"never progressed":                                  {models.ExitHang, models.AttemptReport{Ended: at(90)}, 0, models.GPUAccount{Lost: 200}},
		"preempted: the tail stored the checkpoint":         {models.ExitPreempted, saved, 0, models.GPUAccount{Starting: 20, Computing: 90, Checkpointing: 30, Lost: 60}},
		"agent lost, nothing known":                         {models.ExitAgentLost, models.AttemptReport{}, 0, models.GPUAccount{Lost: 200}},
		"clocks that disagree":                              {models.ExitSignal, early, 0, models.GPUAccount{Computing: 110, Checkpointing: 10, Lost: 80}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Waiting = 14
			u := newUsage(models.AttemptSummary{GPUs: 2, Began: at(0), Ended: at(100), From: c.from, Reason: c.reason}, 7*time.Second, c.report)
			requireAccount(t, c.want, u.account())
		})
	}
}

func requireAccount(t require.TestingT, want, got models.GPUAccount) {
	const tolerance = 1e-6
	require.InDelta(t, want.Waiting, got.Waiting, tolerance, "waiting")
	require.InDelta(t, want.Starting, got.Starting, tolerance, "starting")
	require.InDelta(t, want.Computing, got.Computing, tolerance, "computing")
	require.InDelta(t, want.Checkpointing, got.Checkpointing, tolerance, "checkpointing")
	require.InDelta(t, want.Lost, got.Lost, tolerance, "lost")
}

// TestLostWorkIsWhatIsRepeated: three attempts on one device, 100 seconds each.
// Which of their work counts is known when the next one resumes.
func TestLostWorkIsWhatIsRepeated(t *testing.T) {
	attempt := func(n int, from int64, checkpoint int64, checkpointAt float64) usage {
		begin := float64(n) * 1000
		report := models.AttemptReport{FirstProgress: at(begin), Ended: at(begin + 100), Checkpoint: checkpoint, Step: checkpoint + 5}
		if checkpoint > 0 {
			report.CheckpointAt = at(checkpointAt)
		}
		return newUsage(models.AttemptSummary{Attempt: n, GPUs: 1, Began: at(begin), Ended: at(begin + 100), From: from, Reason: models.ExitSignal}, 0, report)
	}
	lost := func(l ledger) (all []float64) {
		for _, s := range l.summaries() {
			all = append(all, s.Account.Lost)
		}
		return all
	}
	var l ledger
	l.resumed(models.Checkpoint{})
	l.close(attempt(1, 0, 40, 1040))
	require.Equal(t, []float64{60}, lost(l), "until more is known the report's word counts")
	l.resumed(models.Checkpoint{Step: 60, At: at(1070)})
	require.Equal(t, []float64{30}, lost(l), "a later one was stored after the report")
	l.close(attempt(2, 60, 90, 2080))
	l.resumed(models.Checkpoint{Step: 90, At: at(2085)})
	require.Equal(t, []float64{30, 20}, lost(l), "the report knows better when it was complete than the store")
	l.close(attempt(3, 90, 0, 0))
	l.resumed(models.Checkpoint{Step: 40, At: at(1040)})
	require.Equal(t, []float64{60, 100, 100}, lost(l), "all newer ones were damaged: their work is done again")
	require.InDelta(t, 300, l.total().Leased(), 1e-9)
}

func TestOlderAttemptsAreInTheSumOnly(t *testing.T) {
	var l ledger
	for n := range keptAttempts + 5 {
		l.close(newUsage(models.AttemptSummary{Attempt: n + 1, GPUs: 0.5, Began: at(0), Ended: at(10), Reason: models.ExitSignal}, time.Second, models.AttemptReport{}))
	}
	l.waitedInVain(0.5, 4*time.Second)
	require.Len(t, l.summaries(), keptAttempts)
	require.Equal(t, 6, l.summaries()[0].Attempt)
	requireAccount(t, models.GPUAccount{Waiting: 14.5, Lost: 125}, l.total())
}

// TestAccountsAddUp: whatever the clocks and reports say, no part is negative
// and the parts are what was leased, also after checkpoints turned out damaged.
func TestAccountsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.Bool().Draw(t, "unknown") {
				return time.Time{}
			}
			return at(rapid.Float64Range(-1e4, 1e4).Draw(t, "moment"))
		})
		step := rapid.Int64Range(0, 30)
		reasons := []models.ExitReason{models.ExitFinished, models.ExitPreempted, models.ExitPaused, models.ExitCancelled,
			models.ExitSignal, models.ExitHang, models.ExitAgentLost, models.ExitStatus, models.ExitLeaseLost}
		var l ledger
		leased := 0.0
		for n := range rapid.IntRange(1, 30).Draw(t, "attempts") {
			from := step.Draw(t, "from")
			if n > 0 {
				l.resumed(models.Checkpoint{Step: from, At: moment.Draw(t, "stored")})
			}
			began := rapid.Float64Range(-1e3, 1e3).Draw(t, "began")
			took := rapid.Float64Range(0, 1e3).Draw(t, "took")
			gpus := float64(rapid.IntRange(1, 16000).Draw(t, "milli")) / 1000
			summary := models.AttemptSummary{GPUs: gpus, Began: at(began), Ended: at(began + took), From: from, Reason: rapid.SampledFrom(reasons).Draw(t, "reason")}
			leased += gpus * summary.Ended.Sub(summary.Began).Seconds()
			l.close(newUsage(summary, seconds(rapid.Float64Range(-1, 1e3).Draw(t, "waited")), models.AttemptReport{
				FirstProgress: moment.Draw(t, "first"), LastProgress: moment.Draw(t, "last"), Step: step.Draw(t, "step"),
				Checkpoint: step.Draw(t, "checkpoint"), CheckpointAt: moment.Draw(t, "checkpoint at"),
				CheckpointSeconds: rapid.Float64Range(-10, 1e4).Draw(t, "checkpointing"), Ended: moment.Draw(t, "ended"),
			}))
			for _, s := range l.summaries() {
				a := s.Account
				require.GreaterOrEqual(t, min(a.Waiting, a.Starting, a.Computing, a.Checkpointing, a.Lost), 0.0, "%+v", s)
			}
			require.InDelta(t, leased, l.total().Leased(), 1e-6*(1+leased))
		}
	})
}

func TestDevicesCountByTheirShare(t *testing.T) {
	lease := models.Lease{Nodes: []models.LeaseNode{{Devices: []models.Device{{}, {Milli: 250}}}, {Devices: []models.Device{{Milli: 250}}}}}
	require.InDelta(t, 1.5, leasedGPUs(lease), 1e-12)
	for _, c := range []struct {
		want float64
		r    models.Resources
	}{
		{1, models.Resources{}},
		{16, models.Resources{Nodes: 4, MinNodes: 2, GPUsPerNode: 8}},
		{6, models.Resources{GPUs: 6}},
		{2, models.Resources{UUIDs: []string{"a", "b"}}},
		{0.5, models.Resources{GPUsPerNode: 2, GPUMilli: 250}},
	} {
		require.InDelta(t, c.want, wantedGPUs(c.r), 1e-12, "%+v", c.r)
	}
}

func TestBudget(t *testing.T) {
	b := newBudget(models.Budget{GPUSeconds: 100})
	left, limited := b.left(40, 4)
	require.True(t, limited)
	require.Equal(t, 15*time.Second, left)
	require.False(t, b.usedUp(99))
	require.True(t, b.usedUp(99.9), "less than half a GPU-second is no lease")
	left, _ = b.left(120, 4)
	require.Zero(t, left)

	require.True(t, b.add(models.TopUp{ID: "a", GPUSeconds: 50}))
	require.False(t, b.add(models.TopUp{ID: "a", GPUSeconds: 50}), "the same top-up twice")
	require.True(t, b.add(models.TopUp{ID: "b", GPUSeconds: 25}))
	require.True(t, b.add(models.TopUp{GPUSeconds: 1}))
	require.True(t, b.add(models.TopUp{GPUSeconds: 1}), "without an ID each counts")
	require.False(t, b.add(models.TopUp{ID: "c", GPUSeconds: -5}))
	require.Equal(t, int64(177), b.limit)
	require.True(t, b.add(models.TopUp{ID: "d", GPUSeconds: 1<<63 - 1}))
	require.Positive(t, b.limit)
	_, limited = b.left(0, 1)
	require.False(t, limited, "longer than any training")

	none := newBudget(models.Budget{})
	require.False(t, none.add(models.TopUp{ID: "a", GPUSeconds: 50}), "no limit stays none")
	_, limited = none.left(1e9, 8)
	require.False(t, limited)
	require.False(t, none.usedUp(1e9))
}
