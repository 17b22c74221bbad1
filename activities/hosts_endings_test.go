package activities

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

func TestHungGangIsEnded(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.request("steps=3", "every=2", "hang=1")
	req.Train.HangTimeout, req.Train.Grace = models.Duration(2*time.Second), models.Duration(300*time.Millisecond)
	began := time.Now()
	_, err := b.RunRanks(context.Background(), req)
	wantKind(t, err, models.KindRankLost, "no progress", "the last step was 3", "(2s)", "RANK=0")
	report := wantReport(t, err, models.ExitHang)
	if report.Step != 3 || report.Checkpoint != 2 || report.LastProgress.IsZero() || report.Ended.Sub(report.LastProgress) < 2*time.Second {
		t.Errorf("got %+v", report)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	b.noneLeft(req)
}

// The rank hangs while no agent watches; the next one has to notice.
func TestHangIsNoticedByTheNextAgent(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.request("steps=3", "hang=0")
	req.Train.HangTimeout, req.Train.Grace = models.Duration(4*time.Second), models.Duration(300*time.Millisecond)
	attempt, timeOut := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.RunRanks(attempt, req)
		done <- err
	}()
	b.eventually("the ranks report", func() bool { return b.metrics.count() == 3 })
	timeOut(errors.New("the attempt timed out"))
	wantKind(t, <-done, models.KindUnavailable)
	time.Sleep(3 * time.Second)

	began := time.Now()
	_, err := b.RunRanks(context.Background(), req)
	wantKind(t, err, models.KindRankLost, "no progress", "the last step was 3")
	report := wantReport(t, err, models.ExitHang)
	if took := time.Since(began); took > 3800*time.Millisecond {
		t.Errorf("took %s: the silence before was not counted", took)
	}
	if report.FirstProgress.IsZero() || report.FirstProgress.After(report.LastProgress.Add(time.Second)) || report.Ended.IsZero() {
		t.Errorf("got %+v", report)
	}
	// An answer that got lost is given again, with the same figures.
	_, err = b.RunRanks(context.Background(), req)
	if again := wantReport(t, err, models.ExitHang); !again.Ended.Equal(report.Ended) || !again.FirstProgress.Equal(report.FirstProgress) {
		t.Errorf("got %+v, before %+v", again, report)
	}
}

func wantReport(t *testing.T, err error, reason models.ExitReason) models.AttemptReport {
	t.Helper()
	var rich *models.Error
	if !errors.As(err, &rich) {
		t.Fatalf("got %v", err)
	}
	report, ok := rich.Details.(models.AttemptReport)
	if !ok || report.Reason != reason {
		t.Fatalf("got details %+v, want reason %q", rich.Details, reason)
	}
	return report
}

func TestEveryFailureHasAReason(t *testing.T) {
	for reason, c := range map[models.ExitReason]struct {
		args   []string
		change func(*models.RunRanksRequest)
		kind   models.ErrorKind
		says   []string
	}{
		models.ExitDataError: {args: []string{"steps=2", "exit=65"}, kind: models.KindTrainingFailed, says: []string{"data is at fault", "reason 29"}},
		models.ExitStatus:    {args: []string{"steps=2", "exit=3"}, kind: models.KindTrainingFailed, says: []string{"exit status 3"}},
		models.ExitSignal:    {args: []string{"die=1"}, kind: models.KindRankLost, says: []string{"killed"}},
		models.ExitNoModel:   {args: []string{"steps=2"}, kind: models.KindModelRejected, says: []string{"no model"}},
		models.ExitTimeout: {args: []string{"steps=2", "until=/nowhere"}, kind: models.KindTrainingFailed, says: []string{"train.timeout"},
			change: func(r *models.RunRanksRequest) { r.Train.Timeout = models.Duration(time.Second) }},
		models.ExitNotStarted: {kind: models.KindTrainingFailed, says: []string{"command not found"},
			change: func(r *models.RunRanksRequest) { r.Train.Command = []string{"trian"} }},
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			b := newHostBench(t)
			req := b.request(c.args...)
			if c.change != nil {
				c.change(&req)
			}
			_, err := b.RunRanks(context.Background(), req)
			wantKind(t, err, c.kind, c.says...)
			if report := wantReport(t, err, reason); report.Ended.IsZero() || reason != models.ExitTimeout && len(c.args) > 0 && c.args[0] == "steps=2" && report.Step != 2 {
				t.Errorf("got %+v", report)
			}
		})
	}
	t.Run("fenced", func(t *testing.T) {
		t.Parallel()
		b := newHostBench(t)
		if _, err := b.RunRanks(context.Background(), b.request("steps=1", "model=distance")); err != nil {
			t.Fatal(err)
		}
		late := b.request()
		late.RunKey, late.Token = "def456", 4
		_, err := b.RunRanks(context.Background(), late)
		wantReport(t, err, models.ExitFenced)
	})
}

func TestReportOfAFinishedAttempt(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	began := time.Now()
	result, err := b.RunRanks(context.Background(), b.request("steps=4", "every=2", "slow=50ms", "model=distance"))
	if err != nil {
		t.Fatal(err)
	}
	r := result.Report
	within := func(at time.Time) bool { return !at.Before(began) && !at.After(time.Now()) }
	if r.Reason != models.ExitFinished || r.Step != 4 || !within(r.FirstProgress) || !within(r.LastProgress) || !within(r.Ended) || r.LastProgress.Before(r.FirstProgress) {
		t.Errorf("got %+v", r)
	}
	if r.CheckpointSeconds < 0.08 || r.CheckpointSeconds > 5 {
		t.Errorf("%g s of writing checkpoints, want about 2 × 0.05 or, on a busy host, more", r.CheckpointSeconds)
	}
	again, err := b.RunRanks(context.Background(), b.request("steps=4", "every=2", "slow=50ms", "model=distance"))
	if err != nil || !again.Report.Ended.Equal(r.Ended) || again.Report.CheckpointSeconds != r.CheckpointSeconds {
		t.Errorf("given again: %+v, %v", again.Report, err)
	}
}

func TestCancelledAttemptIsReportedToo(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.RunRanks(ctx, b.request("steps=2", "every=2", "until=/nowhere"))
		done <- err
	}()
	b.eventually("the ranks report", func() bool { return b.metrics.count() == 2 })
	cancel()
	var asked *temporal.CanceledError
	if err := <-done; !errors.As(err, &asked) {
		t.Fatalf("got %v", err)
	}
	var report models.AttemptReport
	if err := asked.Details(&report); err != nil || report.Reason != models.ExitCancelled || report.Step != 2 || report.Checkpoint != 3 {
		t.Errorf("got %+v, %v; want the checkpoint written on the way out", report, err)
	}
}
