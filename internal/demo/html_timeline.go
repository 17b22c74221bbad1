package demo

import (
	"html/template"
	"time"

	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/internal/terminal"
)

// timeline draws the story over event time: who was champion, what alarmed,
// and which data each lifecycle saw.
func timeline(s *Story) template.HTML {
	scale, ok := timelineAxis(s)
	const rowHeight, left = 30.0, 190.0
	rows := 2 + len(s.Lifecycles)
	t := timelineDrawing{axis: scale, left: left, width: 960, row: rowHeight}
	t.svg = plot.NewDrawing(t.width, float64(rows)*rowHeight+44, "Timeline: champions, alarms and the data of each lifecycle")
	if !ok {
		t.svg.Text(t.width/2, 40, "note middle", "no lifecycle and no judged day to draw")
		return t.svg.Done()
	}
	t.months(rows)
	t.champions(s)
	t.alarms(s)
	for i, l := range s.Lifecycles {
		t.lifecycle(2+i, l)
	}
	return t.svg.Done()
}

// timelineAxis reaches from the first row of data to the last judged day.
func timelineAxis(s *Story) (plot.Axis, bool) {
	var from, to time.Time
	reach := func(t time.Time) {
		if t.IsZero() {
			return
		}
		if from.IsZero() || t.Before(from) {
			from = t
		}
		if t.After(to) {
			to = t
		}
	}
	for _, r := range monitorview.Eras(s.Blocks) {
		reach(r.From)
		reach(r.To)
	}
	for _, a := range s.Alarms {
		reach(a.Block)
	}
	for _, l := range s.Lifecycles {
		if snapshot := l.Status.Snapshot; snapshot != nil {
			reach(snapshot.Train.From)
			reach(snapshot.Test.To)
		}
		reach(l.Status.Spec.Data.AsOf)
	}
	return plot.Axis{Dates: true, From: plot.Time(from), To: plot.Time(to)}, to.After(from)
}

type timelineDrawing struct {
	svg   *plot.Drawing
	axis  plot.Axis
	left  float64
	width float64
	row   float64
}

func (t timelineDrawing) x(at time.Time) float64 {
	return t.left + t.axis.Share(plot.Time(at))*(t.width-t.left-plot.MarginRight)
}

func (t timelineDrawing) y(row int) float64 { return 8 + float64(row)*t.row }

func (t timelineDrawing) label(row int, text string) {
	t.svg.Text(t.left-12, t.y(row)+t.row/2+2, "legend end", text)
}

func (t timelineDrawing) months(rows int) {
	bottom := t.y(rows) + 2
	for _, tick := range t.axis.Ticks(12) {
		x := t.x(time.Unix(int64(tick.At), 0))
		t.svg.Line(x, 4, x, bottom, "grid")
		t.svg.Text(x, bottom+16, "tick middle", tick.Label)
	}
	t.svg.Line(t.left, bottom, t.width-plot.MarginRight, bottom, "axis")
}

func (t timelineDrawing) champions(s *Story) {
	t.label(0, "champion")
	for _, r := range monitorview.Eras(s.Blocks) {
		from, to := t.x(r.From), t.x(r.To)
		t.svg.Rect(from, t.y(0)+3, to-from-1, t.row-10, "band "+r.Class, "version "+r.Version+" from "+date(r.From)+" to "+date(r.To))
		if to-from > 70 {
			t.svg.Text((from+to)/2, t.y(0)+t.row/2+2, "onband middle", "version "+r.Version)
		}
	}
}

func (t timelineDrawing) alarms(s *Story) {
	t.label(1, "alarms")
	if len(s.Alarms) == 0 {
		t.svg.Text(t.left+6, t.y(1)+t.row/2+2, "tick", "none")
	}
	for _, a := range s.Alarms {
		x := t.x(a.Block)
		t.svg.Dot(x, t.y(1)+t.row/2-2, 5, "dot alarm", alarmSentence(a))
		anchor, at := "", x+10
		if x > t.width-90 {
			anchor, at = " end", x-10
		}
		t.svg.Text(at, t.y(1)+t.row/2+2, "mark alarm"+anchor, a.Block.UTC().Format("2 Jan"))
	}
}

// lifecycle draws the rows it trained on, those it held out, and how it ended.
func (t timelineDrawing) lifecycle(row int, l LifecycleStory) {
	outcome, _ := outcomeOf(l)
	name := "as of " + l.Status.Spec.Data.AsOf.UTC().Format("2 Jan 2006")
	if l.Status.Spec.Data.AsOf.IsZero() {
		name = l.ID
	}
	t.label(row, name)
	end := t.x(l.Status.Spec.Data.AsOf)
	if snapshot := l.Status.Snapshot; snapshot != nil {
		y := t.y(row) + 8
		t.svg.Rect(t.x(snapshot.Train.From), y, t.x(snapshot.Train.To)-t.x(snapshot.Train.From), t.row-20, "band train", "trained on "+terminal.Grouped(snapshot.Train.Rows)+" rows")
		t.svg.Rect(t.x(snapshot.Test.From), y, t.x(snapshot.Test.To)-t.x(snapshot.Test.From), t.row-20, "band test", "held out "+terminal.Grouped(snapshot.Test.Rows)+" rows")
		end = t.x(snapshot.Test.To)
	}
	class, words := "refused", outcome
	switch outcome {
	case "promoted":
		class, words = "promoted", "✓ promoted"
		if l.Status.Version != "" {
			words += " as version " + l.Status.Version
		}
	case "refused":
		words = "✕ refused"
	case "failed":
		class = "alarm"
	}
	if end > t.width-190 {
		// No room to the right of the data: say it to the left.
		start := end
		if snapshot := l.Status.Snapshot; snapshot != nil {
			start = t.x(snapshot.Train.From)
		}
		t.svg.Text(start-8, t.y(row)+t.row/2+2, "mark end "+class, words)
		return
	}
	t.svg.Text(end+8, t.y(row)+t.row/2+2, "mark "+class, words)
}
