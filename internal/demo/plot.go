package demo

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/terminal"
)

// Plots are drawn as inline SVG whose colours are CSS classes of the report,
// so that one drawing serves light, dark and paper.

// plot is a picture of series over two axes. Points that are not finite are
// left out; a plot without any point says so in words.
type plot struct {
	title         string // read out by screen readers
	width, height float64
	x, y          axis
	series        []series
	rules         []rule
}

// axis maps values to positions. Without ticks of its own it finds round ones.
type axis struct {
	label    string
	from, to float64
	log      bool // base 10; values below from are drawn at from
	dates    bool // values are Unix seconds, ticks are days or months
}

// series is one line or cloud of points; class is its colour.
type series struct {
	name   string
	class  string
	points []point
	dots   bool // points
	line   bool // joined in their order
}

type point struct {
	x, y float64
	note string // shown on hover
	open bool   // drawn hollow
	gap  bool   // the line does not lead here
}

// rule marks one value of an axis across the plot. A horizontal one may be
// limited to a span of x.
type rule struct {
	at       float64
	vertical bool
	label    string
	class    string
	span     [2]float64
}

// Margins around the plotting area, in the units of the view box.
const (
	marginLeft   = 62.0
	marginRight  = 18.0
	marginTop    = 30.0
	marginBottom = 46.0
)

func (p plot) render() template.HTML {
	p.drop()
	s := newSVG(p.width, p.height, p.title)
	if p.empty() {
		s.text(p.width/2, p.height/2, "note middle", "no data to draw")
		return s.done()
	}
	p.drawAxes(s)
	p.drawRules(s)
	for _, series := range p.series {
		p.drawSeries(s, series)
	}
	p.labelRules(s)
	p.drawLegend(s)
	return s.done()
}

// drop removes points that have no place.
func (p *plot) drop() {
	p.series = slices.Clone(p.series) // the caller's stay as they are
	for i := range p.series {
		var kept []point
		for _, q := range p.series[i].points {
			if finite(q.x) && finite(q.y) {
				kept = append(kept, q)
			}
		}
		p.series[i].points = kept
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func (p plot) empty() bool {
	for _, s := range p.series {
		if len(s.points) > 0 {
			return false
		}
	}
	return true
}

func (p plot) px(x float64) float64 {
	return marginLeft + p.x.share(x)*(p.width-marginLeft-marginRight)
}

func (p plot) py(y float64) float64 {
	return p.height - marginBottom - p.y.share(y)*(p.height-marginTop-marginBottom)
}

func (p plot) drawAxes(s *svg) {
	left, right, top, bottom := marginLeft, p.width-marginRight, marginTop, p.height-marginBottom
	for _, t := range p.y.ticks(int((bottom - top) / 28)) {
		y := p.py(t.at)
		s.line(left, y, right, y, "grid")
		s.text(left-8, y+4, "tick end", t.label)
	}
	for _, t := range p.x.ticks(int((right - left) / 80)) {
		x := p.px(t.at)
		s.line(x, bottom, x, bottom+5, "axis")
		s.text(x, bottom+19, "tick middle", t.label)
	}
	s.line(left, bottom, right, bottom, "axis")
	s.text((left+right)/2, p.height-8, "label middle", p.x.label)
	s.textAt(14, (top+bottom)/2, "label middle", p.y.label, fmt.Sprintf("rotate(-90 14 %.1f)", (top+bottom)/2))
}

func (p plot) drawRules(s *svg) {
	for _, r := range p.rules {
		switch from, to := p.spanOf(r); {
		case !finite(r.at):
		case r.vertical:
			s.line(p.px(r.at), marginTop, p.px(r.at), p.height-marginBottom, "rule "+r.class)
		default:
			s.line(from, p.py(r.at), to, p.py(r.at), "rule "+r.class)
		}
	}
}

func (p plot) spanOf(r rule) (from, to float64) {
	if r.span == [2]float64{} {
		return marginLeft, p.width - marginRight
	}
	return p.px(r.span[0]), p.px(r.span[1])
}

// labelRules writes over the series. It staggers the labels of vertical rules,
// which often stand close.
func (p plot) labelRules(s *svg) {
	level := 0
	for _, r := range p.rules {
		switch from, _ := p.spanOf(r); {
		case !finite(r.at) || r.label == "":
		case r.vertical:
			anchor, x := "", p.px(r.at)+5
			if x > p.width-160 {
				anchor, x = " end", x-10
			}
			s.text(x, marginTop+11+14*float64(level%2), "mark "+r.class+anchor, r.label)
			level++
		default:
			s.text(from+6, p.py(r.at)-5, "mark "+r.class, r.label)
		}
	}
}

func (p plot) drawSeries(s *svg, series series) {
	if series.line {
		var path strings.Builder
		for i, q := range series.points {
			move := "L"
			if i == 0 || q.gap {
				move = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", move, p.px(q.x), p.py(q.y))
		}
		s.path(path.String(), "line "+series.class)
	}
	if !series.dots {
		return
	}
	for _, q := range series.points {
		class := "dot " + series.class
		if q.open {
			class = "dot open " + series.class
		}
		s.dot(p.px(q.x), p.py(q.y), 2.6, class, q.note)
	}
}

// letterWidth is about that of the legend's font.
const letterWidth = 6.3

func (p plot) drawLegend(s *svg) {
	x := marginLeft
	for _, series := range p.series {
		if series.name == "" || len(series.points) == 0 {
			continue
		}
		if series.line {
			s.line(x, 12, x+18, 12, "line "+series.class)
		}
		if series.dots {
			s.dot(x+9, 12, 3, "dot "+series.class, "")
		}
		s.text(x+24, 16, "legend", series.name)
		x += 24 + letterWidth*float64(len([]rune(series.name))) + 22
	}
}

// svg writes a drawing; every text is escaped.
type svg struct{ b strings.Builder }

func newSVG(width, height float64, title string) *svg {
	s := &svg{}
	fmt.Fprintf(&s.b, `<svg viewBox="0 0 %.0f %.0f" role="img" xmlns="http://www.w3.org/2000/svg"><title>%s</title>`, width, height, escape(title))
	return s
}

// escape also drops what XML cannot hold.
func escape(text string) string {
	return html.EscapeString(terminal.Plain(strings.ToValidUTF8(text, "�")))
}

// done: everything written is a number, a class of ours, or escaped.
func (s *svg) done() template.HTML { return template.HTML(s.b.String() + "</svg>") }

func (s *svg) text(x, y float64, class, text string) { s.textAt(x, y, class, text, "") }

func (s *svg) textAt(x, y float64, class, text, transform string) {
	if transform != "" {
		transform = fmt.Sprintf(` transform="%s"`, transform)
	}
	fmt.Fprintf(&s.b, `<text x="%.1f" y="%.1f" class="%s"%s>%s</text>`, x, y, class, transform, escape(text))
}

func (s *svg) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&s.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

func (s *svg) rect(x, y, width, height float64, class, note string) {
	fmt.Fprintf(&s.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="%s">%s</rect>`, x, y, max(width, 0), height, class, noteOf(note))
}

func (s *svg) dot(x, y, radius float64, class, note string) {
	fmt.Fprintf(&s.b, `<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s">%s</circle>`, x, y, radius, class, noteOf(note))
}

func (s *svg) path(d, class string) {
	fmt.Fprintf(&s.b, `<path d="%s" class="%s"/>`, d, class)
}

func noteOf(note string) string {
	if note == "" {
		return ""
	}
	return "<title>" + escape(note) + "</title>"
}

func unix(t time.Time) float64 { return float64(t.Unix()) }
