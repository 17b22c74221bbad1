package client

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// narrator turns a sequence of observations into the lines that are new. It
// reads no clock and writes nowhere.
type narrator struct {
	began   time.Time
	stages  map[models.Stage]stageState
	told    map[string]string // last line by topic
	at      map[string]time.Time
	trouble bool
	// retrying is the failure told of each activity that is tried again.
	retrying map[string]string
}

type stageState struct{ started, ended bool }

func newNarrator(began time.Time) *narrator {
	return &narrator{began: began, stages: map[models.Stage]stageState{}, told: map[string]string{}, at: map[string]time.Time{}, retrying: map[string]string{}}
}

// stageOrder is that of a lifecycle; StageDone is told by the result.
func stageOrder() []models.Stage {
	return []models.Stage{models.StagePrepare, models.StageTrain, models.StageEvaluate, models.StageRegister, models.StageApprove, models.StageRollout}
}

// progressEvery thins the lines of what moves all the time.
const progressEvery = 5 * time.Second

// tell returns the lines that now adds to what was told before.
func (n *narrator) tell(seen observation, now time.Time) []string {
	var lines []string
	n.trouble = false
	for at, started := range seen.Status.Started {
		// A lifecycle that was running before we looked counts from its start.
		if at != models.StageDone && !started.IsZero() && started.Before(n.began) {
			n.began = started
		}
	}
	for _, stage := range stageOrder() {
		lines = append(lines, n.tellStage(stage, seen, now)...)
	}
	return lines
}

func (n *narrator) tellStage(stage models.Stage, seen observation, now time.Time) []string {
	var lines []string
	started, hasStarted := seen.Status.Started[stage]
	ended, hasEnded := seen.Status.Ended[stage]
	state := n.stages[stage]
	if hasStarted && !state.started {
		lines = append(lines, n.line(started, stage, "started"))
	}
	if hasStarted && !hasEnded && seen.Status.Stage == stage {
		lines = append(lines, n.tellRunning(stage, seen, now)...)
	}
	if hasEnded && !state.ended {
		if stage == models.StageTrain {
			lines = append(lines, n.tellAttempts(attemptsOf(seen), now)...)
		}
		how := "ended after "
		if broke(stage, seen.Status) {
			how = "broke off after "
		}
		lines = append(lines, n.line(ended, stage, how+short(ended.Sub(started))+results(stage, seen.Status)))
		if stage == models.StageEvaluate {
			lines = append(lines, n.tellEvaluation(seen.Status)...)
		}
		if stage == models.StageTrain {
			lines = append(lines, n.tellAccount(seen, ended)...)
		}
	}
	n.stages[stage] = stageState{started: hasStarted, ended: hasEnded}
	return lines
}

func (n *narrator) tellRunning(stage models.Stage, seen observation, now time.Time) []string {
	lines := n.tellRetries(seen.Retrying, stage, now)
	if question := describeQuestion(stage, seen); question != "" {
		lines = append(lines, n.changed("waiting", now, stage, question)...)
	} else if waiting := seen.Status.WaitingFor; waiting != "" {
		lines = append(lines, n.changed("waiting", now, stage, waitingFor(waiting))...)
	}
	lines = append(lines, n.tellSteward(stage, seen, now)...)
	if p := seen.Prepare; p != nil && stage == models.StagePrepare && p.State != "" {
		lines = append(lines, n.thinned("prepare", now, stage, p.State)...)
	}
	if seen.Train != nil {
		lines = append(lines, n.tellTraining(*seen.Train, seen.Devices, now)...)
	}
	if ranks := seen.Ranks; ranks != nil {
		if len(n.changed("phase", now, stage, ranks.Phase)) > 0 {
			delete(n.at, "ranks") // a new phase is told at once
		}
		lines = append(lines, n.thinned("ranks", now, stage, describeRanks(*ranks))...)
	}
	if rollout := seen.Rollout; rollout != nil {
		if rollout.Waiting != "" {
			lines = append(lines, n.thinned("rollout", now, stage, waitingFor(rollout.Waiting))...)
		}
		for i, step := range rollout.Steps {
			lines = append(lines, n.thinned(fmt.Sprintf("step %d", i), now, stage, describeStep(step))...)
		}
	}
	return lines
}

// tellRetries says what fails and is tried again, once for each cause, and
// when it has gone on.
func (n *narrator) tellRetries(retrying map[string]string, stage models.Stage, now time.Time) []string {
	var lines []string
	for _, activity := range slices.Sorted(maps.Keys(retrying)) {
		if n.retrying[activity] == "" {
			n.retrying[activity] = retrying[activity]
			lines = append(lines, n.line(now, stage, activity+" waits and is tried again: "+retrying[activity]))
		}
	}
	for _, activity := range slices.Sorted(maps.Keys(n.retrying)) {
		if _, still := retrying[activity]; !still {
			delete(n.retrying, activity)
			lines = append(lines, n.line(now, stage, activity+" goes on"))
		}
	}
	return lines
}

func waitingFor(what string) string { return "waiting for " + strings.TrimPrefix(what, "waiting for ") }

// tellTrouble says once that a look failed, until the next one succeeds.
func (n *narrator) tellTrouble(err error, now time.Time) []string {
	if n.trouble {
		return nil
	}
	n.trouble = true
	return []string{n.line(now, "", err.Error()+"; the lifecycle is unaffected, looking again")}
}

// tellResult ends the story.
func (n *narrator) tellResult(result models.LifecycleResult, now time.Time) []string {
	lines := n.tellGate(result.Gate)
	verdict := "not promoted"
	if result.Promoted {
		verdict = "promoted"
	}
	subject := result.Model
	if result.Version != "" {
		subject += " version " + result.Version
	}
	return append(lines, n.line(now, models.StageDone, subject+" "+verdict+": "+result.Reason))
}

// tellGate writes the gate's table, once.
func (n *narrator) tellGate(gate models.GateVerdict) []string {
	if gate.Verdict == "" || n.told["gate"] != "" {
		return nil
	}
	n.told["gate"] = string(gate.Verdict)
	lines := []string{fmt.Sprintf("%8s  gate: %s: %s", "", gate.Verdict, gate.Reason)}
	for _, line := range GateTable(gate) {
		lines = append(lines, fmt.Sprintf("%8s    %s", "", line))
	}
	return lines
}

// changed returns the line if the topic's text is another than before.
func (n *narrator) changed(topic string, now time.Time, stage models.Stage, text string) []string {
	if n.told[topic] == text {
		return nil
	}
	n.told[topic], n.at[topic] = text, now
	return []string{n.line(now, stage, text)}
}

// thinned is changed, but not more often than progressEvery.
func (n *narrator) thinned(topic string, now time.Time, stage models.Stage, text string) []string {
	if last, ok := n.at[topic]; ok && now.Sub(last) < progressEvery {
		return nil
	}
	return n.changed(topic, now, stage, text)
}

func (n *narrator) line(at time.Time, stage models.Stage, text string) string {
	return fmt.Sprintf("%8s  %-8s  %s", short(at.Sub(n.began)), stage, text)
}

// short writes a duration for people: tenths below a minute, seconds above.
func short(d time.Duration) string {
	d = max(d, 0)
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
