package demo

import (
	"fmt"
	"html/template"
	"math"

	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// stepPage is one canary step.
type stepPage struct {
	models.CanaryStep
	Metrics []metricPage
}

// metricPage is what one metric's evidence did in a step.
type metricPage struct {
	Name   string
	Reason string
	Plot   template.HTML
}

func newStepPage(step models.CanaryStep) stepPage {
	page := stepPage{CanaryStep: step}
	metrics := step.Verdict.Metrics
	if len(metrics) == 0 {
		v := step.Verdict
		metrics = []models.MetricVerdict{{Metric: models.CanaryErrors, Verdict: v.Verdict, Harm: v.Harm, Safe: v.Safe,
			HarmThreshold: v.HarmThreshold, SafeThreshold: v.SafeThreshold}}
	}
	for i, metric := range metrics {
		page.Metrics = append(page.Metrics, metricPage{Name: canaryMetricWord(metric.Metric), Reason: metric.Reason, Plot: evidencePlot(step, metric, i)})
	}
	return page
}

// Where names the step in a sentence.
func (s stepPage) Where() string {
	if s.Shadow > 0 {
		return "copies of " + percent(s.Shadow) + " of the requests"
	}
	return percent(s.Weight) + " of the traffic"
}

func canaryMetricWord(metric models.CanaryMetric) string {
	switch metric {
	case models.CanaryErrors:
		return "Failed requests"
	case models.CanaryLatency:
		return "Slow answers"
	case models.CanaryQuality:
		return "Loss on labels"
	default:
		return string(metric)
	}
}

// evidencePlot is one metric of a step: two e-values and the thresholds that
// act.
func evidencePlot(step models.CanaryStep, metric models.MetricVerdict, index int) template.HTML {
	harm := series{name: "harm", class: "bad", line: true, dots: true}
	safe := series{name: "safe", class: "good", line: true, dots: true}
	var values []float64
	most := 1.0
	for _, look := range step.History {
		at := models.MetricLook{Harm: look.Harm, Safe: look.Safe}
		if index < len(look.Metrics) {
			at = look.Metrics[index]
		}
		values = append(values, at.Harm, at.Safe)
		most = max(most, float64(look.Requests))
		harm.points = append(harm.points, point{x: float64(look.Requests), y: at.Harm, note: fmt.Sprintf("%s requests: harm %s", terminal.Grouped(look.Requests), terminal.Figure(at.Harm))})
		safe.points = append(safe.points, point{x: float64(look.Requests), y: at.Safe, note: fmt.Sprintf("%s requests: safe %s", terminal.Grouped(look.Requests), terminal.Figure(at.Safe))})
	}
	p := plot{title: fmt.Sprintf("%s: evidence at %s", canaryMetricWord(metric.Metric), percent(step.Weight)), width: 470, height: 260, series: []series{safe, harm}}
	p.x = axis{label: "requests to the canary", to: most}
	p.y = evidenceAxis("e-value (log scale)", values, math.Max(metric.HarmThreshold, metric.SafeThreshold))
	for _, r := range []rule{
		{at: metric.SafeThreshold, class: "promoted", label: "safe enough: " + terminal.Figure(metric.SafeThreshold)},
		{at: metric.HarmThreshold, class: "alarm", label: "rolls back: " + terminal.Figure(metric.HarmThreshold)},
	} {
		if r.at > 0 {
			p.rules = append(p.rules, r)
		}
	}
	return p.render()
}
