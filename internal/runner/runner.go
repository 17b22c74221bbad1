package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Runner starts jobs below Root and finds them again. Any number of runners,
// in any number of processes, may share a root.
type Runner struct {
	Root string
	// Shim is the command that runs RunShim, to which "--dir <job>" is appended.
	// Default: this program's subcommand shim.
	Shim []string
	// Cgroups is the cgroup v2 directory below which jobs with a memory limit get
	// theirs. Default: found by package cgroup, which may move this process.
	Cgroups string
}

const (
	// ReasonFenced is State.Stopping of a job that had to make way for a newer one.
	ReasonFenced = "a newer lease took its device"
	// ReasonOrphaned is how State.Stopping begins when the agent did not come back.
	ReasonOrphaned = "nobody watched over the job"
)

const (
	// startLimit bounds the time from starting a shim to its first state.
	startLimit = 20 * time.Second
	// keepEnded is how long the directory of an ended job stays for people who
	// look for its logs.
	keepEnded = 24 * time.Hour
)

// Dir is the job's directory, whether or not it exists.
func (r Runner) Dir(key string) string { return filepath.Join(r.jobs(), key) }

func (r Runner) jobs() string { return filepath.Join(r.Root, "jobs") }

func (r Runner) fences() fences { return fences(filepath.Join(r.Root, "fences")) }

// Start starts the job, or attaches to it when it was started before, whether
// or not it still runs. It returns once the shim watches over the job; jobs
// with an older token on the same devices have ended by then. A *models.Error
// with KindStaleFence says that a newer job has a device.
func (r Runner) Start(ctx context.Context, job Job) (handle *Handle, attached bool, err error) {
	if err := job.validate(); err != nil {
		return nil, false, err
	}
	job = job.withDefaults()
	release, err := r.fences().hold(ctx, job.Devices)
	if err != nil {
		return nil, false, err
	}
	defer release()
	handle = &Handle{dir: r.Dir(job.Key), job: job}
	state, found, err := readState(handle.dir)
	if err != nil || found && state.Finished {
		return handle, found, err
	}
	if found {
		// It has its claim, unless it had to make way and has not noticed.
		return handle, true, errors.Join(r.fences().check(job), handle.Touch())
	}
	if err := r.claim(ctx, job); err != nil {
		return nil, false, err
	}
	r.prune()
	return handle, false, r.launch(ctx, handle)
}

// Attach finds a job that was started before.
func (r Runner) Attach(key string) (*Handle, bool, error) {
	handle := &Handle{dir: r.Dir(key)}
	found, err := readJSON(filepath.Join(handle.dir, jobFile), &handle.job)
	if err != nil || !found {
		return nil, false, err
	}
	if _, found, err = readState(handle.dir); err != nil || !found {
		return nil, false, err
	}
	return handle, true, nil
}

// claim raises the fences and ends the jobs that have to make way, in this
// order.
func (r Runner) claim(ctx context.Context, job Job) error {
	if err := r.fences().raise(job, r.over); err != nil {
		return err
	}
	others, err := r.list()
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.job.Key == job.Key || !slices.ContainsFunc(other.job.Devices, func(d string) bool { return slices.Contains(job.Devices, d) }) {
			continue
		}
		// Not only those that have to make way now: whoever had to before may
		// have lost its starter before that one ended it.
		var stale *models.Error
		if err := r.fences().check(other.job); err == nil {
			continue
		} else if !errors.As(err, &stale) {
			return err
		}
		if _, err := other.Stop(ctx, ReasonFenced); err != nil {
			return fmt.Errorf("end the older job %s: %w", other.job.Key, err)
		}
	}
	return nil
}

// over reports whether the job with a key does not run. A job that was written
// down and never started is over: should its shim come after all, it finds no
// claim.
func (r Runner) over(key string) (bool, error) {
	handle := &Handle{dir: r.Dir(key)}
	found, err := readJSON(filepath.Join(handle.dir, jobFile), &handle.job)
	if err != nil || !found {
		return true, err
	}
	free, err := tryLock(filepath.Join(handle.dir, lockFile), true)
	if errors.Is(err, errHeld) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	free.release()
	if _, found, err = readState(handle.dir); err != nil || !found {
		return true, err
	}
	_, ended, err := handle.Poll() // ends what a killed shim has left
	return ended, err
}

// list returns every job whose directory is complete, ended or not.
func (r Runner) list() ([]*Handle, error) {
	paths, err := filepath.Glob(filepath.Join(r.jobs(), "*", jobFile))
	if err != nil {
		return nil, err
	}
	var handles []*Handle
	for _, path := range paths {
		handle := &Handle{dir: filepath.Dir(path)}
		found, err := readJSON(path, &handle.job)
		if err != nil {
			return nil, err
		}
		if found {
			handles = append(handles, handle)
		}
	}
	return handles, nil
}

// launch writes the job and starts its shim in a session of its own.
func (r Runner) launch(ctx context.Context, handle *Handle) error {
	if err := os.MkdirAll(handle.dir, 0o700); err != nil {
		return err
	}
	job := handle.job
	job.Processes = slices.Clone(job.Processes) // placing writes to them
	release, err := r.place(ctx, &job)
	if err != nil {
		return err
	}
	defer release()
	handle.job = job
	if err := writeJSON(filepath.Join(handle.dir, jobFile), shimJob{Job: job, Fences: r.fences()}); err != nil {
		return err
	}
	if err := handle.Touch(); err != nil {
		return err
	}
	environments := make([][]string, len(job.Processes))
	for i, p := range job.Processes {
		environments[i] = append(slices.Clone(p.Env), mark(handle.dir))
	}
	secret, err := json.Marshal(environments)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(handle.dir, shimLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command, err := r.shimCommand()
	if err != nil {
		return err
	}
	command = append(command, "--dir", handle.dir)
	//nolint:gosec // the program is this one
	shim := exec.Command(command[0], command[1:]...)
	shim.Stdin, shim.Stdout, shim.Stderr = bytes.NewReader(secret), log, log
	shim.Env, shim.Dir = stackMarks(), handle.dir
	shim.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := shim.Start(); err != nil {
		return fmt.Errorf("start the shim: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- shim.Wait() }() // reaps it, should this process live longer
	// Whoever gives up now must still learn that there is something to stop.
	return handle.awaitShim(context.WithoutCancel(ctx), ended)
}

// stackMarks are the variables by which a development stack recognises its
// processes; a shim needs nothing else of the environment.
func stackMarks() []string {
	marks := []string{}
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "MAINSPRING_STACK_") {
			marks = append(marks, variable)
		}
	}
	return marks
}

func (r Runner) shimCommand() ([]string, error) {
	if len(r.Shim) > 0 {
		return slices.Clone(r.Shim), nil
	}
	self, err := os.Executable()
	return []string{self, "shim"}, err
}

// prune removes the directories of jobs that ended long ago, and of those that
// were not started: whoever made them was killed before. What can't be removed now
// is tried again at the next start.
func (r Runner) prune() {
	dirs, err := os.ReadDir(r.jobs())
	if err != nil {
		return
	}
	for _, entry := range dirs {
		dir := filepath.Join(r.jobs(), entry.Name())
		info, err := entry.Info()
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < keepEnded {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, jobFile)); errors.Is(err, fs.ErrNotExist) {
			_ = Remove(dir) // code in it is read-only
		}
	}
	handles, err := r.list()
	if err != nil {
		return
	}
	for _, handle := range handles {
		info, err := os.Stat(filepath.Join(handle.dir, stateFile))
		if err != nil || time.Since(info.ModTime()) < keepEnded {
			continue
		}
		free, err := tryLock(filepath.Join(handle.dir, lockFile), false)
		if err != nil {
			continue
		}
		_ = Remove(handle.dir)
		free.release()
	}
}

// StopAll ends every job below root and returns when all have ended.
func StopAll(ctx context.Context, root string) error {
	handles, err := Runner{Root: root}.list()
	if err != nil {
		return err
	}
	failures := make(chan error, len(handles))
	for _, handle := range handles {
		go func() {
			_, err := handle.Stop(ctx, "the host's jobs are being stopped")
			failures <- err
		}()
	}
	for range handles {
		err = errors.Join(err, <-failures)
	}
	return err
}
