package demo

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// checksShown bounds the gate's table: with many slices it would bury the rest.
const checksShown = 14

// gatePage is the gate's table, what decided first.
type gatePage struct {
	models.GateVerdict
	Rows []gateRow
	More string // what the table leaves out; empty: nothing
}

type gateRow struct {
	models.GateCheck
	Title string
}

func gateOf(l LifecycleStory) *gatePage {
	if l.Status.Gate == nil {
		return nil
	}
	page := &gatePage{GateVerdict: *l.Status.Gate}
	checks := slices.Clone(page.Checks)
	slices.SortStableFunc(checks, func(a, b models.GateCheck) int {
		return cmp.Or(a.Verdict.Rank()-b.Verdict.Rank(), weight(a)-weight(b))
	})
	for _, c := range checks[:min(len(checks), checksShown)] {
		name, rest, _ := strings.Cut(c.Name, " ") // "log_loss gain over the champion"
		title := strings.TrimSpace(metricWord(name) + " " + rest)
		if c.Slice != "" {
			title += ", " + c.Slice
		}
		page.Rows = append(page.Rows, gateRow{c, title})
	}
	if more := len(checks) - len(page.Rows); more > 0 {
		page.More = fmt.Sprintf("%s more; all are in evaluation/gate.md among the MLflow run's artifacts.", counted(more, "check"))
	}
	return page
}

// weight puts the whole before its parts, and data checks, which have stopped
// the lifecycle before when they fail, last.
func weight(c models.GateCheck) int {
	switch {
	case strings.HasPrefix(c.Name, "data check"):
		return 2
	case c.Slice != "":
		return 1
	default:
		return 0
	}
}

// figureOf is one metric in the table of versions.
type figureOf struct {
	Name  string
	Value float64
}

// mainMetrics are those that a version is known by; report.json has all.
func mainMetrics(metrics map[string]float64) (shown []figureOf) {
	for _, m := range []models.Metric{models.LogLoss, models.AUC, models.RMSE, models.R2} {
		if v, ok := metrics[string(m)]; ok {
			shown = append(shown, figureOf{metricWord(string(m)), v})
		}
	}
	return shown
}

// fewRows is how many rows of a bin say little about it.
const fewRows = 20

// reliabilityPlot holds what was predicted against what happened.
func reliabilityPlot(l LifecycleStory) template.HTML {
	e := l.Status.Evaluation
	if e == nil || len(e.Reliability) == 0 {
		return ""
	}
	observed := plot.Series{Name: "candidate", Class: "c1", Line: true, Dots: true}
	ideal := plot.Series{Name: "perfectly calibrated", Class: "reference", Line: true, Points: []plot.Point{{X: 0, Y: 0}, {X: 1, Y: 1}}}
	few := plot.Series{Name: fmt.Sprintf("fewer than %d rows", fewRows), Class: "c1", Dots: true}
	for _, b := range e.Reliability {
		p := plot.Point{X: b.Predicted, Y: b.Observed, Note: fmt.Sprintf("of %s rows predicted about %s, %s had the outcome",
			terminal.Grouped(b.Rows), percent(b.Predicted), percent(b.Observed))}
		switch {
		case b.Rows >= fewRows:
			observed.Points = append(observed.Points, p)
		case b.Rows > 0:
			p.Open = true
			few.Points = append(few.Points, p)
		}
	}
	p := plot.Plot{Title: "Reliability diagram", Width: 470, Height: 240, Series: []plot.Series{ideal, observed, few}}
	p.X, p.Y = plot.Axis{Label: "mean predicted probability", To: 1}, plot.Axis{Label: "share with the outcome", To: 1}
	return p.Render()
}

// servingWords is what one answer costs.
func servingWords(l LifecycleStory) string {
	e := l.Status.Evaluation
	if e == nil || e.Serving == nil {
		return ""
	}
	words := []string{fmt.Sprintf("%s of model files", readableBytes(e.Serving.SizeBytes))}
	if t := e.Serving.Latency; t != nil {
		words = append(words, fmt.Sprintf("one row takes %.2f ms in the median and %.2f ms in 99 of 100 cases on the %s runtime",
			t.P50Millis, t.P99Millis, e.Serving.Runtime))
	}
	return strings.Join(words, "; ")
}

// chainWords says whether the steward's records still follow each other.
func chainWords(records []models.Record) string {
	if len(records) == 0 {
		return ""
	}
	first := records[0]
	if err := models.VerifyRecords(records, first.Sequence-1, first.Previous); err != nil {
		return "broken: " + err.Error()
	}
	return "unbroken, up to " + shortDigest(records[len(records)-1].Hash)
}
