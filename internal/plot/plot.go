package plot

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

// Plot is a picture of series over two axes. Points that are not finite are
// left out; a plot without any point says so in words.
type Plot struct {
	Title         string // read out by screen readers
	Width, Height float64
	X, Y          Axis
	Bands         []Band
	Series        []Series
	Rules         []Rule
}

// Series is one line or cloud of points. One without a name is not in the
// legend.
type Series struct {
	Name   string
	Class  string // its colour
	Points []Point
	Dots   bool // points
	Line   bool // joined in their order
}

// Point is one value.
type Point struct {
	X, Y float64
	Note string // shown on hover
	Open bool   // drawn hollow
	Gap  bool   // the line does not lead here
}

// Rule marks one value of an axis across the plot. A horizontal one may be
// limited to a span of x.
type Rule struct {
	At       float64
	Vertical bool
	Label    string
	Class    string
	Span     [2]float64 // zero: all of x
}

// Band shades the values between two of y, over a span of x.
type Band struct {
	From, To float64
	Class    string
	Note     string     // shown on hover
	Span     [2]float64 // zero: all of x
}

// Margins around the plotting area, in the units of the view box.
const (
	marginLeft   = 62.0
	marginTop    = 30.0
	marginBottom = 46.0
	// MarginRight is for drawings that are to end where plots do.
	MarginRight = 18.0
)

// Render draws it.
func (p Plot) Render() template.HTML {
	p.drop()
	d := NewDrawing(p.Width, p.Height, p.Title)
	if p.empty() {
		d.Text(p.Width/2, p.Height/2, "note middle", "no data to draw")
		return d.Done()
	}
	p.drawBands(d)
	p.drawAxes(d)
	p.drawRules(d)
	for _, series := range p.Series {
		p.drawSeries(d, series)
	}
	p.labelRules(d)
	p.drawLegend(d)
	return d.Done()
}

// drop removes points that have no place.
func (p *Plot) drop() {
	p.Series = slices.Clone(p.Series) // the caller's stay as they are
	for i := range p.Series {
		var kept []Point
		for _, q := range p.Series[i].Points {
			if finite(q.X) && finite(q.Y) {
				kept = append(kept, q)
			}
		}
		p.Series[i].Points = kept
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func (p Plot) empty() bool {
	for _, s := range p.Series {
		if len(s.Points) > 0 {
			return false
		}
	}
	return true
}

func (p Plot) px(x float64) float64 {
	return marginLeft + p.X.Share(x)*(p.Width-marginLeft-MarginRight)
}

func (p Plot) py(y float64) float64 {
	return p.Height - marginBottom - p.Y.Share(y)*(p.Height-marginTop-marginBottom)
}

func (p Plot) drawAxes(d *Drawing) {
	left, right, top, bottom := marginLeft, p.Width-MarginRight, marginTop, p.Height-marginBottom
	for _, t := range p.Y.Ticks(int((bottom - top) / 28)) {
		y := p.py(t.At)
		d.Line(left, y, right, y, "grid")
		d.Text(left-8, y+4, "tick end", t.Label)
	}
	for _, t := range p.X.Ticks(int((right - left) / 80)) {
		x := p.px(t.At)
		d.Line(x, bottom, x, bottom+5, "axis")
		d.Text(x, bottom+19, "tick middle", t.Label)
	}
	d.Line(left, bottom, right, bottom, "axis")
	d.Text((left+right)/2, p.Height-8, "label middle", p.X.Label)
	d.textAt(14, (top+bottom)/2, "label middle", p.Y.Label, fmt.Sprintf("rotate(-90 14 %.1f)", (top+bottom)/2))
}

func (p Plot) drawBands(d *Drawing) {
	for _, b := range p.Bands {
		if !finite(b.From) || !finite(b.To) {
			continue
		}
		left, right := p.spanOf(b.Span)
		top, bottom := p.py(max(b.From, b.To)), p.py(min(b.From, b.To))
		d.Rect(left, top, right-left, bottom-top, "area "+b.Class, b.Note)
	}
}

func (p Plot) drawRules(d *Drawing) {
	for _, r := range p.Rules {
		switch from, to := p.spanOf(r.Span); {
		case !finite(r.At):
		case r.Vertical:
			d.Line(p.px(r.At), marginTop, p.px(r.At), p.Height-marginBottom, "rule "+r.Class)
		default:
			d.Line(from, p.py(r.At), to, p.py(r.At), "rule "+r.Class)
		}
	}
}

func (p Plot) spanOf(span [2]float64) (from, to float64) {
	if span == [2]float64{} {
		return marginLeft, p.Width - MarginRight
	}
	return p.px(span[0]), p.px(span[1])
}

// labelRules writes over the series. It staggers the labels of vertical rules,
// which often stand close.
func (p Plot) labelRules(d *Drawing) {
	level := 0
	for _, r := range p.Rules {
		switch from, _ := p.spanOf(r.Span); {
		case !finite(r.At) || r.Label == "":
		case r.Vertical:
			anchor, x := "", p.px(r.At)+5
			if x > p.Width-160 {
				anchor, x = " end", x-10
			}
			d.Text(x, marginTop+11+14*float64(level%3), "mark "+r.Class+anchor, r.Label)
			level++
		case from+6+letterWidth*float64(len([]rune(r.Label))) > p.Width && from > p.Width/2:
			d.Text(from-6, p.py(r.At)+4, "mark "+r.Class+" end", r.Label) // there is no room to the right
		default:
			d.Text(from+6, p.py(r.At)+p.beside(r), "mark "+r.Class, r.Label)
		}
	}
}

// beside is how far from its line a label stands: above it, unless the label of
// another line that is close above stands in that place.
func (p Plot) beside(r Rule) float64 {
	for _, o := range p.Rules {
		apart := p.py(r.At) - p.py(o.At)
		if !o.Vertical && o.Label != "" && o.Span == r.Span && apart > 0 && apart < 14 {
			return 13
		}
	}
	return -5
}

// crowd is how many dots are so close that they are drawn smaller.
const crowd = 80

func (p Plot) drawSeries(d *Drawing, series Series) {
	if series.Line {
		var path strings.Builder
		for i, q := range series.Points {
			move := "L"
			if i == 0 || q.Gap {
				move = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", move, p.px(q.X), p.py(q.Y))
		}
		d.Path(path.String(), "line "+series.Class)
	}
	if !series.Dots {
		return
	}
	radius := 2.6
	if len(series.Points) > crowd {
		radius = 1.9
	}
	for _, q := range series.Points {
		class := "dot " + series.Class
		if q.Open {
			class = "dot open " + series.Class
		}
		d.Dot(p.px(q.X), p.py(q.Y), radius, class, q.Note)
	}
}

// letterWidth is about that of the legend's font.
const letterWidth = 6.3

// drawLegend leaves out what does not fit any more: an axis label or a rule
// says the rest.
func (p Plot) drawLegend(d *Drawing) {
	x := marginLeft
	for _, series := range p.Series {
		width := 24 + letterWidth*float64(len([]rune(series.Name)))
		if series.Name == "" || len(series.Points) == 0 || x > marginLeft && x+width > p.Width {
			continue
		}
		if series.Line {
			d.Line(x, 12, x+18, 12, "line "+series.Class)
		}
		if series.Dots {
			d.Dot(x+9, 12, 3, "dot "+series.Class, "")
		}
		d.Text(x+24, 16, "legend", series.Name)
		x += width + 22
	}
}

// Time is where a moment lies on an axis of dates.
func Time(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
