package activities

import (
	"fmt"
	"os/exec"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// ending explains why the program left nothing to use; nil when it ended well.
func (e *errand) ending(state runner.State) *models.Error {
	last, found := firstExit(state, func(runner.Exit) bool { return true })
	switch {
	case state.Lost || !found:
		return e.lost(fmt.Sprintf("the process that watches over the %[1]s was killed, and the %[1]s with it", e.words.noun))
	case !last.Exit.Failed() && !last.Exit.Asked:
		return nil // it was done before anything else arrived
	case state.Stopping != "" && last.Exit.Asked:
		return e.stopped(state.Stopping)
	case last.Exit.OOM == runner.OOMLimit:
		return e.fault("the program ran out of the host memory that it leased"+quoted(e.dir, e.process),
			fmt.Sprintf("raise %s.resources.memory_per_gpu, or %s", e.words.section, e.words.lighter))
	case killed(*last.Exit):
		return e.lost(fmt.Sprintf("the program was ended by a signal (%s)", signalName(*last.Exit)))
	}
	var told failure
	if err := readJSONFile(e.path(failureFile), &told); err == nil && told.Message != "" {
		failed := e.fault(told.Message, told.Hint)
		failed.Kind = told.Kind
		return failed
	}
	return e.misbehaved(*last.Exit)
}

// misbehaved is the program's own failure.
func (e *errand) misbehaved(exit runner.Exit) *models.Error {
	command := strings.Join(e.argv, " ")
	switch {
	case exit.Error != "":
		failed := &models.Error{
			Kind: models.KindInvalidSpec, Subject: e.words.section + ".command", Message: fmt.Sprintf("%q can't be started: %s", command, exit.Error),
		}
		if strings.Contains(exit.Error, exec.ErrNotFound.Error()) || strings.HasPrefix(exit.Error, "stat ") {
			failed.Message = fmt.Sprintf("command not found: %q: %s", command, exit.Error)
			failed.Hint = "a path is relative to " + e.words.code + "; any other program must be in the environment or in the host's PATH"
		}
		return failed
	case exit.Code == exitDataError:
		return e.fault(fmt.Sprintf("the program says that its data is at fault (exit status %d)%s", exitDataError, quoted(e.dir, e.process)),
			"correct the data or the program; it is not tried again as it is")
	case exit.Signal != "":
		return e.fault(fmt.Sprintf("%s crashed (%s)%s", command, exit.Signal, quoted(e.dir, e.process)),
			"a crash is a fault of the program, a library or the device")
	default:
		return e.fault(fmt.Sprintf("%s ended with exit status %d%s", command, exit.Code, quoted(e.dir, e.process)), "")
	}
}

// stopped is the end of a program that was told to go.
func (e *errand) stopped(reason string) *models.Error {
	switch reason {
	case e.words.overdue():
		return e.fault(fmt.Sprintf("the %s took longer than %s and was stopped", e.words.noun, models.Duration(e.timeout)),
			fmt.Sprintf("raise %s.timeout, or make the program faster", e.words.section))
	case runner.ReasonFenced:
		failed := e.lost("the " + e.words.noun + " was ended: " + reason)
		failed.Kind = models.KindStaleFence
		return failed
	default: // nobody watched over it, or the host is being stopped
		return e.lost("the " + e.words.noun + " was ended: " + reason)
	}
}

func (e *errand) lost(message string) *models.Error {
	failed := e.fault(message, "it may do better when it is started again")
	failed.Kind = models.KindRankLost
	return failed
}
