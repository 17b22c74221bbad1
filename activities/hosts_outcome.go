package activities

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// Why an activity stops its job; found again in the job's state by whoever
// attaches to it later. What follows reasonHang says more.
const (
	reasonCancelled = "the training was cancelled"
	reasonTimeout   = "the training took longer than train.timeout"
	reasonHang      = "the training made no progress for longer than train.hang_timeout"
)

// logLines is how much of a failed process's log an error carries.
const logLines = 20

// exitDataError is EX_DATAERR of sysexits.h: by it a program says that its data
// is at fault, and that trying again is of no use.
const exitDataError = 65

// ending is how a gang ended on this host; without an error, well.
type ending struct {
	reason models.ExitReason
	err    *models.Error
}

// conclusion finds the cause among its consequences. When a rank goes, its peers
// fail in turn, perhaps before the kernel has done away with it. So what can't be
// a consequence comes first, whenever it was recorded: memory, the program's own
// word about its data, a signal from outside. Among the rest the first one counts.
func conclusion(state runner.State, train models.TrainSpec, dir string) ending {
	c := causes{state, train, dir}
	for _, candidate := range []struct {
		matches func(runner.Exit) bool
		tell    func(runner.ProcessState) ending
	}{
		{func(e runner.Exit) bool { return e.OOM == runner.OOMLimit }, c.outOfMemory},
		{func(e runner.Exit) bool { return e.Code == exitDataError }, c.dataError},
		{func(e runner.Exit) bool { return killed(e) && !e.Lost }, c.killed},
		{func(e runner.Exit) bool { return e.Failed() && !e.Lost }, c.failed},
	} {
		if p, ok := firstExit(state, func(e runner.Exit) bool { return !e.Asked && candidate.matches(e) }); ok {
			return candidate.tell(p)
		}
	}
	if state.Lost {
		return ending{models.ExitSignal, &models.Error{
			Kind: models.KindRankLost, Subject: "shim", Message: "the process that watches over the ranks was killed, and the ranks with it",
		}}
	}
	return c.stopped()
}

// causes tells one cause or another of the same end.
type causes struct {
	state runner.State
	train models.TrainSpec
	dir   string
}

// stopped is the end of a gang of which no rank failed by itself.
func (c causes) stopped() ending {
	reason := c.state.Stopping
	switch {
	case reason == "":
		return ending{reason: models.ExitFinished}
	case c.finishedUnasked():
		return ending{reason: models.ExitFinished} // everyone was done before the request arrived
	case reason == reasonTimeout:
		return ending{models.ExitTimeout, &models.Error{
			Kind: models.KindTrainingFailed, Subject: "train.timeout", Message: fmt.Sprintf("the training did not end within %s and was stopped", c.train.Timeout),
			Hint: "raise train.timeout, or train less",
		}}
	case strings.HasPrefix(reason, reasonHang):
		message := fmt.Sprintf("%s (%s)", reason, c.train.HangTimeout)
		return ending{models.ExitHang, &models.Error{
			Kind: models.KindRankLost, Subject: "train.hang_timeout", Message: message + c.lastLines(),
			Hint: "raise train.hang_timeout if silence of that length is usual, or report progress more often",
		}}
	case reason == runner.ReasonFenced:
		return ending{models.ExitFenced, c.ended(models.KindStaleFence)}
	case reason == reasonCancelled:
		return ending{models.ExitCancelled, c.ended(models.KindRankLost)}
	case strings.HasPrefix(reason, runner.ReasonOrphaned):
		return ending{models.ExitAgentLost, c.ended(models.KindRankLost)}
	default: // the host is being stopped
		return ending{models.ExitLeaseLost, c.ended(models.KindRankLost)}
	}
}

func (c causes) ended(kind models.ErrorKind) *models.Error {
	return &models.Error{Kind: kind, Subject: filepath.Base(c.dir), Message: "the ranks were ended: " + c.state.Stopping}
}

// finishedUnasked: a rank that ends well after it was asked to go may have left
// half way.
func (c causes) finishedUnasked() bool {
	_, otherwise := firstExit(c.state, func(e runner.Exit) bool { return e.Asked || e.Failed() })
	return !otherwise
}

// lastLines quotes the log of the first rank that wrote something.
func (c causes) lastLines() string {
	for _, p := range c.state.Processes {
		if tail := runner.Tail(logPath(c.dir, p.Name), logLines); tail != "" {
			return "; the last lines of " + p.Name + ":\n" + tail
		}
	}
	return "; nobody wrote anything"
}

func (c causes) outOfMemory(p runner.ProcessState) ending {
	return ending{models.ExitOutOfMemory, &models.Error{
		Kind: models.KindTrainingFailed, Subject: p.Name,
		Message: "the ranks ran out of the host memory that they leased" + quoted(c.dir, p.Name),
		Hint:    "raise train.resources.memory_per_gpu, or let the program hold less: smaller batches, fewer loader processes",
	}}
}

func (c causes) dataError(p runner.ProcessState) ending {
	return ending{models.ExitDataError, &models.Error{
		Kind: models.KindTrainingFailed, Subject: p.Name,
		Message: fmt.Sprintf("the program says that its data is at fault (exit status %d)%s", exitDataError, quoted(c.dir, p.Name)),
		Hint:    "correct the data or the program; it is not tried again as it is",
	}}
}

func (c causes) killed(p runner.ProcessState) ending {
	if p.Exit.OOM == runner.OOMHost {
		failed := rankLost(p.Name, "was killed while the host was out of memory", c.dir)
		failed.Hint = "lease memory with train.resources.memory_per_gpu, so that no host is promised to too many"
		return ending{models.ExitOutOfMemory, failed}
	}
	return ending{models.ExitSignal, rankLost(p.Name, fmt.Sprintf("was ended by a signal (%s)", signalName(*p.Exit)), c.dir)}
}

// failed is a rank's own failure: it could not start, it crashed, or it said so
// by its status.
func (c causes) failed(p runner.ProcessState) ending {
	if p.Exit.Error != "" {
		return ending{models.ExitNotStarted, notStarted(p, c.train)}
	}
	if p.Exit.Signal != "" {
		failed := rankLost(p.Name, fmt.Sprintf("crashed (%s)", p.Exit.Signal), c.dir)
		failed.Hint = "a crash is a fault of the program, a library or the device"
		return ending{models.ExitSignal, failed}
	}
	failed := &models.Error{
		Kind: models.KindTrainingFailed, Subject: p.Name,
		Message: fmt.Sprintf("%q ended with exit status %d", strings.Join(c.train.Command, " "), p.Exit.Code) + quoted(c.dir, p.Name),
	}
	if strings.Contains(strings.ToLower(failed.Message), "out of memory") {
		failed.Hint = "if it was the device's memory: smaller batches, or devices with more (train.resources.device_memory)"
	}
	return ending{models.ExitStatus, failed}
}

// firstExit returns the process that ended first among those that match.
func firstExit(state runner.State, matches func(runner.Exit) bool) (first runner.ProcessState, found bool) {
	for _, p := range state.Processes {
		if p.Exit != nil && matches(*p.Exit) && (!found || p.Exit.At.Before(first.Exit.At)) {
			first, found = p, true
		}
	}
	return first, found
}

// Statuses by which a wrapper, such as a shell, reports the signal that ended
// its child.
const (
	shellKilled     = 128 + 9
	shellTerminated = 128 + 15
)

// killed reports whether a signal ended the process that comes from outside, or
// from the kernel: programs do not send these to themselves.
func killed(e runner.Exit) bool {
	switch e.Signal {
	case "":
		return e.Code == shellKilled || e.Code == shellTerminated
	case "killed", "terminated", "interrupt", "hangup", "quit":
		return true
	default:
		return false
	}
}

func signalName(e runner.Exit) string {
	switch {
	case e.Signal != "":
		return e.Signal
	case e.Code == shellTerminated:
		return "terminated"
	default:
		return "killed"
	}
}

// quoted are a process's last lines, to be put behind a message.
func quoted(dir, name string) string {
	if tail := runner.Tail(logPath(dir, name), logLines); tail != "" {
		return "; its last lines:\n" + tail
	}
	return " and wrote nothing"
}

func rankLost(name, what, dir string) *models.Error {
	message := name + " " + what
	if tail := runner.Tail(logPath(dir, name), logLines); tail != "" {
		message += "; its last lines:\n" + tail
	}
	return &models.Error{
		Kind: models.KindRankLost, Subject: name, Message: message,
		Hint: "killed without a reason in the log usually means that the host ran out of memory",
	}
}

func notStarted(p runner.ProcessState, train models.TrainSpec) *models.Error {
	command := strings.Join(train.Command, " ")
	failed := &models.Error{Kind: models.KindTrainingFailed, Subject: "train.command", Message: fmt.Sprintf("%q can't be started: %s", command, p.Exit.Error)}
	if strings.Contains(p.Exit.Error, exec.ErrNotFound.Error()) || strings.HasPrefix(p.Exit.Error, "stat ") {
		failed.Message = fmt.Sprintf("command not found: %q: %s", command, p.Exit.Error)
		failed.Hint = "a path is relative to train.code; any other program must be in the environment or in the host's PATH"
	}
	return failed
}

func logPath(dir, process string) string { return filepath.Join(dir, process+".log") }

// overdue reports whether a job that began then has used up its time.
func overdue(began time.Time, train models.TrainSpec) bool {
	return train.Timeout > 0 && time.Since(began) > train.Timeout.Std()
}
