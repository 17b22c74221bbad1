package client

import (
	"cmp"
	"fmt"
	"strings"
	"time"

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
		line := fmt.Sprintf("%-20s %-26s", metric, interval("%.4f", candidate))
		if champion, ok := e.Champion[metric]; ok {
			line += fmt.Sprintf(" champion %.4f", champion.Value)
		}
		if gain, ok := e.Gains[metric]; ok {
			line += ", gain " + interval("%+.4f", gain)
		} else if e.Gain != nil && metric == compared {
			line += ", gain " + interval("%+.4f", *e.Gain)
		}
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

// interval writes an estimate, with its interval where it has one.
func interval(format string, e models.Estimate) string {
	text := fmt.Sprintf(format, e.Value)
	if e.Low != e.High {
		text += fmt.Sprintf(" ["+format+", "+format+"]", e.Low, e.High)
	}
	return text
}

func describeSlices(all []models.SliceEvidence) string {
	if len(all) == 0 {
		return ""
	}
	judged := 0
	for _, s := range all {
		if s.Judged {
			judged++
		}
	}
	text := fmt.Sprintf("%d slices judged", judged)
	if few := len(all) - judged; few > 0 {
		text += fmt.Sprintf(", %d have too few rows", few)
	}
	return text
}

func describeServing(s models.ServingFigures) string {
	text := fmt.Sprintf("served by %s: %s", s.Runtime, size(s.SizeBytes))
	if l := s.Latency; l != nil {
		text += fmt.Sprintf(", one row in %.3g ms (median), %.3g ms (99 of 100), of %d", l.P50Millis, l.P99Millis, l.Requests)
	}
	return text
}

func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	default:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
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

// tellSteward says what the steward itself waits for: an alias that somebody
// moved by hand holds up the lifecycles of the model.
func (n *narrator) tellSteward(stage models.Stage, seen observation, now time.Time) []string {
	if seen.Steward == nil || seen.Steward.Waiting == "" || stage == models.StageApprove && len(seen.Steward.Differences) == 0 {
		delete(n.told, "steward") // the same, later, is told again
		return nil
	}
	return n.changed("steward", now, stage, "the steward is "+waitingFor(seen.Steward.Waiting))
}
