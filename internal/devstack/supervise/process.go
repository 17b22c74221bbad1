// Package supervise keeps named child processes running and ends them for
// certain.
//
// # Vocabulary
//
//   - A process is a program to keep running: argument list, environment, log
//     file, a probe that says when it is ready, and what to do when it exits.
//   - Its group is the process group that it leads. Signals go to the whole
//     group; when the leader exits, the rest of the group is killed. A
//     descendant that opens a session of its own leaves the group and lives on.
//   - A failure is an exit, or a missed readiness deadline, that nobody asked
//     for. Failures in a row are counted; a process that stays up starts anew.
//   - The starter is the one OS thread from which children are started, so
//     that the kernel ends them when the supervisor is killed.
package supervise

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Process describes a child. Zero durations mean the stated defaults.
type Process struct {
	Name    string
	Argv    []string // Argv[0] is a path
	Env     []string // the whole environment, nothing is inherited
	Dir     string   // "" means the supervisor's
	LogFile string   // standard output and error are appended to it

	Ready       Probe         // nil: ready as soon as it runs
	ReadyWithin time.Duration // default 60 s; missing it is a failure

	Restart Restart

	StopSignal syscall.Signal // default SIGTERM
	Grace      time.Duration  // from StopSignal to SIGKILL, default 10 s
}

// Restart says what happens after a failure. The pause doubles from First up
// to Longest.
type Restart struct {
	Never       bool
	First       time.Duration // default 200 ms
	Longest     time.Duration // default 5 s
	Limit       int           // failures in a row before giving up, default 5
	StableAfter time.Duration // ready for this long clears the count, default 10 s
}

// State is where a process stands.
type State string

// The states. Stopped and Failed are final.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Waiting  State = "waiting" // pausing before the next start
	Stopped  State = "stopped" // ended on request
	Failed   State = "failed"  // given up
)

// Status is a snapshot of one process.
type Status struct {
	Name     string
	State    State
	PID      int       // 0 when not running
	Since    time.Time // of State
	Starts   int
	LastExit string // how it last ended, "" if it never did
	LogFile  string
}

// The errors that callers tell apart.
var (
	ErrUnknownProcess = errors.New("no such process")
	ErrGaveUp         = errors.New("gave up on it")
	ErrNotReady       = errors.New("not ready")
	ErrStopped        = errors.New("stopped")
)

// ProcessError says which process failed, how, and what it last logged.
type ProcessError struct {
	Name    string
	Problem string
	LogFile string
	Tail    string // the last lines of the log
	Err     error
}

// Error implements error; the log's last lines are part of it.
func (e *ProcessError) Error() string {
	text := fmt.Sprintf("%s: %v: %s", e.Name, e.Err, e.Problem)
	if e.LogFile != "" {
		text += " (log: " + e.LogFile + ")"
	}
	if e.Tail != "" {
		text += "\n" + e.Tail
	}
	return text
}

// Unwrap returns the sentinel.
func (e *ProcessError) Unwrap() error { return e.Err }

func (p Process) withDefaults() (Process, error) {
	if p.Name == "" || len(p.Argv) == 0 || p.LogFile == "" {
		return p, fmt.Errorf("process %q needs a name, an argument list and a log file", p.Name)
	}
	orDefault(&p.ReadyWithin, 60*time.Second)
	orDefault(&p.Grace, 10*time.Second)
	orDefault(&p.Restart.First, 200*time.Millisecond)
	orDefault(&p.Restart.Longest, 5*time.Second)
	orDefault(&p.Restart.Limit, 5)
	orDefault(&p.Restart.StableAfter, 10*time.Second)
	orDefault(&p.StopSignal, syscall.SIGTERM)
	return p, nil
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// pause is the time to wait after the n-th failure in a row.
func (r Restart) pause(failures int) time.Duration {
	pause := r.First
	for range failures - 1 {
		pause = min(2*pause, r.Longest)
	}
	return min(pause, r.Longest)
}
