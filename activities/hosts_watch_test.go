package activities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// watchBench is a watch over made-up files, at a made-up time.
type watchBench struct {
	*testing.T
	*watch
	at instant
}

func newWatchBench(t *testing.T) *watchBench {
	t.Helper()
	b := &watchBench{T: t, at: instant{wall: time.Date(2013, 8, 1, 12, 0, 0, 0, time.UTC), awake: time.Hour, boot: "b1"}}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, checkpointDir), 0o700); err != nil {
		t.Fatal(err)
	}
	b.watch = &watch{
		dir: dir, began: b.at.wall, limit: time.Minute, writing: map[string]time.Time{},
		logs: []string{filepath.Join(dir, "rank-0.log"), filepath.Join(dir, "rank-1.log")}, lines: []string{filepath.Join(dir, "p0"), filepath.Join(dir, "p1")},
	}
	return b
}

// replaced is what the next agent starts with.
func (b *watchBench) replaced() {
	old := b.watch
	old.save(b.at)
	b.watch = &watch{dir: old.dir, began: old.began, limit: old.limit, writing: map[string]time.Time{}, logs: old.logs, lines: old.lines}
}

// wrote adds a line to a file, as if now.
func (b *watchBench) wrote(path string) {
	b.Helper()
	before, _ := os.ReadFile(path)
	if err := errors.Join(os.WriteFile(path, append(before, "x\n"...), 0o600), os.Chtimes(path, b.at.wall, b.at.wall)); err != nil {
		b.Fatal(err)
	}
}

// pass lets time pass, looking every second.
func (b *watchBench) pass(d time.Duration) {
	for range d / time.Second {
		b.at.wall, b.at.awake = b.at.wall.Add(time.Second), b.at.awake+time.Second
		b.look(b.at)
	}
}

// away lets time pass without a look.
func (b *watchBench) away(d time.Duration) { b.at.wall, b.at.awake = b.at.wall.Add(d), b.at.awake+d }

func (b *watchBench) wantHang(want bool, when string) {
	b.Helper()
	if silence, got := b.silent(b.at); got != want {
		b.Errorf("%s: hangs is %v after %s of silence", when, got, silence)
	}
}

func TestOutputCountsUntilTheFirstProgress(t *testing.T) {
	b := newWatchBench(t)
	b.look(b.at)
	b.pass(59 * time.Second)
	b.wrote(b.logs[1])
	b.pass(59 * time.Second)
	b.wantHang(false, "a rank wrote in its log")
	b.wrote(b.lines[1])
	b.pass(40 * time.Second)
	b.wrote(b.logs[0])
	b.pass(15 * time.Second)
	b.wantHang(false, "within the limit after progress")
	b.pass(7 * time.Second)
	b.wantHang(true, "output is no progress any more")
	b.wrote(b.lines[0])
	b.pass(time.Second)
	b.wantHang(false, "another rank made progress")
}

func TestCheckpointIsProgressAndItsWritingIsTimed(t *testing.T) {
	b := newWatchBench(t)
	b.at.wall = time.Now() // a directory's own times can't be made up
	b.began = b.at.wall.Add(-time.Hour)
	b.pass(50 * time.Second)
	dir := filepath.Join(b.dir, checkpointDir, "step-7")
	if err := os.Mkdir(dir+".tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	time.Sleep(120 * time.Millisecond)
	if err := os.Rename(dir+".tmp", dir); err != nil {
		t.Fatal(err)
	}
	b.look(b.at)
	b.pass(50 * time.Second)
	b.wantHang(false, "a checkpoint appeared")
	b.look(b.at) // counts once
	b.noteUpload(7)
	b.replaced()
	b.look(b.at)
	report := b.report()
	if s := report.CheckpointSeconds; s < 0.1 || s > 5 {
		t.Errorf("%g s of writing, want a little more than 0.12", s)
	}
	if report.Checkpoint != 7 || time.Since(report.CheckpointAt) > 5*time.Second || report.CheckpointAt.IsZero() {
		t.Errorf("got %+v", report)
	}
}

func TestNextAgentCountsTheSilenceItDidNotHear(t *testing.T) {
	b := newWatchBench(t)
	b.wrote(b.lines[0])
	b.pass(10 * time.Second)
	b.replaced()
	b.away(55 * time.Second)
	b.look(b.at)
	b.wantHang(false, "nobody has listened yet")
	b.pass(9 * time.Second)
	b.wantHang(false, "it has not listened for long enough")
	b.pass(2 * time.Second)
	b.wantHang(true, "the silence began under the last agent")

	b.wrote(b.lines[0])
	b.away(50 * time.Second)
	b.replaced()
	b.look(b.at)
	b.pass(9 * time.Second)
	b.wantHang(false, "there was progress while nobody looked")
	b.pass(2 * time.Second)
	b.wantHang(true, "and none since")
}

func TestSleepAndClocksAreNoSilence(t *testing.T) {
	b := newWatchBench(t)
	b.wrote(b.lines[0])
	b.pass(30 * time.Second)
	b.at.wall = b.at.wall.Add(10 * time.Hour) // asleep, or set forward
	b.pass(20 * time.Second)
	b.wantHang(false, "the host slept")
	b.replaced()
	b.at.wall = b.at.wall.Add(10 * time.Hour)
	b.look(b.at)
	b.pass(5 * time.Second)
	b.wantHang(false, "the host slept between two agents")
	b.wrote(b.lines[0])
	b.at.wall = b.at.wall.Add(10 * time.Hour)
	b.pass(5 * time.Second)
	b.wantHang(false, "the host slept before the line was seen")
	b.wrote(b.lines[0])
	b.away(5 * time.Second)
	b.at.wall = b.at.wall.Add(10 * time.Hour)
	b.replaced()
	b.look(b.at)
	b.pass(15 * time.Second)
	b.wantHang(false, "it slept before the line was seen by the next agent")
	b.at.wall = b.at.wall.Add(-40 * time.Hour)
	b.pass(45 * time.Second)
	b.wantHang(true, "a clock that was set back hides nothing")

	b.wrote(b.lines[0])
	b.pass(time.Second)
	b.away(10 * time.Minute) // the agent itself stood still, and the ranks with it
	b.look(b.at)
	b.wantHang(false, "everything stood still")
	b.pass(time.Second)
	b.wrote(b.lines[0])
	b.pass(12 * time.Second)
	b.wantHang(false, "the ranks went on with the agent")
}

func TestWithoutALimitNothingHangs(t *testing.T) {
	b := newWatchBench(t)
	b.limit = 0
	b.look(b.at)
	b.pass(time.Hour)
	b.wantHang(false, "hang_timeout is 0")
}

func TestHungGangIsEnded(t *testing.T) {
	b := newHostBench(t)
	req := b.request("steps=3", "every=2", "hang=1")
	req.Train.HangTimeout, req.Train.Grace = models.Duration(700*time.Millisecond), models.Duration(300*time.Millisecond)
	began := time.Now()
	_, err := b.RunRanks(context.Background(), req)
	wantKind(t, err, models.KindRankLost, "no progress", "the last step was 3", "700ms", "RANK=0")
	report := wantReport(t, err, models.ExitHang)
	if report.Step != 3 || report.Checkpoint != 2 || report.LastProgress.IsZero() || report.Ended.Sub(report.LastProgress) < 700*time.Millisecond {
		t.Errorf("got %+v", report)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	b.noneLeft(req)
}

// The rank hangs while no agent watches; the next one has to notice.
func TestHangIsNoticedByTheNextAgent(t *testing.T) {
	b := newHostBench(t)
	req := b.request("steps=3", "hang=0")
	req.Train.HangTimeout, req.Train.Grace = models.Duration(2*time.Second), models.Duration(300*time.Millisecond)
	attempt, timeOut := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.RunRanks(attempt, req)
		done <- err
	}()
	b.eventually("the ranks report", func() bool { return b.metrics.count() == 3 })
	timeOut(errors.New("the attempt timed out"))
	wantKind(t, <-done, models.KindUnavailable)
	time.Sleep(1500 * time.Millisecond)

	began := time.Now()
	_, err := b.RunRanks(context.Background(), req)
	wantKind(t, err, models.KindRankLost, "no progress", "the last step was 3")
	report := wantReport(t, err, models.ExitHang)
	if took := time.Since(began); took > 4*time.Second {
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
			b := newHostBench(t)
			req := b.request(c.args...)
			if c.change != nil {
				c.change(&req)
			}
			_, err := b.RunRanks(context.Background(), req)
			wantKind(t, err, c.kind, c.says...)
			if report := wantReport(t, err, reason); report.Ended.IsZero() || len(c.args) > 0 && c.args[0] == "steps=2" && report.Step != 2 {
				t.Errorf("got %+v", report)
			}
		})
	}
	t.Run("fenced", func(t *testing.T) {
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
	if r.CheckpointSeconds < 0.1 || r.CheckpointSeconds > 5 {
		t.Errorf("%g s of writing checkpoints, want a little more than 2 × 0.05", r.CheckpointSeconds)
	}
	again, err := b.RunRanks(context.Background(), b.request("steps=4", "every=2", "slow=50ms", "model=distance"))
	if err != nil || !again.Report.Ended.Equal(r.Ended) || again.Report.CheckpointSeconds != r.CheckpointSeconds {
		t.Errorf("given again: %+v, %v", again.Report, err)
	}
}

func TestCancelledAttemptIsReportedToo(t *testing.T) {
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

func TestRanksSeeTheirCoresAndThreads(t *testing.T) {
	b := newHostBench(t)
	req := b.request("steps=1", "model=distance")
	req.Node.CPUMilli = 2500
	if _, err := b.RunRanks(context.Background(), req); err != nil {
		t.Fatal(err)
	}
	handle, found, err := b.Runner.Attach(newGang(b.Hosts, req).key)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	data, err := os.ReadFile(filepath.Join(handle.Dir(), "job.json"))
	if err != nil || !strings.Contains(string(data), `"cores":2,`) {
		t.Errorf("job.json is %s, %v", data, err)
	}
	for _, c := range []struct{ milli, ranks, local, want int }{{0, 2, 0, 1}, {900, 1, 0, 1}, {1000, 4, 0, 1}, {1999, 1, 0, 1}} {
		node := models.LeaseNode{CPUMilli: int64(c.milli), Devices: make([]models.Device, c.ranks)}
		if got := threads(node, c.local); got != c.want {
			t.Errorf("%+v: got %d threads", c, got)
		}
	}
}

func TestSharesOfDevicesReachTheRunner(t *testing.T) {
	node := 0
	var job runner.Job
	leased(&job, models.LeaseNode{CPUMilli: 4000, MemoryMiB: 512, Devices: []models.Device{{UUID: "a", Milli: 250}, {UUID: "b", Milli: 1000}, {UUID: "c"}}})
	if fmt.Sprint(job.Devices, job.Shares, job.Cores, job.MemoryMiB) != "[a b c] map[a:250] 4 512" {
		t.Errorf("got %+v", job)
	}
	if got := near(models.Device{CPUs: "4-7", NUMANode: &node}); got != "4-7" {
		t.Errorf("got %q", got)
	}
}

// signalBook remembers what pools were told, and can be out of order.
type signalBook struct {
	mu     sync.Mutex
	broken bool
	saved  []models.LeaseSaved
}

func (s *signalBook) SignalPool(_ context.Context, pool, signal string, message any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("the server is away")
	}
	if told, ok := message.(models.LeaseSaved); ok && pool == "p" && signal == models.SignalLeaseSaved {
		s.saved = append(s.saved, told)
	}
	return nil
}

func TestPoolHearsOfSavedWorkOnce(t *testing.T) {
	book := &signalBook{}
	s := &savedWork{pools: book, req: models.RunRanksRequest{Lease: "l", Pool: "p", Preemptible: true}}
	noon := time.Date(2013, 8, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at     time.Time
		broken bool
		sent   bool
	}{{time.Time{}, false, false}, {noon, true, false}, {noon, false, true}, {noon, false, false}, {noon.Add(-time.Hour), false, false}, {noon.Add(time.Hour), false, true}} {
		book.broken = c.broken
		s.at(c.at)
		if sent, err := s.tell(context.Background()); sent != c.sent || (err != nil) != c.broken {
			t.Errorf("at %s: sent %v, %v", c.at, sent, err)
		}
	}
	if len(book.saved) != 2 || book.saved[0] != (models.LeaseSaved{RequestID: "l", At: noon}) {
		t.Errorf("got %+v", book.saved)
	}
}

func TestPreemptibleGangTellsItsPool(t *testing.T) {
	b := newHostBench(t)
	book := &signalBook{}
	b.Pools = book
	gate := filepath.Join(b.dir, "go")
	req := b.request("steps=2", "every=2", "model=distance", "until="+gate)
	req.Lease, req.Pool, req.Preemptible = "l", "p", true
	done := make(chan error, 1)
	go func() {
		_, err := b.RunRanks(context.Background(), req)
		done <- err
	}()
	b.eventually("the pool knows", func() bool {
		book.mu.Lock()
		defer book.mu.Unlock()
		return len(book.saved) == 1 && time.Since(book.saved[0].At) < 20*time.Second
	})
	if err := os.WriteFile(gate, []byte("go"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
