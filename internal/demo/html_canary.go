package demo

import (
	"fmt"
	"html/template"
	"math"

	"github.com/mainspring-ml/mainspring/internal/plot"
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
	harm := plot.Series{Name: "harm", Class: "bad", Line: true, Dots: true}
	safe := plot.Series{Name: "safe", Class: "good", Line: true, Dots: true}
	var values []float64
	most := 1.0
	for _, look := range step.History {
		at := models.MetricLook{Harm: look.Harm, Safe: look.Safe}
		if index < len(look.Metrics) {
			at = look.Metrics[index]
		}
		values = append(values, at.Harm, at.Safe)
		most = max(most, float64(look.Requests))
		harm.Points = append(harm.Points, plot.Point{X: float64(look.Requests), Y: at.Harm, Note: fmt.Sprintf("%s requests: harm %s", terminal.Grouped(look.Requests), terminal.Figure(at.Harm))})
		safe.Points = append(safe.Points, plot.Point{X: float64(look.Requests), Y: at.Safe, Note: fmt.Sprintf("%s requests: safe %s", terminal.Grouped(look.Requests), terminal.Figure(at.Safe))})
	}
	p := plot.Plot{Title: fmt.Sprintf("%s: evidence at %s", canaryMetricWord(metric.Metric), percent(step.Weight)), Width: 470, Height: 260, Series: []plot.Series{safe, harm}}
	p.X = plot.Axis{Label: "requests to the canary", To: most}
	p.Y = plot.Evidence("e-value (log scale)", values, math.Max(metric.HarmThreshold, metric.SafeThreshold))
	for _, r := range []plot.Rule{
		{At: metric.SafeThreshold, Class: "promoted", Label: "safe enough: " + terminal.Figure(metric.SafeThreshold)},
		{At: metric.HarmThreshold, Class: "alarm", Label: "rolls back: " + terminal.Figure(metric.HarmThreshold)},
	} {
		if r.At > 0 {
			p.Rules = append(p.Rules, r)
		}
	}
	return p.Render()
}
