package exhibit

import (
	"fmt"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// frame is a picture with two axes, ready for lines and marks.
type frame struct {
	*canvas
	x, y axis
}

// layout of a frame. Unset ticks are round numbers.
type layout struct {
	title    string
	caption  []string
	width    float64
	height   float64
	x, y     axis // without positions
	xLabel   string
	yLabel   string
	xDates   bool
	below    float64 // room under the horizontal axis' label
	noLegend bool
}

func newFrame(l layout) frame {
	const left, right, bottom = 66.0, 28.0, 52.0
	top := 62 + 17*float64(len(l.caption))
	if l.noLegend {
		top -= 16
	}
	f := frame{canvas: newCanvas(l.width, l.height, l.title, l.caption...), x: l.x, y: l.y}
	f.x.begin, f.x.end = left, l.width-right
	f.y.begin, f.y.end = l.height-bottom-l.below, top
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
	class string // of the line; empty: no line
	text  string
	mark  bool
}

// legend stands above the plot, in one row.
func (f frame) legend(entries ...entry) {
	x, y := f.x.begin, f.y.end-14
	for _, e := range entries {
		f.line(x, y, x+22, y, e.class)
		if e.mark {
			f.dot(x+11, y, 4, strings.TrimPrefix(e.class, "line "), "")
		}
		f.text(x+29, y+4, "", e.text)
		x += 29 + width(e.text) + 20
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
	if days := e.Evaluation.Days; len(days) > 0 {
		first, last := days[0].Start.UTC(), days[len(days)-1].Start.UTC()
		text += fmt.Sprintf(", %s to %s", first.Format("2 Jan 2006"), last.Format("2 Jan 2006"))
	}
	return text
}

// interval writes a figure: 0.512 [0.498, 0.526].
func interval(e models.Estimate) string {
	digits := decimals(e)
	return fmt.Sprintf("%.*f [%.*f, %.*f]", digits, zeroed(e.Value, digits), digits, zeroed(e.Low, digits), digits, zeroed(e.High, digits))
}
