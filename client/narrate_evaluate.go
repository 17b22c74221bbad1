package client

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// tellEvaluation writes what was measured, then the gate's table.
func (n *narrator) tellEvaluation(status models.LifecycleStatus) []string {
	var lines []string
	if status.Evaluation != nil {
		for _, line := range metricTable(status.Spec, *status.Evaluation) {
			lines = append(lines, fmt.Sprintf("%8s    %s", "", line))
		}
	}
	if status.Gate != nil {
		lines = append(lines, n.tellGate(*status.Gate)...)
	}
	return lines
}

// metricTable has a line for each metric, in the task's order, then what was
// measured beside them.
func metricTable(spec models.LifecycleSpec, e models.Evaluation) []string {
	task := spec.Data.Task
	compared := cmp.Or(spec.Evaluate.Champion.Metric, task.DefaultMetric())
	var lines []string
	for _, metric := range task.Metrics() {
		candidate, measured := e.Candidate[metric]
		if !measured {
			continue
		}
		var champion, gain string
		if figure, ok := e.Champion[metric]; ok {
			champion = fmt.Sprintf("champion %.4f", figure.Value)
		}
		if figure, ok := e.Gains[metric]; ok {
			gain = "gain " + figure.Signed()
		} else if e.Gain != nil && metric == compared {
			gain = "gain " + e.Gain.Signed()
		}
		line := fmt.Sprintf("%-20s %-26s %-17s %s", metric, candidate.Text(), champion, gain)
		lines = append(lines, strings.TrimRight(line, " "))
	}
	if text := describeSlices(e.Slices); text != "" {
		lines = append(lines, text)
	}
	if e.Serving != nil {
		lines = append(lines, describeServing(*e.Serving))
	}
	return lines
}

func describeSlices(all []models.SliceEvidence) string {
	if len(all) == 0 {
		return ""
	}
	judged := 0
	for _, s := range all {
		if s.Judged && s.Blocks >= gate.MinBlocks {
			judged++
		}
	}
	text := count(judged, "slice", "slices") + " judged"
	if few := len(all) - judged; few > 0 {
		text += fmt.Sprintf(", %d not: too few rows or blocks", few)
	}
	return text
}

func describeServing(s models.ServingFigures) string {
	text := fmt.Sprintf("served by %s: %s", s.Runtime, terminal.Size(s.SizeBytes))
	if l := s.Latency; l != nil {
		text += fmt.Sprintf(", one row in %s ms (median), %s ms (99 of 100), of %d", significant(l.P50Millis), significant(l.P99Millis), l.Requests)
	}
	return text
}

// describeQuestion says which answer a lifecycle waits for, and how to give it;
// empty: it does not wait for a person.
func describeQuestion(stage models.Stage, seen observation) string {
	if stage != models.StageApprove || seen.Steward == nil {
		return ""
	}
	for _, pending := range seen.Steward.Approvals {
		if version := pending.Request.Version; version == seen.Status.Version {
			return fmt.Sprintf("waiting for approval of version %s until %s: mainspring approve %s %s --reason …",
				version, pending.Until.UTC().Format("2006-01-02 15:04 MST"), seen.Status.Spec.Model.Name, version)
		}
	}
	return ""
}

// tellSteward says what holds a lifecycle up that waits for its steward: aliases
// that somebody moved by hand, and a promotion that would overwrite one.
func (n *narrator) tellSteward(stage models.Stage, seen observation, now time.Time) []string {
	if seen.Steward == nil {
		return nil
	}
	var lines []string
	model := seen.Status.Spec.Model.Name
	for _, d := range seen.Steward.Differences {
		lines = append(lines, n.changed("alias "+d.Alias, now, stage, describeDifference(d)+"; see `mainspring aliases "+model+"`")...)
	}
	if stage == models.StageRollout && len(seen.Steward.Differences) > 0 && seen.Steward.Waiting != "" {
		lines = append(lines, n.changed("steward", now, stage, seen.Steward.Waiting)...)
	}
	return lines
}

func describeDifference(d models.AliasDifference) string {
	if d.Deleted && d.Found == "" {
		return fmt.Sprintf("alias %s is gone: version %s was deleted in MLflow", d.Alias, d.Recorded)
	}
	return fmt.Sprintf("somebody moved the alias %s: it is at version %s in MLflow, at %s in the record", d.Alias,
		cmp.Or(d.Found, "none"), cmp.Or(d.Recorded, "none"))
}
