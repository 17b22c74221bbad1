package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Handle is a hold on a started job. Its methods may be called concurrently,
// and by several programs at once.
type Handle struct {
	dir string
	job Job
}

// Dir is the job's directory. Its other files belong to the caller.
func (h *Handle) Dir() string { return h.dir }

// Touch tells the shim that somebody watches over the job.
func (h *Handle) Touch() error {
	path := filepath.Join(h.dir, aliveFile)
	now := time.Now()
	if os.Chtimes(path, now, now) == nil {
		return nil
	}
	return os.WriteFile(path, nil, 0o600)
}

// Poll returns the state, and whether the job has ended: its shim and every
// process of it are gone. A job whose shim was killed is cleaned up here.
func (h *Handle) Poll() (State, bool, error) {
	free, err := tryLock(filepath.Join(h.dir, lockFile), true)
	if errors.Is(err, errHeld) {
		state, _, err := readState(h.dir)
		return state, false, err
	}
	if err != nil {
		return State{}, false, err
	}
	state, found, err := readState(h.dir)
	free.release()
	if err != nil || found && state.Finished {
		return state, state.Finished, err
	}
	return h.recover()
}

// recover ends what a killed shim has left, and finishes its state. Somebody
// else may be doing the same.
func (h *Handle) recover() (State, bool, error) {
	own, err := tryLock(filepath.Join(h.dir, lockFile), false)
	if errors.Is(err, errHeld) {
		state, _, err := readState(h.dir)
		return state, false, err
	}
	if err != nil {
		return State{}, false, err
	}
	defer own.release()
	oom := groupOOM(h.job.Cgroup)
	killStrays(h.dir)
	dissolve(h.job.Cgroup)
	state, _, err := readState(h.dir)
	if err != nil || state.Finished {
		return state, state.Finished, err
	}
	for len(state.Processes) < len(h.job.Processes) {
		state.Processes = append(state.Processes, ProcessState{Name: h.job.Processes[len(state.Processes)].Name})
	}
	for i := range state.Processes {
		if state.Processes[i].Exit == nil {
			state.Processes[i].Exit = &Exit{Signal: "killed", OOM: oom, Lost: true, At: time.Now().UTC()}
		}
	}
	state.Finished, state.Lost = true, true
	return state, true, writeJSON(filepath.Join(h.dir, stateFile), state)
}

const pollEvery = 100 * time.Millisecond

// Wait touches the job until it has ended. When ctx ends first, the job goes
// on.
func (h *Handle) Wait(ctx context.Context) (State, error) {
	for {
		state, ended, err := h.Poll()
		if err != nil || ended {
			return state, err
		}
		if err := h.Touch(); err != nil {
			return state, err
		}
		if err := pause(ctx, pollEvery); err != nil {
			return state, err
		}
	}
}

// Stop ends the job, SIGTERM first, and returns when it has ended. Stopping an
// ended job returns its state. A shim that does not obey within the grace
// period and a little more is killed.
func (h *Handle) Stop(ctx context.Context, reason string) (State, error) {
	if state, ended, err := h.Poll(); err != nil || ended {
		return state, err
	}
	if err := writeJSON(filepath.Join(h.dir, stopFile), reason); err != nil {
		return State{}, fmt.Errorf("ask job %s to stop: %w", h.job.Key, err)
	}
	const allowance = 10 * time.Second
	overdue := time.Now().Add(h.job.Grace + allowance)
	for {
		state, ended, err := h.Poll()
		if err != nil || ended {
			return state, err
		}
		if time.Now().After(overdue) && state.Shim.Alive() {
			_ = unix.Kill(state.Shim.PID, unix.SIGKILL)
		}
		if err := pause(ctx, pollEvery/2); err != nil {
			return state, fmt.Errorf("wait for the end of job %s: %w", h.job.Key, err)
		}
	}
}

// awaitShim returns when a shim has the job. ended receives the end of the one
// that was started here.
func (h *Handle) awaitShim(ctx context.Context, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	gone := false
	for {
		if _, found, err := readState(h.dir); err != nil || found {
			return err
		}
		if gone {
			return fmt.Errorf("the shim of job %s ended before it started anything: %s", h.job.Key, Tail(filepath.Join(h.dir, shimLog), 5))
		}
		select {
		case <-ended: //nolint:errcheck // how it ended is in its log, which the error quotes
			gone, ended = true, nil // one more look: it may have been fast
		default:
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return fmt.Errorf("wait for the shim of job %s: %w", h.job.Key, err)
			}
		}
	}
}

// Tail returns the last lines of a log, "" when there is none.
func Tail(path string, lines int) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	const window = 64 << 10
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(size-window, 0), io.SeekStart) // at worst the beginning is read
	}
	data, _ := io.ReadAll(io.LimitReader(file, window)) // what could be read is shown
	all := strings.Split(string(bytes.TrimRight(data, "\n")), "\n")
	return strings.Join(all[max(len(all)-lines, 0):], "\n")
}

// Began is when the job was first written down.
func (h *Handle) Began() time.Time {
	info, err := os.Stat(filepath.Join(h.dir, jobFile))
	if err != nil {
		return time.Now() // without its file a job can't be found again anyway
	}
	return info.ModTime()
}
