package activities

import (
	"fmt"
	"os/exec"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// ending explains why the program left no predictions; nil when it ended well.
func (p *hostPrediction) ending(state runner.State) *models.Error {
	last, found := firstExit(state, func(runner.Exit) bool { return true })
	switch {
	case state.Lost || !found:
		return p.lost("the process that watches over the prediction was killed, and the prediction with it")
	case !last.Exit.Failed() && !last.Exit.Asked:
		return nil // it was done before anything else arrived
	case state.Stopping != "" && last.Exit.Asked:
		return p.stopped(state.Stopping)
	case last.Exit.OOM == runner.OOMLimit:
		return p.failed("the program ran out of the host memory that it leased"+quoted(p.dir, predictorName),
			"raise evaluate.predict.resources.memory_per_gpu, or predict in smaller batches")
	case killed(*last.Exit):
		return p.lost(fmt.Sprintf("the program was ended by a signal (%s)", signalName(*last.Exit)))
	}
	var told failure
	if err := readJSONFile(p.path(failureFile), &told); err == nil && told.Message != "" {
		failed := p.failed(told.Message, told.Hint)
		failed.Kind = told.Kind
		return failed
	}
	return p.misbehaved(*last.Exit)
}

// misbehaved is the program's own failure.
func (p *hostPrediction) misbehaved(exit runner.Exit) *models.Error {
	command := strings.Join(p.req.Predict.Command, " ")
	if command == "" {
		command = "the " + string(runtimeOf(p.req.Predict)) + " runtime"
	}
	switch {
	case exit.Error != "":
		failed := &models.Error{
			Kind: models.KindInvalidSpec, Subject: "evaluate.predict.command", Message: fmt.Sprintf("%q can't be started: %s", command, exit.Error),
		}
		if strings.Contains(exit.Error, exec.ErrNotFound.Error()) || strings.HasPrefix(exit.Error, "stat ") {
			failed.Message = fmt.Sprintf("command not found: %q: %s", command, exit.Error)
			failed.Hint = "a path is relative to train.code; any other program must be in the environment or in the host's PATH"
		}
		return failed
	case exit.Code == exitDataError:
		return p.failed(fmt.Sprintf("the program says that its data is at fault (exit status %d)%s", exitDataError, quoted(p.dir, predictorName)),
			"correct the data or the program; it is not tried again as it is")
	case exit.Signal != "":
		return p.failed(fmt.Sprintf("%s crashed (%s)%s", command, exit.Signal, quoted(p.dir, predictorName)),
			"a crash is a fault of the program, a library or the device")
	default:
		return p.failed(fmt.Sprintf("%s ended with exit status %d%s", command, exit.Code, quoted(p.dir, predictorName)), "")
	}
}

// stopped is the end of a program that was told to go.
func (p *hostPrediction) stopped(reason string) *models.Error {
	switch reason {
	case reasonPredictTimeout:
		return p.failed(fmt.Sprintf("the predictions took longer than %s and were stopped", models.Duration(p.timeout())),
			"raise evaluate.predict.timeout, or predict faster")
	case runner.ReasonFenced:
		failed := p.lost("the prediction was ended: " + reason)
		failed.Kind = models.KindStaleFence
		return failed
	default: // nobody watched over it, or the host is being stopped
		return p.lost("the prediction was ended: " + reason)
	}
}

func (p *hostPrediction) failed(message, hint string) *models.Error {
	return rejectAnswers(p.req, message, hint, nil)
}

func (p *hostPrediction) lost(message string) *models.Error {
	failed := p.failed(message, "it may do better when it is started again")
	failed.Kind = models.KindRankLost
	return failed
}

// masked takes secrets out of a log's last lines in an error, which is kept in
// workflow histories.
func (p *hostPrediction) masked(failed *models.Error) error {
	ships := logShipper{mask: p.h.maskerOf(p.req.Train.Env)}
	ships.maskError(failed)
	return failed
}
