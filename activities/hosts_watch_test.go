package activities

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
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
