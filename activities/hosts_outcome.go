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
// attaches to it later.
const (
	reasonCancelled = "the training was cancelled"
	reasonTimeout   = "the training took longer than train.timeout"
)

// logLines is how much of a failed process's log an error carries.
const logLines = 20

// outcome is how a gang ended on this host; nil is success. The loss of a rank
// comes before a rank's own error, because a lost rank makes its peers fail:
// the cause must not be hidden by its consequence.
func outcome(state runner.State, train models.TrainSpec, dir string) error {
	if lost, ok := firstExit(state, func(e runner.Exit) bool { return killed(e) && !e.Asked }); ok {
		return rankLost(lost.Name, fmt.Sprintf("was ended by a signal (%s)", signalName(*lost.Exit)), dir)
	}
	if state.Lost {
		return &models.Error{Kind: models.KindRankLost, Subject: "shim", Message: "the process that watches over the ranks was killed"}
	}
	if failed, ok := firstExit(state, func(e runner.Exit) bool { return e.Failed() && !e.Asked }); ok {
		return trainingFailed(failed, train, dir)
	}
	switch state.Stopping {
	case "":
		return nil
	case reasonTimeout:
		return &models.Error{
			Kind: models.KindTrainingFailed, Subject: "train.timeout", Message: fmt.Sprintf("the training did not end within %s and was stopped", train.Timeout),
			Hint: "raise train.timeout, or train less",
		}
	case runner.ReasonFenced:
		return &models.Error{Kind: models.KindStaleFence, Subject: filepath.Base(dir), Message: "the ranks were ended: " + state.Stopping}
	default:
		if _, failed := firstExit(state, runner.Exit.Failed); !failed {
			return nil // everyone was done before the request arrived
		}
		return &models.Error{Kind: models.KindRankLost, Subject: filepath.Base(dir), Message: "the ranks were ended: " + state.Stopping}
	}
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

// killed also recognises a wrapper, such as a shell, that reports the SIGKILL
// of its child.
func killed(e runner.Exit) bool {
	const shellKilled = 128 + 9
	return e.Signal != "" || e.Code == shellKilled
}

func signalName(e runner.Exit) string {
	if e.Signal != "" {
		return e.Signal
	}
	return "killed"
}

func rankLost(name, what, dir string) error {
	message := name + " " + what
	if tail := runner.Tail(logPath(dir, name), logLines); tail != "" {
		message += "; its last lines:\n" + tail
	}
	return &models.Error{
		Kind: models.KindRankLost, Subject: name, Message: message,
		Hint: "killed without a reason in the log usually means that the host ran out of memory",
	}
}

func trainingFailed(p runner.ProcessState, train models.TrainSpec, dir string) error {
	command := strings.Join(train.Command, " ")
	if p.Exit.Error != "" {
		failed := &models.Error{Kind: models.KindTrainingFailed, Subject: "train.command", Message: fmt.Sprintf("%q can't be started: %s", command, p.Exit.Error)}
		if strings.Contains(p.Exit.Error, exec.ErrNotFound.Error()) || strings.Contains(p.Exit.Error, "no such file") {
			failed.Message = fmt.Sprintf("command not found: %q: %s", command, p.Exit.Error)
			failed.Hint = "a path is relative to train.code; any other program must be in the environment or in the host's PATH"
		}
		return failed
	}
	message := fmt.Sprintf("%q ended with exit status %d", command, p.Exit.Code)
	if tail := runner.Tail(logPath(dir, p.Name), logLines); tail != "" {
		message += "; its last lines:\n" + tail
	} else {
		message += " and wrote nothing"
	}
	return &models.Error{Kind: models.KindTrainingFailed, Subject: p.Name, Message: message}
}

func logPath(dir, process string) string { return filepath.Join(dir, process+".log") }

// overdue reports whether a job that began then has used up its time.
func overdue(began time.Time, train models.TrainSpec) bool {
	return train.Timeout > 0 && time.Since(began) > train.Timeout.Std()
}
