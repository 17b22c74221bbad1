package exhibit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/internal/gate/exhibit/plot"
	"github.com/mainspring-ml/mainspring/models"
)

// maxLines is how many slices a forest has room for.
const maxLines = 40

// forestLine is one slice with the interval of its figure.
type forestLine struct {
	name    string
	rows    int64
	figure  models.Estimate  // at the gate's level
	strict  *models.Estimate // at the level shared by all slices
	verdict models.Verdict   // empty: not judged
}

// bound is a limit drawn across a forest.
type bound struct {
	at    float64
	label string
	class string
}

// forest draws lines under each other, in their order.
type forest struct {
	title   string
	caption []string
	label   string // of the axis
	lines   []forestLine
	bounds  []bound
	format  string // of a figure with its interval
}

// forests are the slices' gains, and one for every slice limit.
func (e Evidence) forests() []drawing {
	drawn := []drawing{e.gainForest()}
	for _, limit := range e.Spec.SliceLimits {
		drawn = append(drawn, e.limitForest(limit))
	}
	return drawn
}

func (e Evidence) gainForest() drawing {
	d := drawing{name: "slices", title: "Gain over the champion by slice"}
	f := forest{
		title: d.title, label: "gain in " + withUnit(e.metric()), format: "%+.*f [%+.*f, %+.*f]",
		bounds: []bound{{0, "no gain", "rule"}},
	}
	for _, s := range e.Evaluation.Slices {
		if s.Judged && s.Gain != nil {
			f.lines = append(f.lines, forestLine{
				name: gate.SliceName(s), rows: s.Rows, figure: *s.Gain, strict: s.StrictGain,
				verdict: e.verdict(gate.SliceName(s), string(e.metric())+" gain over the champion"),
			})
		}
	}
	if e.Spec.SliceMargin != nil {
		f.bounds = append(f.bounds, bound{0 - *e.Spec.SliceMargin, "margin", "limit"})
	}
	slices.SortStableFunc(f.lines, func(a, b forestLine) int { return cmp.Compare(a.figure.Value, b.figure.Value) })
	f.caption = e.forestCaption("Right of \"no gain\" the candidate is better.", len(f.lines))
	d.svg = f.draw()
	return d
}

func (e Evidence) limitForest(limit models.MetricLimit) drawing {
	d := drawing{name: "slices_" + string(limit.Metric), title: "Slices: " + title(limit.Metric) + " of the candidate"}
	f := forest{title: d.title, label: withUnit(limit.Metric), format: "%.*f [%.*f, %.*f]"}
	better := "Lower is better."
	if limit.Metric.HigherIsBetter() {
		better = "Higher is better."
	}
	for _, s := range e.Evaluation.Slices {
		figure, ok := s.Candidate[limit.Metric]
		if !s.Judged || !ok {
			continue
		}
		line := forestLine{
			name: gate.SliceName(s), rows: s.Rows, figure: figure, verdict: e.verdict(gate.SliceName(s), string(limit.Metric)),
		}
		if strict, ok := s.Strict[limit.Metric]; ok {
			line.strict = &strict
		}
		f.lines = append(f.lines, line)
	}
	for _, at := range []*float64{limit.Min, limit.Max} {
		if at != nil {
			f.bounds = append(f.bounds, bound{*at, "limit", "limit"})
		}
	}
	slices.SortStableFunc(f.lines, func(a, b forestLine) int {
		if limit.Metric.HigherIsBetter() {
			return cmp.Compare(a.figure.Value, b.figure.Value)
		}
		return cmp.Compare(b.figure.Value, a.figure.Value)
	})
	f.caption = e.forestCaption(better, len(f.lines))
	d.svg = f.draw()
	return d
}

// verdict is the gate's on one slice and figure.
func (e Evidence) verdict(slice, name string) models.Verdict {
	for _, c := range e.Gate.Checks {
		if c.Slice == slice && c.Name == name {
			return c.Verdict
		}
	}
	return ""
}

func (e Evidence) forestCaption(better string, lines int) []string {
	text := fmt.Sprintf("Thick: interval at level %.3g on each side. Thin: at the level that all slices share, which decides. Worst first", e.Spec.Champion.Level)
	if lines > maxLines {
		text += fmt.Sprintf("; %d more are in evaluation.json", lines-maxLines)
	}
	caption := []string{better + " " + e.support() + ".", text + "."}
	if thin := len(e.Evaluation.Slices) - lines; thin > 0 {
		caption = append(caption, fmt.Sprintf("Not shown, for want of rows or figures: %d of %d slices.", thin, len(e.Evaluation.Slices)))
	}
	return caption
}

func (f forest) draw() string {
	if len(f.lines) == 0 {
		return ""
	}
	const lineHeight, full = 23.0, 860.0
	lines := f.lines[:min(len(f.lines), maxLines)]
	top := 92 + 17*float64(len(f.caption))
	bottom := top + lineHeight*float64(len(lines))
	c := plot.NewCanvas(full, bottom+62, f.title, f.caption...)
	x := f.axis(lines)
	x.Begin, x.End = 290, 660

	c.Text(24, top-20, "soft", "slice")
	c.Text(270, top-20, "soft end", "rows")
	c.Text(full-24, top-20, "soft end", "figure and interval")
	for _, t := range x.Ticks(7) {
		c.Line(x.At(t.Value), top-8, x.At(t.Value), bottom, "grid")
		c.Text(x.At(t.Value), bottom+20, "soft num middle", t.Label)
	}
	c.Line(x.Begin, bottom, x.End, bottom, "axis")
	c.Text((x.Begin+x.End)/2, bottom+42, "middle", f.label)
	f.drawBounds(c, x, top, bottom)
	digits := 0
	for _, line := range lines {
		digits = max(digits, decimals(line.figure))
	}
	for i, line := range lines {
		drawLine(c, x, line, top+lineHeight*(float64(i)+0.5), withDigits(f.format, line.figure, digits))
	}
	drawKey(c, lines, bottom+42)
	return c.Done()
}

// axis has room for every interval, the strict ones included, and the bounds.
func (f forest) axis(lines []forestLine) plot.Axis {
	var values []float64
	for _, line := range lines {
		values = append(values, line.figure.Low, line.figure.High)
		if line.strict != nil {
			values = append(values, line.strict.Low, line.strict.High)
		}
	}
	for _, b := range f.bounds {
		values = append(values, b.at)
	}
	return plot.Spanning(values, 0, 0)
}

func (f forest) drawBounds(c *plot.Canvas, x plot.Axis, top, bottom float64) {
	for _, b := range f.bounds {
		c.Line(x.At(b.at), top-8, x.At(b.at), bottom, b.class)
		class := "middle"
		if b.class == "limit" {
			class += " limit"
		}
		c.Text(x.At(b.at), top-f.lift(b), class, b.label)
	}
}

// lift keeps the labels of bounds apart: that of a limit stands higher.
func (f forest) lift(b bound) float64 {
	if b.class == "limit" && len(f.bounds) > 1 {
		return 28
	}
	return 13
}

func drawLine(c *plot.Canvas, x plot.Axis, line forestLine, y float64, figure string) {
	class := colour(line.verdict)
	c.Text(24, y+4, "", plot.Shorten(line.name, 32))
	c.Text(270, y+4, "num end", plot.Grouped(line.rows))
	if line.strict != nil {
		c.Line(x.At(line.strict.Low), y, x.At(line.strict.High), y, "strict "+class)
	}
	c.Line(x.At(line.figure.Low), y, x.At(line.figure.High), y, "interval "+class)
	note := line.name + ": " + figure
	if line.verdict == models.VerdictFail {
		c.Diamond(x.At(line.figure.Value), y, 6, class, note)
	} else {
		c.Dot(x.At(line.figure.Value), y, 4.5, class, note)
	}
	c.Text(836, y+4, "num end", figure)
}

func colour(v models.Verdict) string {
	switch v {
	case models.VerdictPass:
		return "pass"
	case models.VerdictFail:
		return "fail"
	case models.VerdictInconclusive:
		return "unsure"
	}
	return "candidate"
}

// drawKey explains the colours that occur.
func drawKey(c *plot.Canvas, lines []forestLine, y float64) {
	x := 24.0
	for _, v := range []models.Verdict{models.VerdictPass, models.VerdictInconclusive, models.VerdictFail} {
		if !slices.ContainsFunc(lines, func(l forestLine) bool { return l.verdict == v }) {
			continue
		}
		if v == models.VerdictFail {
			c.Diamond(x+5, y-4, 6, colour(v), "")
		} else {
			c.Dot(x+5, y-4, 4.5, colour(v), "")
		}
		c.Text(x+16, y, "soft", string(v))
		x += 16 + plot.Width(string(v)) + 16
	}
}
