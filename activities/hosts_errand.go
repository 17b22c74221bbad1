package activities

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// errand is one program that a host runs to its end for what it leaves behind: a
// model's answers, or prepared data. Its steps can be interrupted anywhere:
//
//  1. What the program needs is fetched into caches and the job's directory.
//  2. The runner starts the job; from here on an attempt finds it and attaches.
//  3. What it has left is checked and stored, then the result is written beside
//     it. Only after that are local files removed: an attempt whose answer did
//     not arrive is followed by one that finds the result.
//
// A job that failed stays failed: whoever wants another try names another key or
// lease.
type errand struct {
	*phases
	h       *Hosts
	key     string // of the job
	dir     string // the job's
	process string // its name, and its log's
	words   errandWords
	argv    []string
	env     map[string]string // of the spec, to mask its secrets
	timeout time.Duration
	log     string // URI that the log is stored at; empty: nowhere
	// fault makes an error of the program's own failure.
	fault func(message, hint string) *models.Error
}

// errandWords is how an errand is spoken of.
type errandWords struct {
	noun    string // such as prediction
	section string // of the spec, such as evaluate.predict
	code    string // field of the spec that names its code
	lighter string // what takes less memory
}

// errandSteps is what differs from one kind of errand to the other.
type errandSteps[T any] struct {
	prepare  func(context.Context) (runner.Job, error)
	watch    func() // called again and again while the program runs; nil: nothing is
	conclude func(context.Context, *runner.Handle, runner.State) (T, error)
	leaves   []string // names in the job's directory that nobody needs afterwards
}

// carryOut runs an errand, or goes on with it. The caller has claimed its key.
func carryOut[T any](ctx context.Context, e *errand, steps errandSteps[T]) (none T, _ error) {
	if result, found, err := earlierResult[T](e.path(resultFile)); err != nil || found {
		return result, err
	}
	handle, err := e.start(ctx, steps.prepare)
	if err != nil {
		if cancelRequested(ctx) {
			return none, temporal.NewCanceledError()
		}
		return none, e.h.stuck(err)
	}
	state, err := e.follow(ctx, handle, steps.watch)
	if err != nil {
		return none, e.h.stuck(err)
	}
	e.storeLog(ctx)
	if cancelRequested(ctx) {
		return none, temporal.NewCanceledError()
	}
	if failed := e.ending(state); failed != nil {
		return none, e.masked(failed)
	}
	result, err := steps.conclude(ctx, handle, state)
	if err != nil {
		return none, err
	}
	if err := keepResult(e.path(resultFile), result); err != nil {
		return none, err
	}
	for _, name := range steps.leaves {
		if err := runner.Remove(e.path(name)); err != nil {
			slog.Warn("left over", "path", e.path(name), "error", err)
		}
	}
	return result, nil
}

func (e *errand) path(name string) string { return filepath.Join(e.dir, name) }

// start starts the job, or attaches to it.
func (e *errand) start(ctx context.Context, prepare func(context.Context) (runner.Job, error)) (*runner.Handle, error) {
	handle, found, err := e.h.Runner.Attach(e.key)
	if err != nil {
		return nil, err
	}
	if found {
		return handle, handle.Touch()
	}
	job, err := prepare(ctx)
	if err != nil {
		return nil, err
	}
	handle, _, err = e.h.Runner.Start(ctx, job)
	return handle, err
}

// job is the errand's program as the runner takes it.
func (e *errand) job(runs program, token int64, node models.LeaseNode) runner.Job {
	job := runner.Job{Key: e.key, Token: token, Grace: errandGrace, Orphan: e.h.Orphan, Processes: []runner.Process{{
		Name: e.process, Argv: runs.argv, Dir: runs.dir, Log: logPath(e.dir, e.process), Near: nearAny(node.Devices), Env: runs.env.list(),
	}}}
	leased(&job, node)
	return job
}

const errandGrace = 10 * time.Second

func (w errandWords) cancelled() string { return "the " + w.noun + " was cancelled" }

func (w errandWords) overdue() string {
	return "the " + w.noun + " took longer than " + w.section + ".timeout"
}

// follow waits for the program, for as long as the spec allows.
func (e *errand) follow(ctx context.Context, handle *runner.Handle, watch func()) (runner.State, error) {
	e.enter("running the program")
	return e.h.awaitJob(ctx, handle, e.words.cancelled(), func(runner.State) string {
		if watch != nil {
			watch()
		}
		if time.Since(handle.Began()) > e.timeout {
			return e.words.overdue()
		}
		return ""
	})
}

// storeLog puts the program's log where people find it. A log that can't be
// stored is no reason to fail.
func (e *errand) storeLog(ctx context.Context) {
	if e.log == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLogsLimit)
	defer cancel()
	ships := &logShipper{store: e.h.Store, mask: e.h.maskerOf(e.env), head: headKept, tail: tailKept}
	log := &shippedLog{path: logPath(e.dir, e.process)}
	if err := ships.storeWhole(ctx, log, e.log, e.path(e.process+".masked")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.Warn("log not stored", "job", e.key, "to", e.log, "error", err)
	}
}

// masked takes secrets out of a log's last lines in an error, which is kept in
// workflow histories.
func (e *errand) masked(failed *models.Error) error {
	ships := logShipper{mask: e.h.maskerOf(e.env)}
	ships.maskError(failed)
	return failed
}

// phases is what an activity is doing, for its heartbeat.
type phases struct {
	who string // it works for
	now atomic.Pointer[phase]
}

// phase is what is being done, for people, and its number.
type phase struct {
	text   string
	number int
}

// enter says what is being done now.
func (p *phases) enter(what string) {
	next := &phase{text: p.who + ": " + what}
	if before := p.now.Load(); before != nil {
		next.number = before.number + 1
	}
	p.now.Store(next)
}

// read is what the heartbeat tells.
func (p *phases) read() (string, int) {
	now := p.now.Load()
	return now.text, now.number
}
