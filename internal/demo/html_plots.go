package demo

import (
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// reign is the span of event time over which one version was judged as
// champion.
type reign struct {
	version  string
	from, to time.Time
	class    string // its colour in every plot
}

// reigns follow from the judged blocks, which name their champion.
func reigns(s *Story) []reign {
	var all []reign
	for _, b := range s.Blocks {
		if b.Version == "" {
			continue
		}
		end := b.Start.Add(blockLength(s))
		if n := len(all); n > 0 && all[n-1].version == b.Version {
			all[n-1].to = end
			continue
		}
		all = append(all, reign{version: b.Version, from: b.Start, to: end, class: fmt.Sprintf("c%d", len(all)%4)})
	}
	return all
}

func blockLength(s *Story) time.Duration {
	if s.Spec.Monitor == nil || s.Spec.Monitor.Block <= 0 {
		return models.Day.Std()
	}
	return s.Spec.Monitor.Block.Std()
}

// marks are the alarms, promotions and refusals as vertical rules.
func marks(s *Story) []plot.Rule {
	var rules []plot.Rule
	for _, a := range s.Alarms {
		rules = append(rules, plot.Rule{At: plot.Time(a.Block), Vertical: true, Class: "alarm", Label: "alarm " + a.Block.UTC().Format("2 Jan")})
	}
	for _, r := range s.Retrains {
		mark := plot.Rule{At: plot.Time(r.AsOf), Vertical: true, Class: "refused", Label: "not promoted"}
		if r.Promoted {
			mark.Class, mark.Label = "promoted", "promoted: version "+r.Version
			if reign := reignOf(s, r.Version); reign != nil {
				mark.At = plot.Time(reign.from)
			}
		}
		rules = append(rules, mark)
	}
	slices.SortStableFunc(rules, func(a, b plot.Rule) int { return int(a.At - b.At) })
	return rules
}

func reignOf(s *Story, version string) *reign {
	for _, r := range reigns(s) {
		if r.version == version {
			return &r
		}
	}
	return nil
}

func eventAxis(s *Story) plot.Axis {
	a := plot.Axis{Label: "event time (UTC)", Dates: true}
	if n := len(s.Blocks); n > 0 {
		a.From, a.To = plot.Time(s.Blocks[0].Start), plot.Time(s.Blocks[n-1].Start)
	}
	return a
}

// lossPlot has one point a day, the mean of seven, and the mean of the losses
// that each champion came with.
func lossPlot(s *Story) template.HTML {
	p := plot.Plot{Title: "Champion's log-loss by day", Width: 960, Height: 340, X: eventAxis(s), Rules: marks(s)}
	var values []float64
	for _, r := range reigns(s) {
		days := plot.Series{Name: "version " + r.version + ", by day", Class: r.class, Dots: true}
		week := plot.Series{Name: "7-day mean", Class: r.class, Line: true}
		if len(p.Series) > 0 {
			week.Name = ""
		}
		var last []float64
		for _, b := range s.Blocks {
			if b.Version != r.version || !b.Conclusive || b.Start.Before(r.from) || !b.Start.Before(r.to) {
				continue
			}
			values = append(values, b.Loss)
			days.Points = append(days.Points, plot.Point{X: plot.Time(b.Start), Y: b.Loss, Note: fmt.Sprintf("%s: log-loss %.3f on %s labels, version %s",
				date(b.Start), b.Loss, terminal.Grouped(b.Labelled), b.Version)})
			last = append(last, b.Loss)
			last = last[max(0, len(last)-7):]
			if len(last) == 7 {
				week.Points = append(week.Points, plot.Point{X: plot.Time(b.Start), Y: mean(last)})
			}
		}
		p.Series = append(p.Series, days, week)
		if reference := referenceOf(s, r.version); len(reference) > 0 {
			level := mean(reference)
			values = append(values, level)
			p.Rules = append(p.Rules, plot.Rule{At: level, Class: "reference", Label: fmt.Sprintf("reference of version %s: %.3f", r.version, level), Span: [2]float64{plot.Time(r.from), plot.Time(r.to)}})
		}
	}
	p.Y = plot.Around("mean log-loss", values)
	return p.Render()
}

// referenceOf are the out-of-sample losses that a version came with.
func referenceOf(s *Story, version string) []float64 {
	for _, l := range s.Lifecycles {
		if l.Status.Version == version && l.Status.Evaluation != nil {
			return l.Status.Evaluation.Reference
		}
	}
	return nil
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(max(len(values), 1))
}

func martingalePlot(s *Story) template.HTML {
	p := plot.Plot{Title: "Martingale by day against its threshold", Width: 960, Height: 260, X: eventAxis(s), Rules: marks(s)}
	var values []float64
	for _, r := range reigns(s) {
		line := plot.Series{Name: "version " + r.version, Class: r.class, Line: true, Dots: true}
		for _, b := range s.Blocks {
			if b.Version == r.version && b.Conclusive && !b.Start.Before(r.from) && b.Start.Before(r.to) {
				values = append(values, b.Martingale)
				line.Points = append(line.Points, plot.Point{X: plot.Time(b.Start), Y: b.Martingale,
					Note: fmt.Sprintf("%s: martingale %s, p %s", date(b.Start), terminal.Figure(b.Martingale), terminal.Figure(b.P))})
			}
		}
		p.Series = append(p.Series, line)
	}
	limit := 0.0
	for _, a := range s.Alarms {
		limit = max(limit, a.Threshold)
	}
	if limit == 0 && s.Spec.Monitor != nil && s.Spec.Monitor.FalseAlarmsPerYear > 0 {
		limit = 1 / drift.Alpha(s.Spec.Monitor.FalseAlarmsPerYear)
	}
	p.Y = plot.Evidence("martingale (log scale)", values, limit)
	if limit > 0 {
		p.Rules = append(p.Rules, plot.Rule{At: limit, Class: "threshold", Label: "threshold " + terminal.Figure(limit)})
	}
	return p.Render()
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
