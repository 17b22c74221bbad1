package monitorview

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// History is what the pictures are drawn from. All have the same axis of event
// time.
type History struct {
	Blocks, Ahead []models.Block
	Alarms        []models.Alarm
	Detectors     []models.Detector // in the order of the blocks' looks
	References    []Reference
	// Marks are vertical rules for what else happened.
	Marks []plot.Rule
	// Loss names the loss, such as log-loss. Default: loss.
	Loss string
}

// Reference is what one version is held against. Zero values are not known.
type Reference struct {
	Version   string
	Loss      float64
	Low, High float64 // what was expected
	Level     float64 // what is promised
}

// Era is a span of event time over which one version was judged as champion.
type Era struct {
	Version  string
	From, To time.Time
	Class    string // its colour in every picture
}

// Eras follow from the judged blocks, which name their champion.
func Eras(blocks []models.Block) []Era {
	var all []Era
	for _, b := range blocks {
		if b.Version == "" {
			continue
		}
		if n := len(all); n > 0 && all[n-1].Version == b.Version {
			all[n-1].To = b.End
			continue
		}
		all = append(all, Era{Version: b.Version, From: b.Start, To: b.End, Class: fmt.Sprintf("c%d", len(all)%4)})
	}
	return all
}

func (e Era) has(b models.Block) bool {
	return b.Version == e.Version && !b.Start.Before(e.From) && b.Start.Before(e.To)
}

// axis is that of event time.
func (h History) axis() plot.Axis {
	a := plot.Axis{Label: "event time (UTC)", Dates: true}
	if all := slices.Concat(h.Blocks, h.Ahead); len(all) > 0 {
		a.From, a.To = plot.Time(all[0].Start), plot.Time(all[len(all)-1].Start)
	}
	return a
}

// alarmRules are the alarms, of one detector or, with an empty name, of all
// with their change points.
func (h History) alarmRules(detector string) []plot.Rule {
	var rules []plot.Rule
	axis := h.axis()
	add := func(at time.Time, class, label string) {
		if x := plot.Time(at); x >= axis.From && x <= axis.To {
			rules = append(rules, plot.Rule{At: x, Vertical: true, Class: class, Label: label})
		}
	}
	for _, a := range h.Alarms {
		if detector != "" && a.Detector != "" && a.Detector != detector {
			continue
		}
		if detector == "" && !a.Change.IsZero() {
			add(a.Change, "change", "change "+a.Change.UTC().Format("2 Jan"))
		}
		add(a.Block, "alarm", "alarm "+a.Block.UTC().Format("2 Jan"))
	}
	return rules
}

func inOrder(rules []plot.Rule) []plot.Rule {
	slices.SortStableFunc(rules, func(a, b plot.Rule) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		default:
			return 0
		}
	})
	return rules
}

// smooth is how many blocks the line through the losses averages.
const smooth = 7

// LossPlot has one point a block, a line through the mean of the last seven, and
// what each version came with.
func (h History) LossPlot() template.HTML {
	name := h.lossName()
	p := plot.Plot{Title: "Champion's " + name + " by block", Width: 960, Height: 340, X: h.axis()}
	p.Rules = inOrder(slices.Concat(h.alarmRules(""), h.Marks))
	var values []float64
	for _, era := range Eras(h.Blocks) {
		points := plot.Series{Name: "version " + era.Version, Class: era.Class, Dots: true}
		line := plot.Series{Class: era.Class, Line: true}
		if len(p.Series) == 0 {
			line.Name = fmt.Sprintf("mean of %d blocks", smooth)
		}
		var last []float64
		for _, b := range h.Blocks {
			if !b.Conclusive || !era.has(b) {
				continue
			}
			values = append(values, b.Loss)
			points.Points = append(points.Points, plot.Point{X: plot.Time(b.Start), Y: b.Loss, Note: Moment(b.Start) + ": " + BlockWords(b), Open: !b.Final})
			last = append(last, b.Loss)
			last = last[max(0, len(last)-smooth):]
			if len(last) == smooth {
				line.Points = append(line.Points, plot.Point{X: plot.Time(b.Start), Y: mean(last)})
			}
		}
		p.Series = append(p.Series, points, line)
		values = append(values, h.expect(&p, era)...)
	}
	p.Y = plot.Around("mean "+name, values)
	return p.Render()
}

// expect draws what an era's version came with, and returns the values that must
// be seen.
func (h History) expect(p *plot.Plot, era Era) (values []float64) {
	span := [2]float64{plot.Time(era.From), plot.Time(era.To)}
	for _, r := range h.References {
		if r.Version != era.Version {
			continue
		}
		if r.High > r.Low {
			values = append(values, r.Low, r.High)
			p.Bands = append(p.Bands, plot.Band{From: r.Low, To: r.High, Class: "reference", Span: span, Note: "eight in ten of the reference's blocks"})
		}
		if r.Loss != 0 {
			values = append(values, r.Loss)
			p.Rules = append(p.Rules, plot.Rule{At: r.Loss, Class: "reference", Span: span, Label: fmt.Sprintf("reference of version %s: %s", r.Version, terminal.Figure(r.Loss))})
		}
		if r.Level != 0 {
			values = append(values, r.Level)
			p.Rules = append(p.Rules, plot.Rule{At: r.Level, Class: "level", Span: span, Label: "promised: at most " + terminal.Figure(r.Level)})
		}
	}
	return values
}

// EstimatedPlot is what the model's own probabilities let expect; empty: nothing
// was estimated. Blocks whose labels have not come are hollow.
func (h History) EstimatedPlot() template.HTML {
	p := plot.Plot{Title: "Estimated loss by block", Width: 960, Height: 220, X: h.axis()}
	line := plot.Series{Name: "estimated from the model's own probabilities", Class: "c1 dashed", Line: true}
	open := plot.Series{Name: "labels have not come", Class: "c1", Dots: true}
	var values []float64
	for i, b := range slices.Concat(h.Blocks, h.Ahead) {
		if b.Estimated == 0 {
			continue
		}
		values = append(values, b.Estimated)
		line.Points = append(line.Points, plot.Point{X: plot.Time(b.Start), Y: b.Estimated})
		if i >= len(h.Blocks) {
			open.Points = append(open.Points, plot.Point{X: plot.Time(b.Start), Y: b.Estimated, Open: true,
				Note: fmt.Sprintf("%s: estimated %s on %s requests", Moment(b.Start), terminal.Figure(b.Estimated), terminal.Grouped(b.Requests))})
		}
	}
	if len(values) == 0 {
		return ""
	}
	p.Series = []plot.Series{line, open}
	p.Y = plot.Around("estimated mean "+h.lossName(), values)
	return p.Render()
}

func (h History) lossName() string {
	if h.Loss == "" {
		return "loss"
	}
	return h.Loss
}

// EvidencePlot is one detector's martingale against its threshold, on a log
// scale.
func (h History) EvidencePlot(detector int, width float64) template.HTML {
	d := h.Detectors[detector]
	name := models.DetectorName(d.Spec)
	p := plot.Plot{Title: name + ": evidence by block against its threshold", Width: width, Height: 260, X: h.axis()}
	p.Rules = inOrder(slices.Concat(h.alarmRules(name), h.Marks))
	var values []float64
	for _, era := range Eras(h.Blocks) {
		line := plot.Series{Name: "version " + era.Version, Class: era.Class, Line: true, Dots: true}
		rested := false
		for _, b := range h.Blocks {
			if !era.has(b) || !b.Conclusive {
				continue
			}
			if detector >= len(b.Looks) {
				rested = true
				continue
			}
			look := b.Looks[detector]
			values = append(values, look.Value)
			line.Points = append(line.Points, plot.Point{X: plot.Time(b.Start), Y: look.Value, Gap: rested,
				Note: fmt.Sprintf("%s: %s of %s, p %s", Moment(b.Start), terminal.Figure(look.Value), terminal.Figure(d.Threshold), terminal.Figure(look.P))})
			rested = false
		}
		p.Series = append(p.Series, line)
	}
	p.Y = plot.Evidence("evidence (log scale)", values, d.Threshold)
	if d.Threshold > 0 && !math.IsInf(d.Threshold, 0) {
		p.Rules = append(p.Rules, plot.Rule{At: d.Threshold, Class: "threshold", Label: "alarms at " + terminal.Figure(d.Threshold)})
	}
	return p.Render()
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(len(values), 1))
}
