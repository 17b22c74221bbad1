package demo

import (
	"fmt"
	"html/template"

	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// history is what the monitor knew at the end, with what came of retrainings.
func history(s *Story) monitorview.History {
	h := monitorview.History{Blocks: s.Blocks, Ahead: s.Ahead, Alarms: s.Alarms, Detectors: s.Detectors, Marks: marks(s), Loss: "log-loss"}
	for _, l := range s.Lifecycles {
		if l.Status.Version == "" || l.Status.Evaluation == nil || len(l.Status.Evaluation.Reference) == 0 {
			continue
		}
		var blocks []models.BlockLoss
		for _, loss := range l.Status.Evaluation.Reference {
			blocks = append(blocks, models.BlockLoss{Loss: loss})
		}
		r := monitorview.Reference{Version: l.Status.Version, Loss: mean(l.Status.Evaluation.Reference)}
		if span, ok := monitorview.Expected(blocks); ok {
			r.Low, r.High = span[0], span[1]
		}
		h.References = append(h.References, r)
	}
	return h
}

// marks are what came of retrainings, as vertical rules.
func marks(s *Story) []plot.Rule {
	var rules []plot.Rule
	for _, r := range s.Retrains {
		mark := plot.Rule{At: plot.Time(r.AsOf), Vertical: true, Class: "refused", Label: "not promoted"}
		if r.Promoted {
			mark.Class, mark.Label = "promoted", "promoted: version "+r.Version
			for _, era := range monitorview.Eras(s.Blocks) {
				if era.Version == r.Version {
					mark.At = plot.Time(era.From)
					break
				}
			}
		}
		rules = append(rules, mark)
	}
	return rules
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(len(values), 1))
}

// evidencePage is one detector with its picture.
type evidencePage struct {
	Name      string
	Threshold float64
	Plot      template.HTML
}

func evidencePages(s *Story) []evidencePage {
	h := history(s)
	width := 470.0
	if len(h.Detectors) == 1 {
		width = 960
	}
	var pages []evidencePage
	for i, d := range h.Detectors {
		pages = append(pages, evidencePage{Name: models.DetectorName(d.Spec), Threshold: d.Threshold, Plot: h.EvidencePlot(i, width)})
	}
	return pages
}

// curvePlot is the training's loss by step.
func curvePlot(l LifecycleStory) template.HTML {
	if len(l.Curve) == 0 {
		return ""
	}
	line := plot.Series{Name: "training loss", Class: "c0", Line: true, Dots: true}
	var steps []float64
	for _, q := range l.Curve {
		steps = append(steps, q[0])
		line.Points = append(line.Points, plot.Point{X: q[0], Y: q[1], Note: fmt.Sprintf("step %.0f: %.4f", q[0], q[1])})
	}
	low, high := terminal.Bounds(steps)
	p := plot.Plot{Title: "Training loss by step", Width: 470, Height: 240, Series: []plot.Series{line}}
	p.X, p.Y = plot.Axis{Label: "step", From: low, To: high}, plot.Around("loss", losses(l.Curve))
	return p.Render()
}

// daysPlot holds candidate and champion against each other on every held-out
// day.
func daysPlot(l LifecycleStory) template.HTML {
	e := l.Status.Evaluation
	if e == nil || len(e.Days) == 0 {
		return ""
	}
	candidate := plot.Series{Name: "candidate", Class: "c1", Line: true, Dots: true}
	champion := plot.Series{Name: "champion", Class: "c0", Line: true, Dots: true}
	var values []float64
	for _, d := range e.Days {
		values = append(values, d.Candidate)
		note := fmt.Sprintf("%s: candidate %.3f", date(d.Start), d.Candidate)
		if len(e.Champion) > 0 {
			note += fmt.Sprintf(", champion %.3f", d.Champion)
			values = append(values, d.Champion)
			champion.Points = append(champion.Points, plot.Point{X: plot.Time(d.Start), Y: d.Champion, Note: note})
		}
		candidate.Points = append(candidate.Points, plot.Point{X: plot.Time(d.Start), Y: d.Candidate, Note: note})
	}
	p := plot.Plot{Title: "Loss by held-out day", Width: 470, Height: 240, Series: []plot.Series{champion, candidate}}
	p.X = plot.Axis{Label: "held-out day (event time)", Dates: true, From: plot.Time(e.Days[0].Start), To: plot.Time(e.Days[len(e.Days)-1].Start)}
	p.Y = plot.Around("mean loss", values)
	return p.Render()
}
