package client

import (
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// tellTraining says what a training waits for, how its attempts ended, and
// where the present one began. devices is the pool's answer to why it has none.
func (n *narrator) tellTraining(train models.TrainStatus, devices string, now time.Time) []string {
	const stage = models.StageTrain
	var lines []string
	lines = append(lines, n.tellAttempts(train.Attempts, now)...)
	for _, name := range train.Skipped {
		lines = append(lines, n.changed("skipped "+name, now, stage, "checkpoint passed over: "+name)...)
	}
	switch {
	case train.Waiting == "":
		delete(n.told, "devices") // a second wait for the same is told again
	case train.State == models.TrainPaused:
		lines = append(lines, n.changed("devices", now, stage, "paused; waiting for "+train.Waiting)...)
	case devices != "":
		lines = append(lines, n.thinned("devices", now, stage, "no devices yet: "+devices)...)
	default:
		lines = append(lines, n.thinned("devices", now, stage, waitingFor(train.Waiting))...)
	}
	if train.Attempt > 1 && (train.State == models.TrainRunning || train.State == "") {
		lines = append(lines, n.changed("attempt", now, stage, fmt.Sprintf("attempt %d, from step %d", train.Attempt, train.Resumed))...)
	}
	return lines
}

// tellAttempts says of each attempt once how it ended. What it lost is known
// for good only when the next one has begun, so that is left to the account.
func (n *narrator) tellAttempts(attempts []models.AttemptSummary, now time.Time) []string {
	var lines []string
	for _, a := range attempts {
		topic := fmt.Sprintf("attempt %d ended", a.Attempt)
		if n.told[topic] != "" || a.Reason == models.ExitFinished {
			continue // the end of the stage tells of the one that finished
		}
		lines = append(lines, n.changed(topic, now, models.StageTrain, describeAttempt(a))...)
	}
	return lines
}

func describeAttempt(a models.AttemptSummary) string {
	text := fmt.Sprintf("attempt %d on %s ended at step %d after %s: %s", a.Attempt, strings.Join(a.Nodes, ", "), a.To, short(a.Ended.Sub(a.Began)), a.Reason)
	if a.Detail != "" {
		text += ": " + strings.Join(strings.Fields(a.Detail), " ")
	}
	return text
}

// attemptsOf are a training's attempts, also of one that failed and has no
// result.
func attemptsOf(seen observation) []models.AttemptSummary {
	switch {
	case seen.Status.Training != nil:
		return seen.Status.Training.Attempts
	case seen.Train != nil:
		return seen.Train.Attempts
	default:
		return nil
	}
}

// tellAccount says what became of the GPU-seconds.
func (n *narrator) tellAccount(seen observation, ended time.Time) []string {
	var account models.GPUAccount
	switch {
	case seen.Status.Training != nil:
		account = seen.Status.Training.Account
	case seen.Train != nil:
		account = seen.Train.Account
	}
	if account == (models.GPUAccount{}) {
		return nil
	}
	return n.changed("account", ended, models.StageTrain, account.String())
}
