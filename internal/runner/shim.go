package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// shimJob is the content of job.json.
type shimJob struct {
	Job
	Fences fences `json:"fences"`
}

// RunShim is the life of a shim: it runs the job in dir, with the environments
// read from environments, and returns when everything has ended. Cancelling ctx
// stops the job. A job that another shim runs, or has run, is left alone.
func RunShim(ctx context.Context, dir string, environments io.Reader) error {
	// The kernel kills the processes when the thread that started them ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	s := &shim{dir: dir, exits: make(chan exited)}
	if _, err := readJSON(filepath.Join(dir, jobFile), &s.job); err != nil {
		return err
	}
	if err := s.readEnvironments(environments); err != nil {
		return err
	}
	// A watcher holds the lock for a moment when it looks whether it is free.
	waiting, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	own, err := waitLock(waiting, filepath.Join(dir, lockFile))
	if err != nil {
		return err
	}
	defer own.release()
	if _, found, err := readState(dir); err != nil || found {
		return err
	}
	if err := s.job.Fences.check(s.job.Job); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of orphaned processes: %w", err)
	}
	s.limit()
	s.memory.look()
	if err := s.start(); err != nil {
		return err
	}
	return s.supervise(ctx)
}

type shim struct {
	dir   string
	job   shimJob
	state State
	exits chan exited
	group *os.File // the job's cgroup; nil: none

	memory oomWatch

	running  int
	settleBy time.Time // when the others have to go after a failure; zero: no failure
	killBy   time.Time // when SIGKILL follows SIGTERM; zero: not stopping

	aliveAt time.Time // the modification time last seen
	seen    time.Time // when it was seen to change, on the monotonic clock

	reapedAt time.Time // when orphans were last looked for
}

type exited struct {
	index int
	state *os.ProcessState
	err   error
}

func (s *shim) readEnvironments(from io.Reader) error {
	var environments [][]string
	if err := json.NewDecoder(from).Decode(&environments); err != nil {
		return fmt.Errorf("read the environments: %w", err)
	}
	if len(environments) != len(s.job.Processes) {
		return fmt.Errorf("got %d environments for %d processes", len(environments), len(s.job.Processes))
	}
	for i, env := range environments {
		s.job.Processes[i].Env = env
	}
	return nil
}

func (s *shim) save() error { return writeJSON(filepath.Join(s.dir, stateFile), s.state) }

// reapEvery bounds how often the shim reads the whole process table: a server
// runs for weeks, and its supervisor should cost nothing.
const reapEvery = 2 * time.Second

// supervise turns exits, requests and deadlines into signals until nothing
// runs.
func (s *shim) supervise(ctx context.Context) error {
	const tick = 50 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	s.seen = time.Now()
	cancelled := ctx.Done()
	for s.running > 0 {
		select {
		case e := <-s.exits:
			s.running--
			if err := s.record(e); err != nil {
				return err
			}
		case <-cancelled:
			cancelled = nil
			s.stop("the shim was told to end", s.job.Grace)
		case now := <-ticker.C:
			s.look(now)
		}
	}
	s.reapAll()
	dissolve(s.job.Cgroup)
	s.state.Finished = true
	return s.save()
}

// look acts on everything that is not an event.
func (s *shim) look(now time.Time) {
	if now.Sub(s.reapedAt) >= reapEvery {
		s.reapedAt = now
		s.reapOrphans()
		s.memory.look()
	}
	var reason string
	if asked, err := readJSON(filepath.Join(s.dir, stopFile), &reason); asked && err == nil {
		s.stop(reason, s.job.Grace)
	}
	if !s.settleBy.IsZero() && now.After(s.settleBy) {
		// Without its peer a rank can't get far; what it could save is saved.
		s.stop("another process of the job failed", min(s.job.Grace, s.job.Settle))
	}
	if s.orphaned(now) {
		s.stop(fmt.Sprintf("%s for %s", ReasonOrphaned, s.job.Orphan), s.job.Grace)
	}
	if !s.killBy.IsZero() && now.After(s.killBy) {
		s.signal(unix.SIGKILL)
	}
}

// orphaned reports whether nobody has touched the job for too long. It
// measures on the monotonic clock, which stands still while the host sleeps.
func (s *shim) orphaned(now time.Time) bool {
	info, err := os.Stat(filepath.Join(s.dir, aliveFile))
	if err == nil && !info.ModTime().Equal(s.aliveAt) {
		s.aliveAt, s.seen = info.ModTime(), now
	}
	return now.Sub(s.seen) > s.job.Orphan
}

// stop asks every process to end, once; the first reason stays.
func (s *shim) stop(reason string, grace time.Duration) {
	if !s.killBy.IsZero() {
		return
	}
	s.killBy = time.Now().Add(grace)
	s.state.Stopping = reason
	s.signal(unix.SIGTERM)
	s.signal(unix.SIGCONT) // one that was stopped would not hear of it
	// Should the disk be full, the processes end all the same.
	if err := s.save(); err != nil {
		fmt.Fprintln(os.Stderr, "state not saved:", err)
	}
}

func (s *shim) record(e exited) error {
	exit := exitOf(e)
	exit.Asked = !s.killBy.IsZero()
	if exit.Signal == unix.SIGKILL.String() {
		exit.OOM = s.oom(exit.Asked)
	}
	s.state.Processes[e.index].Exit = &exit
	if exit.Failed() && s.settleBy.IsZero() {
		s.settleBy = time.Now().Add(s.job.Settle)
	}
	return s.save()
}

// oom says whether a killed process was killed for want of memory. The job's
// cgroup knows; without one, the host's count is evidence enough unless the shim
// itself kills.
func (s *shim) oom(asked bool) OOM {
	if s.job.Cgroup != "" {
		return groupOOM(s.job.Cgroup)
	}
	if !asked && s.memory.grew() {
		return OOMHost
	}
	return ""
}

func exitOf(e exited) Exit {
	exit := Exit{At: time.Now().UTC()}
	if e.err != nil {
		exit.Error = e.err.Error()
		return exit
	}
	if status, ok := e.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		exit.Signal = status.Signal().String()
		return exit
	}
	exit.Code = e.state.ExitCode()
	return exit
}

var errNotStarted = errors.New("not started, because another process of the job could not be")
