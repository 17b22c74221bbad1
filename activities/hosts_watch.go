package activities

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// watch knows when a gang last showed progress, by what its ranks leave on disk:
// lines of progress and checkpoints and, before the first of these, output. That
// survives this agent. What can't be read again later is kept in watch.json.
//
// Silence is counted on a clock that stands still while the host sleeps, and
// that nobody sets.
type watch struct {
	dir   string
	logs  []string // of the ranks here
	lines []string // their files of progress
	began time.Time
	// limit is train.hang_timeout; 0: silence is not judged.
	limit time.Duration

	kept   watchRecord
	loaded bool
	dirty  bool
	savedAt,
	seenAt, // of the last look
	steadyFrom time.Duration // since when it has looked without a gap
	writing map[string]time.Time // when a checkpoint in the making was first seen
}

// watchRecord is the content of watch.json.
type watchRecord struct {
	FirstProgress time.Time `json:"first_progress,omitzero"`
	LastProgress  time.Time `json:"last_progress,omitzero"`
	// Written is the newest complete checkpoint that Seconds counts.
	Written   int64     `json:"written"`
	WrittenAt time.Time `json:"written_at,omitzero"`
	Seconds   float64   `json:"seconds"`
	Uploaded  int64     `json:"uploaded"`
	// UploadedAt is when that checkpoint was complete.
	UploadedAt time.Time `json:"uploaded_at,omitzero"`

	// Sign is the last sign of life, Since when it was seen on the clock of Boot.
	Sign  lifeSign      `json:"sign"`
	Since time.Duration `json:"since"`
	Boot  string        `json:"boot"`
}

// lifeSign grows with progress. It is made of sizes, as times may go back.
type lifeSign struct {
	Lines  int64 `json:"lines"`  // bytes of progress
	Step   int64 `json:"step"`   // newest complete checkpoint
	Output int64 `json:"output"` // bytes of logs; 0 once there is progress
}

const (
	watchFile = "watch.json"
	// watchGap is how long may lie between two looks of an agent that is at it.
	watchGap = 5 * time.Second
	// saveWatchEvery bounds how often watch.json is written.
	saveWatchEvery = 2 * time.Second
)

// instant is a moment on both clocks.
type instant struct {
	wall  time.Time
	awake time.Duration // since boot, without sleep
	boot  string
}

func now() instant {
	var ts unix.Timespec
	at := instant{wall: time.Now()}
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) == nil {
		at.awake = time.Duration(ts.Nano())
	}
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		at.boot = strings.TrimSpace(string(id))
	}
	return at
}

func newWatch(g *gang, handle *runner.Handle) *watch {
	w := &watch{dir: g.dir, began: handle.Began(), writing: map[string]time.Time{}}
	for local := range g.req.Node.Devices {
		w.logs = append(w.logs, logPath(g.dir, g.rankName(local)))
		w.lines = append(w.lines, g.path(progressFile(local)))
	}
	// A gang computes in step: where one rank hangs, rank 0 falls silent. The
	// ranks of other hosts may have nothing to tell even when all is well.
	if g.leads() {
		w.limit = g.req.Train.HangTimeout.Std()
	}
	return w
}

// look takes in what is new.
func (w *watch) look(at instant) {
	if !w.loaded {
		w.load()
	}
	first := w.steadyFrom == 0 && w.seenAt == 0
	if first || at.awake-w.seenAt > watchGap {
		w.steadyFrom = at.awake
	}
	w.seenAt = at.awake
	w.countCheckpoints()

	lines, lineBytes := newestOf(w.lines)
	output, outputBytes := newestOf(w.logs)
	if lineBytes > 0 && !lines.Equal(w.kept.LastProgress) {
		w.kept.LastProgress, w.dirty = lines, true
	}
	sign, changed := lifeSign{Lines: lineBytes, Step: w.kept.Written}, latest(lines, w.kept.WrittenAt)
	if lineBytes == 0 && w.kept.Written == 0 {
		sign.Output, changed = outputBytes, latest(w.began, output)
	}
	w.notice(sign, changed, at, first)
	if w.dirty && (first || at.awake-w.savedAt >= saveWatchEvery) {
		w.save(at)
	}
}

// notice dates the last sign of life. What changed while nobody looked is dated
// by its file, but not before what was noticed earlier.
func (w *watch) notice(sign lifeSign, changed time.Time, at instant, first bool) {
	switch known := at.boot == w.kept.Boot; {
	case known && sign == w.kept.Sign:
		return
	case first:
		since := at.awake - max(0, at.wall.Sub(changed))
		if known {
			since = max(since, w.kept.Since)
		}
		w.kept.Since = since
	default:
		w.kept.Since = at.awake
	}
	w.kept.Sign, w.kept.Boot, w.dirty = sign, at.boot, true
}

// silent returns how long the gang has shown no progress, and whether that is
// too long. A moment's attention comes first: after a sleep or a pause of the
// whole host the ranks need as much time to stir as this agent did.
func (w *watch) silent(at instant) (time.Duration, bool) {
	silence := at.awake - w.kept.Since
	steady := at.awake - w.steadyFrom
	return silence, w.limit > 0 && silence > w.limit && steady >= min(w.limit/2, 2*watchGap)
}

// noteLine dates the first line of progress. A line's own time is believed when
// it lies within the job's life; else the file's age tells.
func (w *watch) noteLine(at time.Time, path string) {
	if !w.loaded {
		w.load()
	}
	if !w.kept.FirstProgress.IsZero() {
		return
	}
	const slack = time.Second
	wall := time.Now()
	if at.Before(w.began.Add(-slack)) || at.After(wall.Add(slack)) {
		at = born(path)
	}
	if at.Before(w.began) || at.After(wall) {
		at = wall
	}
	w.kept.FirstProgress, w.dirty = at.UTC(), true
}

// noteUpload remembers the newest checkpoint in the store.
func (w *watch) noteUpload(step int64) {
	if step <= w.kept.Uploaded {
		return
	}
	at := time.Now()
	if _, done, ok := checkpointTimes(filepath.Join(w.dir, checkpointDir, stepName(step))); ok {
		at = done
	}
	w.kept.Uploaded, w.kept.UploadedAt, w.dirty = step, at.UTC(), true
}

// newestOf returns the latest modification of the files and their size in all.
func newestOf(paths []string) (newest time.Time, size int64) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			newest, size = latest(newest, info.ModTime().UTC()), size+info.Size()
		}
	}
	return newest, size
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// report is what is known of the attempt's times.
func (w *watch) report() models.AttemptReport {
	return models.AttemptReport{
		FirstProgress: w.kept.FirstProgress, LastProgress: w.kept.LastProgress,
		Checkpoint: w.kept.Uploaded, CheckpointAt: w.kept.UploadedAt, CheckpointSeconds: w.kept.Seconds,
	}
}

func (w *watch) load() {
	w.loaded = true
	data, err := os.ReadFile(filepath.Join(w.dir, watchFile))
	if err == nil {
		err = json.Unmarshal(data, &w.kept)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.Warn("what an earlier agent knew of the ranks is not readable", "dir", w.dir, "error", err)
		w.kept = watchRecord{}
	}
}

// save replaces watch.json. Should it fail, a later agent knows less.
func (w *watch) save(at instant) {
	w.dirty, w.savedAt = false, at.awake
	data, err := json.Marshal(w.kept)
	partial := filepath.Join(w.dir, watchFile+".partial")
	if err == nil {
		err = errors.Join(os.WriteFile(partial, data, 0o600), os.Rename(partial, filepath.Join(w.dir, watchFile)))
	}
	if err != nil {
		slog.Warn("what is known of the ranks is not kept", "dir", w.dir, "error", err)
	}
}

// hangText is the reason of a stop for silence; whoever attaches later finds it
// in the job's state.
func (w *watch) hangText(silence time.Duration, step int64) string {
	last := "it never showed any"
	switch {
	case step > 0:
		last = fmt.Sprintf("the last step was %d", step)
	case !w.kept.LastProgress.IsZero() || w.kept.Written > 0:
		last = "it had begun"
	}
	return fmt.Sprintf("%s: none for %s, and %s", reasonHang, silence.Round(100*time.Millisecond), last)
}
