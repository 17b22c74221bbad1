package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// rolloutFrame lays out where a rollout stands.
type rolloutFrame struct {
	layout
	rollout client.Rollout
	now     time.Time
}

func (f rolloutFrame) lines() []string {
	lines := f.title()
	if step, ok := f.current(); ok {
		lines = append(lines, "")
		lines = append(lines, f.arms(step)...)
		lines = append(lines, "")
		lines = append(lines, f.evidence(step)...)
	}
	lines = append(lines, "")
	lines = append(lines, f.steps()...)
	lines = append(lines, f.people()...)
	lines = append(lines, f.standing()...)
	return f.fitted(lines)
}

func (f rolloutFrame) title() []string {
	s := f.rollout.Status
	name := f.paint.Bold(terminal.Plain(cmp.Or(s.Endpoint, f.rollout.WorkflowID)))
	if s.Version != "" {
		name += f.paint.Dim(" · ") + "version " + f.paint.Bold(terminal.Plain(s.Version)) + f.paint.Dim(" against ") +
			"version " + terminal.Plain(cmp.Or(s.Champion, "none"))
	}
	lines := []string{" " + name}
	began := "began " + f.rollout.Started.UTC().Format("2006-01-02 15:04:05Z")
	if f.rollout.Closed.IsZero() {
		began += ", " + age(f.now.Sub(f.rollout.Started)) + " ago"
	} else {
		began += ", took " + age(f.rollout.Closed.Sub(f.rollout.Started))
	}
	return append(lines, " "+f.paint.Dim(began))
}

func (f rolloutFrame) current() (models.CanaryStep, bool) {
	steps := f.rollout.Status.Steps
	if len(steps) == 0 {
		return models.CanaryStep{}, false
	}
	return steps[len(steps)-1], true
}

// arms compares what both versions answered at the current weight.
func (f rolloutFrame) arms(step models.CanaryStep) []string {
	const width = 24
	cells := func(label string, of func(models.ArmCounts) string) string {
		return f.row(label, terminal.Pad(of(step.Canary), width)+of(step.Champion))
	}
	head := "canary"
	if step.Shadow > 0 {
		head = "shadow"
	}
	lines := []string{f.row("", f.paint.Dim(terminal.Pad(head, width)+"champion"))}
	total := step.Canary.Requests + step.Champion.Requests
	lines = append(lines,
		cells("requests", func(a models.ArmCounts) string {
			if total == 0 || step.Shadow > 0 {
				return terminal.Grouped(a.Requests)
			}
			return fmt.Sprintf("%s (%.3g %%)", terminal.Grouped(a.Requests), 100*float64(a.Requests)/float64(total))
		}),
		cells("errors", func(a models.ArmCounts) string { return share(a.Errors, a.Requests) }))
	if f.rollout.Status.Spec.Latency != nil {
		lines = append(lines, cells("slow", func(a models.ArmCounts) string { return share(a.Slow, a.Requests) }))
	}
	return append(lines, cells("p50, p99", func(a models.ArmCounts) string {
		if a.Requests == 0 {
			return "-"
		}
		return fmt.Sprintf("%.3g, %.3g ms", a.P50Millis, a.P99Millis)
	}))
}

func share(k, n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%.3g %%)", terminal.Grouped(k), 100*float64(k)/float64(n))
}

// evidence has two bars a metric: harm rolls back when its bar is full, safety
// lets the step pass.
func (f rolloutFrame) evidence(step models.CanaryStep) []string {
	metrics := step.Verdict.Metrics
	if len(metrics) == 0 {
		v := step.Verdict
		metrics = []models.MetricVerdict{{Metric: models.CanaryErrors, Harm: v.Harm, Safe: v.Safe, HarmThreshold: v.HarmThreshold, SafeThreshold: v.SafeThreshold}}
	}
	var lines []string
	for _, m := range metrics {
		lines = append(lines,
			f.row(string(m.Metric), f.bar("safe", f.paint.Green, m.Safe, m.SafeThreshold)+"   "+f.bar("harm", f.paint.Red, m.Harm, m.HarmThreshold)))
		if m.Reason != "" {
			lines = append(lines, f.rows("", terminal.Plain(m.Reason), f.paint.Dim)...)
		}
	}
	return lines
}

// steps is what is done, what runs and, until the end, what comes.
func (f rolloutFrame) steps() []string {
	s := f.rollout.Status
	var parts []string
	for i, step := range s.Steps {
		name := fmt.Sprintf("%.3g %%", 100*step.Weight)
		if step.Shadow > 0 {
			name = "shadow"
		}
		switch over := i < len(s.Steps)-1 || !f.rollout.Closed.IsZero(); {
		case step.Verdict.Verdict == models.VerdictFail:
			parts = append(parts, f.paint.Red(name+" harm"))
		case step.Shadow > 0 && i < len(s.Steps)-1:
			parts = append(parts, f.paint.Green(name+" done"))
		case over && step.Verdict.Verdict == models.VerdictPass, i < len(s.Steps)-1:
			parts = append(parts, f.paint.Green(name+" passed"))
		case over:
			parts = append(parts, f.paint.Yellow(name+" undecided"))
		default:
			parts = append(parts, f.paint.Bold(name+" now"))
		}
	}
	if f.rollout.Closed.IsZero() {
		for _, weight := range s.Spec.Steps[min(weighed(s.Steps), len(s.Spec.Steps)):] {
			parts = append(parts, f.paint.Dim(fmt.Sprintf("%.3g %%", weight)))
		}
	}
	if len(parts) == 0 {
		return nil // the first version on an endpoint has no canary
	}
	lines := []string{f.row("steps", strings.Join(parts, f.paint.Dim(" → ")))}
	if left, ok := f.deadline(); ok {
		lines = append(lines, f.row("deadline", left))
	}
	return lines
}

// weighed counts the steps with a weight.
func weighed(steps []models.CanaryStep) (n int) {
	for _, step := range steps {
		if step.Shadow == 0 {
			n++
		}
	}
	return n
}

// deadline is when the current step gives up.
func (f rolloutFrame) deadline() (string, bool) {
	step, ok := f.current()
	s := f.rollout.Status
	switch {
	case !ok || !f.rollout.Closed.IsZero() || s.Spec.StepDeadline == 0:
		return "", false
	case s.Paused:
		return "waits while the rollout is paused", true
	case s.Spec.OnDeadline == models.PolicyHold:
		return "none: it holds this weight until the judge or a person decides", true
	}
	at := s.Deadline
	if at.IsZero() {
		at = step.StartedAt.Add(s.Spec.StepDeadline.Std() + step.Paused.Std())
	}
	return fmt.Sprintf("in %s, of %s at this weight; an undecided step rolls back then", age(at.Sub(f.now)), s.Spec.StepDeadline), true
}

func (f rolloutFrame) people() []string {
	var lines []string
	for _, order := range f.rollout.Status.Orders {
		lines = append(lines, f.rows("by hand", fmt.Sprintf("%s  %s by %s: %s", moment(order.At), order.Action, terminal.Plain(order.By), terminal.Plain(order.Reason)), plainly)...)
	}
	return lines
}

// standing is the outcome, or what is waited for.
func (f rolloutFrame) standing() []string {
	r := f.rollout
	var lines []string
	switch {
	case r.Failure != "":
		lines = append(lines, f.rows("ended", terminal.Plain(r.Failure), f.paint.Red)...)
	case r.Result != nil:
		colour, word := f.paint.Red, "rolled back"
		switch r.Result.Verdict {
		case models.VerdictPass:
			colour, word = f.paint.Green, "passed"
		case models.VerdictInconclusive:
			colour, word = f.paint.Yellow, "rolled back without a verdict"
		case models.VerdictFail:
		}
		if r.Result.By != "" {
			word += " by " + r.Result.By
		}
		lines = append(lines, f.rows("ended", word+": "+terminal.Plain(r.Result.Reason), colour)...)
		if e := r.Result.Exposed; e.Total > 0 {
			lines = append(lines, f.row("exposed", fmt.Sprintf("%.3g %% of %s requests, of which %s failed", 100*e.Share, terminal.Grouped(e.Total), terminal.Grouped(e.Errors))))
		}
	default:
		if r.Status.Paused {
			lines = append(lines, f.rows("paused", "the weight stays", f.paint.Yellow)...)
		}
		if r.Status.Waiting != "" {
			lines = append(lines, f.rows("waits for", terminal.Plain(r.Status.Waiting), plainly)...)
		}
		if step, ok := f.current(); ok {
			if more := beyondMetrics(step.Verdict); more != "" {
				lines = append(lines, f.rows("judge", terminal.Plain(more), plainly)...)
			}
		}
	}
	if r.Page != "" {
		lines = append(lines, f.row("page", f.paint.Dim(r.Page)))
	}
	return lines
}

// beyondMetrics is what a verdict says that is not in its metrics' lines, such
// as that no requests come.
func beyondMetrics(v models.CanaryVerdict) string {
	more := v.Reason
	for _, m := range v.Metrics {
		if _, after, found := strings.Cut(more, m.Reason); found && m.Reason != "" {
			more = strings.TrimPrefix(after, "; ")
		}
	}
	return more
}
