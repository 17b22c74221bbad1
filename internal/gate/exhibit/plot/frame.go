package plot

import "strings"

// Frame is a picture with two axes, ready for lines and marks.
type Frame struct {
	*Canvas
	X, Y Axis
}

// Layout of a frame. Ticks are round numbers, or dates of an axis of Unix
// seconds.
type Layout struct {
	Title   string
	Caption []string
	Width   float64
	Height  float64
	X, Y    Axis // without positions
	XLabel  string
	YLabel  string
	XDates  bool
	Below   float64 // room under the horizontal axis' label
	Legend  []Entry
}

// NewFrame begins a picture with its axes and its legend.
func NewFrame(l Layout) Frame {
	const left, right, bottom = 66.0, 28.0, 54.0
	rows := flow(l.Legend, l.Width-left-right)
	top := 60 + captionLine*float64(len(l.Caption)) + legendRow*float64(len(rows))
	f := Frame{Canvas: NewCanvas(l.Width, l.Height, l.Title, l.Caption...), X: l.X, Y: l.Y}
	f.X.Begin, f.X.End = left, l.Width-right
	f.Y.Begin, f.Y.End = l.Height-bottom-l.Below, top
	for i, row := range rows {
		f.drawLegend(row, top-14-legendRow*float64(len(rows)-1-i))
	}
	for _, t := range f.Y.Ticks(6) {
		y := f.Y.At(t.Value)
		f.Line(left, y, f.X.End, y, "grid")
		f.Text(left-9, y+4, "soft num end", t.Label)
	}
	ticks := f.X.Ticks(8)
	if l.XDates {
		ticks = f.X.Dates(8)
	}
	for _, t := range ticks {
		x := f.X.At(t.Value)
		f.Line(x, f.Y.Begin, x, f.Y.Begin+5, "axis")
		f.Text(x, f.Y.Begin+20, "soft num middle", t.Label)
	}
	f.Line(left, f.Y.Begin, f.X.End, f.Y.Begin, "axis")
	f.Text((left+f.X.End)/2, f.Y.Begin+40, "middle", l.XLabel)
	f.Upright(20, (f.Y.Begin+top)/2, "middle", l.YLabel)
	return f
}

// Entry is one line of a legend.
type Entry struct {
	Class string // of the line
	Text  string
	Mark  bool
}

const (
	legendRow   = 20.0
	captionLine = 17.0 // as NewCanvas writes it
	swatch      = 29.0 // the line of an entry with the space after it
	entryGap    = 24.0
)

// flow puts entries into rows that are not wider than the plot.
func flow(entries []Entry, room float64) [][]Entry {
	var rows [][]Entry
	used := 0.0
	for _, e := range entries {
		wide := swatch + Width(e.Text)
		if len(rows) == 0 || used+entryGap+wide > room {
			rows, used = append(rows, nil), -entryGap
		}
		last := len(rows) - 1
		rows[last] = append(rows[last], e)
		used += entryGap + wide
	}
	return rows
}

func (f Frame) drawLegend(entries []Entry, y float64) {
	x := f.X.Begin
	for _, e := range entries {
		f.Line(x, y, x+22, y, e.Class)
		if e.Mark {
			f.Dot(x+11, y, 4, strings.TrimPrefix(e.Class, "line "), "")
		}
		f.Text(x+swatch, y+4, "", e.Text)
		x += swatch + Width(e.Text) + entryGap
	}
}

// Joined turns values into positions.
func (f Frame) Joined(points [][2]float64) [][2]float64 {
	out := make([][2]float64, len(points))
	for i, p := range points {
		out[i] = [2]float64{f.X.At(p[0]), f.Y.At(p[1])}
	}
	return out
}
