package exhibit

import (
	"fmt"
	"strings"
)

// frame is a picture with two axes, ready for lines and marks.
type frame struct {
	*canvas
	x, y axis
}

// layout of a frame. Unset ticks are round numbers.
type layout struct {
	title   string
	caption []string
	width   float64
	height  float64
	x, y    axis // without positions
	xLabel  string
	yLabel  string
	xDates  bool
	below   float64 // room under the horizontal axis' label
	legend  []entry
}

func newFrame(l layout) frame {
	const left, right, bottom = 66.0, 28.0, 54.0
	rows := flow(l.legend, l.width-left-right)
	top := 60 + captionLine*float64(len(l.caption)) + legendRow*float64(len(rows))
	f := frame{canvas: newCanvas(l.width, l.height, l.title, l.caption...), x: l.x, y: l.y}
	f.x.begin, f.x.end = left, l.width-right
	f.y.begin, f.y.end = l.height-bottom-l.below, top
	for i, row := range rows {
		f.drawLegend(row, top-14-legendRow*float64(len(rows)-1-i))
	}
	for _, t := range f.y.ticks(6) {
		y := f.y.at(t.value)
		f.line(left, y, f.x.end, y, "grid")
		f.text(left-9, y+4, "soft num end", t.label)
	}
	ticks := f.x.ticks(8)
	if l.xDates {
		ticks = f.x.dates(8)
	}
	for _, t := range ticks {
		x := f.x.at(t.value)
		f.line(x, f.y.begin, x, f.y.begin+5, "axis")
		f.text(x, f.y.begin+20, "soft num middle", t.label)
	}
	f.line(left, f.y.begin, f.x.end, f.y.begin, "axis")
	f.text((left+f.x.end)/2, f.y.begin+40, "middle", l.xLabel)
	f.upright(20, (f.y.begin+top)/2, "middle", l.yLabel)
	return f
}

// entry is one line of a legend.
type entry struct {
	class string // of the line
	text  string
	mark  bool
}

const (
	legendRow   = 20.0
	captionLine = 17.0 // as newCanvas writes it
	swatch      = 29.0 // the line of an entry with the space after it
	entryGap    = 24.0
)

// flow puts entries into rows that are not wider than the plot.
func flow(entries []entry, room float64) [][]entry {
	var rows [][]entry
	used := 0.0
	for _, e := range entries {
		wide := swatch + width(e.text)
		if len(rows) == 0 || used+entryGap+wide > room {
			rows, used = append(rows, nil), -entryGap
		}
		last := len(rows) - 1
		rows[last] = append(rows[last], e)
		used += entryGap + wide
	}
	return rows
}

func (f frame) drawLegend(entries []entry, y float64) {
	x := f.x.begin
	for _, e := range entries {
		f.line(x, y, x+22, y, e.class)
		if e.mark {
			f.dot(x+11, y, 4, strings.TrimPrefix(e.class, "line "), "")
		}
		f.text(x+swatch, y+4, "", e.text)
		x += swatch + width(e.text) + entryGap
	}
}

// joined turns values into positions.
func (f frame) joined(points [][2]float64) [][2]float64 {
	out := make([][2]float64, len(points))
	for i, p := range points {
		out[i] = [2]float64{f.x.at(p[0]), f.y.at(p[1])}
	}
	return out
}

// support says how many rows, blocks and days are behind a plot.
func (e Evidence) support() string {
	text := fmt.Sprintf("n = %s held-out rows in %d blocks of %s", grouped(e.Evaluation.Rows), e.Evaluation.Blocks, e.Spec.Champion.Block)
	if days := e.Evaluation.Days; len(days) > 0 && len(days) == e.Evaluation.Blocks { // else older ones were left out
		first, last := days[0].Start.UTC(), days[len(days)-1].Start.UTC()
		text += fmt.Sprintf(", %s to %s", first.Format("2 Jan 2006"), last.Format("2 Jan 2006"))
	}
	return text
}
