package demo

import (
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/drift"
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
func marks(s *Story) []rule {
	var rules []rule
	for _, a := range s.Alarms {
		rules = append(rules, rule{at: unix(a.Block), vertical: true, class: "alarm", label: "alarm " + a.Block.UTC().Format("2 Jan")})
	}
	for _, r := range s.Retrains {
		mark := rule{at: unix(r.AsOf), vertical: true, class: "refused", label: "not promoted"}
		if r.Promoted {
			mark.class, mark.label = "promoted", "promoted: version "+r.Version
			if reign := reignOf(s, r.Version); reign != nil {
				mark.at = unix(reign.from)
			}
		}
		rules = append(rules, mark)
	}
	slices.SortStableFunc(rules, func(a, b rule) int { return int(a.at - b.at) })
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

func eventAxis(s *Story) axis {
	a := axis{label: "event time (UTC)", dates: true}
	if n := len(s.Blocks); n > 0 {
		a.from, a.to = unix(s.Blocks[0].Start), unix(s.Blocks[n-1].Start)
	}
	return a
}

// lossPlot has one point a day, the mean of seven, and the mean of the losses
// that each champion came with.
func lossPlot(s *Story) template.HTML {
	p := plot{title: "Champion's log-loss by day", width: 960, height: 340, x: eventAxis(s), rules: marks(s)}
	var values []float64
	for _, r := range reigns(s) {
		days := series{name: "version " + r.version + ", by day", class: r.class, dots: true}
		week := series{name: "7-day mean", class: r.class, line: true}
		if len(p.series) > 0 {
			week.name = ""
		}
		var last []float64
		for _, b := range s.Blocks {
			if b.Version != r.version || !b.Conclusive || b.Start.Before(r.from) || !b.Start.Before(r.to) {
				continue
			}
			values = append(values, b.Loss)
			days.points = append(days.points, point{x: unix(b.Start), y: b.Loss, note: fmt.Sprintf("%s: log-loss %.3f on %s labels, version %s",
				date(b.Start), b.Loss, terminal.Grouped(b.Labelled), b.Version)})
			last = append(last, b.Loss)
			last = last[max(0, len(last)-7):]
			if len(last) == 7 {
				week.points = append(week.points, point{x: unix(b.Start), y: mean(last)})
			}
		}
		p.series = append(p.series, days, week)
		if reference := referenceOf(s, r.version); len(reference) > 0 {
			level := mean(reference)
			values = append(values, level)
			p.rules = append(p.rules, rule{at: level, class: "reference", label: fmt.Sprintf("reference of version %s: %.3f", r.version, level), span: [2]float64{unix(r.from), unix(r.to)}})
		}
	}
	p.y = around("mean log-loss", values)
	return p.render()
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
	p := plot{title: "Martingale by day against its threshold", width: 960, height: 260, x: eventAxis(s), rules: marks(s)}
	var values []float64
	for _, r := range reigns(s) {
		line := series{name: "version " + r.version, class: r.class, line: true, dots: true}
		for _, b := range s.Blocks {
			if b.Version == r.version && b.Conclusive && !b.Start.Before(r.from) && b.Start.Before(r.to) {
				values = append(values, b.Martingale)
				line.points = append(line.points, point{x: unix(b.Start), y: b.Martingale,
					note: fmt.Sprintf("%s: martingale %s, p %s", date(b.Start), terminal.Figure(b.Martingale), terminal.Figure(b.P))})
			}
		}
		p.series = append(p.series, line)
	}
	limit := 0.0
	for _, a := range s.Alarms {
		limit = max(limit, a.Threshold)
	}
	if limit == 0 && s.Spec.Monitor != nil && s.Spec.Monitor.FalseAlarmsPerYear > 0 {
		limit = 1 / drift.Alpha(s.Spec.Monitor.FalseAlarmsPerYear)
	}
	p.y = evidenceAxis("martingale (log scale)", values, limit)
	if limit > 0 {
		p.rules = append(p.rules, rule{at: limit, class: "threshold", label: "threshold " + terminal.Figure(limit)})
	}
	return p.render()
}

// curvePlot is the training's loss by step.
func curvePlot(l LifecycleStory) template.HTML {
	if len(l.Curve) == 0 {
		return ""
	}
	line := series{name: "training loss", class: "c0", line: true, dots: true}
	var steps []float64
	for _, q := range l.Curve {
		steps = append(steps, q[0])
		line.points = append(line.points, point{x: q[0], y: q[1], note: fmt.Sprintf("step %.0f: %.4f", q[0], q[1])})
	}
	low, high := terminal.Bounds(steps)
	p := plot{title: "Training loss by step", width: 470, height: 240, series: []series{line}}
	p.x, p.y = axis{label: "step", from: low, to: high}, around("loss", losses(l.Curve))
	return p.render()
}

// daysPlot holds candidate and champion against each other on every held-out
// day.
func daysPlot(l LifecycleStory) template.HTML {
	e := l.Status.Evaluation
	if e == nil || len(e.Days) == 0 {
		return ""
	}
	candidate := series{name: "candidate", class: "c1", line: true, dots: true}
	champion := series{name: "champion", class: "c0", line: true, dots: true}
	var values []float64
	for _, d := range e.Days {
		values = append(values, d.Candidate)
		note := fmt.Sprintf("%s: candidate %.3f", date(d.Start), d.Candidate)
		if len(e.Champion) > 0 {
			note += fmt.Sprintf(", champion %.3f", d.Champion)
			values = append(values, d.Champion)
			champion.points = append(champion.points, point{x: unix(d.Start), y: d.Champion, note: note})
		}
		candidate.points = append(candidate.points, point{x: unix(d.Start), y: d.Candidate, note: note})
	}
	p := plot{title: "Loss by held-out day", width: 470, height: 240, series: []series{champion, candidate}}
	p.x = axis{label: "held-out day (event time)", dates: true, from: unix(e.Days[0].Start), to: unix(e.Days[len(e.Days)-1].Start)}
	p.y = around("mean loss", values)
	return p.render()
}
