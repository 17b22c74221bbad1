package workflows

import (
	"fmt"
	"strconv"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

func (r *rollout) status(now time.Time) models.RolloutStatus {
	s := models.RolloutStatus{
		RolloutState: r.state, Version: r.input.Candidate.Version, Champion: r.input.Champion, Waiting: r.waiting,
		Endpoint: r.input.Deploy.Endpoint, Model: r.input.Model, Spec: r.spec, Exposed: exposure(r.state.Steps),
	}
	if r.current() != nil && !r.ended && !r.state.Paused {
		s.Deadline = now.Add(r.left(now))
	}
	return s
}

// exposure is how much of the traffic met the canary. Copies are not: nobody
// got their answers.
func exposure(steps []models.CanaryStep) (e models.Exposure) {
	for _, s := range steps {
		e.Total += s.Champion.Requests
		if s.Weight > 0 {
			e.Requests += s.Canary.Requests
			e.Errors += s.Canary.Errors
			e.Total += s.Canary.Requests
		}
	}
	if e.Total > 0 {
		e.Share = float64(e.Requests) / float64(e.Total)
	}
	return e
}

// exposed says it in words; empty: there was no traffic.
func exposed(e models.Exposure) string {
	if e.Total == 0 {
		return ""
	}
	return fmt.Sprintf("exposed %.3g %% of %s requests", 100*e.Share, grouped(e.Total))
}

func (r *rollout) waitingForEvidence() string {
	current := r.current()
	switch {
	case r.state.Paused:
		return "a person to resume; harm still rolls back"
	case onlyLabelsMissing(current.Verdict):
		return "labels of what it answered"
	case current.Shadow > 0:
		return fmt.Sprintf("%s answered copies (%.4g %% of the requests)", grouped(r.spec.Shadow.Requests), 100*current.Shadow)
	default:
		return fmt.Sprintf("evidence at %.4g %% of the traffic", 100*current.Weight)
	}
}

// show draws the page: where it stands, what it waits for and who said what.
func (r *rollout) show(ctx workflow.Context, waiting string) {
	r.waiting = waiting
	now := workflow.Now(ctx)
	s := r.status(now)
	var p page
	p.linef("**Rollout of %s version %s** on endpoint %s against version %s", s.Model, s.Version, s.Endpoint, orNone(s.Champion))
	p.linef("")
	if waiting != "" {
		p.linef("- waiting for %s", waiting)
	}
	if s.Paused {
		p.linef("- paused%s", r.pausedBy())
	}
	if !s.Deadline.IsZero() {
		p.linef("- time for this step is up at %s%s", moment(s.Deadline), r.afterDeadline(now))
	}
	if s.Labels != "" {
		p.linef("- labels: %s", s.Labels)
	}
	if e := exposed(s.Exposed); e != "" {
		p.linef("- %s", e)
	}
	drawSteps(&p, s.Steps)
	if current := r.current(); current != nil {
		drawMetrics(&p, *current)
	}
	if len(s.Orders) > 0 {
		p.header("when", "order", "by", "reason")
		for _, o := range s.Orders {
			p.row(moment(o.At), string(o.Action), o.By, o.Reason)
		}
	}
	p.show(ctx)
}

func (r *rollout) afterDeadline(now time.Time) string {
	switch {
	case r.spec.OnDeadline != models.PolicyHold:
		return ", which rolls back what is undecided"
	case r.left(now) <= 0:
		return ", and it goes on: the spec holds what is undecided"
	default:
		return ", which does not end it: the spec holds what is undecided"
	}
}

func drawSteps(p *page, steps []models.CanaryStep) {
	p.header("step", "canary requests", "errors", "champion requests", "errors", "harm", "safe", "verdict")
	for _, s := range steps {
		name := fmt.Sprintf("%.4g %%", 100*s.Weight)
		if s.Shadow > 0 {
			name = fmt.Sprintf("copies of %.4g %%", 100*s.Shadow)
		}
		p.row(name, grouped(s.Canary.Requests), grouped(s.Canary.Errors), grouped(s.Champion.Requests), grouped(s.Champion.Errors),
			number(s.Verdict.Harm)+" of "+number(s.Verdict.HarmThreshold), number(s.Verdict.Safe)+" of "+number(s.Verdict.SafeThreshold), s.Verdict.Reason)
	}
}

func drawMetrics(p *page, step models.CanaryStep) {
	p.header("metric", "canary", "champion", "harm", "safe", "verdict")
	for _, m := range step.Verdict.Metrics {
		p.row(string(m.Metric), number(m.Canary), number(m.Champion),
			number(m.Harm)+" of "+number(m.HarmThreshold), number(m.Safe)+" of "+number(m.SafeThreshold), string(m.Verdict))
	}
}

func orNone(version string) string {
	if version == "" {
		return "none"
	}
	return version
}

// grouped writes a count with its thousands apart.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// spell writes a span in its largest unit.
func spell(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		switch n := int64(d / unit.length); {
		case n == 1:
			return "1 " + unit.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", int64(d/time.Second))
}
