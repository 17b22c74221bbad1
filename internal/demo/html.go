package demo

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"time"

	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

//go:embed report.tmpl.html
var reportTemplate string

// page is what the report's template shows.
type page struct {
	*Story
	Summary    string   // one line
	Sentences  []string // what happened, in order
	Timeline   template.HTML
	Loss       template.HTML
	Estimated  template.HTML
	Evidence   []evidencePage
	Lifecycles []lifecyclePage
	SpecJSON   string
	Workflows  []link
	Offered    []link // pages of the stack
	Chain      string // whether the steward's records follow each other
}

// lifecyclePage is one lifecycle with its pictures.
type lifecyclePage struct {
	LifecycleStory
	Title       string
	Outcome     string // promoted, refused, failed, unfinished
	Reason      string
	Curve       template.HTML
	Days        template.HTML
	Gate        *gatePage // nil: it was never judged
	Calibration template.HTML
	Serving     string
	Steps       []stepPage
	Took        string
	Account     *accountPage // nil: nothing was leased, or it did not end
}

type link struct{ Name, URL string }

// renderHTML is the report as one file that loads nothing from elsewhere.
func renderHTML(story *Story) ([]byte, error) {
	parsed, err := template.New("report").Funcs(template.FuncMap{
		"grouped": terminal.Grouped, "figure": terminal.Figure, "percent": percent, "date": date, "short": shortDigest,
		"stopwatch": func(s float64) string { return stopwatch(time.Duration(s * float64(time.Second))) },
		"clock":     func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"head":      pageHead, "foot": plot.Foot, "word": metricWord, "main": mainMetrics, "estimate": estimate, "bytes": readableBytes, "state": monitorview.StateWords,
	}).Parse(reportTemplate)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	spec, err := json.MarshalIndent(story.Spec, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	p := page{
		Story: story, Summary: summary(story), Sentences: sentences(story),
		Timeline: timeline(story), Loss: history(story).LossPlot(), Estimated: history(story).EstimatedPlot(), Evidence: evidencePages(story),
		SpecJSON: string(spec), Workflows: workflowLinks(story), Offered: offeredLinks(story),
		Chain: chainWords(story.Records),
	}
	for _, l := range story.Lifecycles {
		p.Lifecycles = append(p.Lifecycles, newLifecyclePage(l))
	}
	var b bytes.Buffer
	if err := parsed.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	return b.Bytes(), nil
}

func pageHead(p page) template.HTML {
	title := "Mainspring report"
	if p.Model != "" {
		title = p.Model + " – " + title
	}
	return plot.Head(title)
}

func newLifecyclePage(l LifecycleStory) lifecyclePage {
	p := lifecyclePage{LifecycleStory: l, Curve: curvePlot(l), Days: daysPlot(l), Took: took(l), Account: accountOf(l),
		Gate: gateOf(l), Calibration: reliabilityPlot(l), Serving: servingWords(l)}
	p.Title = "First champion"
	if t := l.Status.Spec.Trigger; t != nil && t.Kind == models.TriggerAlarm {
		p.Title = "Retraining as of " + date(l.Status.Spec.Data.AsOf)
	}
	p.Outcome, p.Reason = outcomeOf(l)
	if l.Rollout != nil {
		for _, step := range l.Rollout.Steps {
			p.Steps = append(p.Steps, newStepPage(step))
		}
	}
	return p
}

func outcomeOf(l LifecycleStory) (outcome, reason string) {
	switch result := l.Status.Result; {
	case l.Failure != "":
		return "failed", l.Failure
	case result == nil:
		return "unfinished", "still in stage " + string(l.Status.Stage)
	case result.Promoted:
		return "promoted", result.Reason
	default:
		return "refused", result.Reason
	}
}

func took(l LifecycleStory) string {
	var from, to time.Time
	for _, t := range l.Status.Started {
		if from.IsZero() || t.Before(from) {
			from = t
		}
	}
	for _, t := range l.Status.Ended {
		if t.After(to) {
			to = t
		}
	}
	if from.IsZero() || to.Before(from) {
		return ""
	}
	return seconds(to.Sub(from))
}
