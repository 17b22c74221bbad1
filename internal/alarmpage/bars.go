package alarmpage

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/internal/gate/exhibit/plot"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	maxBars = 14 // slices shown
	rowHigh = 34.0
)

// drawSplit draws each slice's parts of the change, the largest first, and at
// the top those of all together.
func (a Account) drawSplit() string {
	split := a.Chosen()
	if split == nil {
		return ""
	}
	rows := slices.Clone(split.Slices)
	rows = slices.DeleteFunc(rows, func(s models.SliceShift) bool { return s.Mix == 0 && s.Concept == 0 })
	slices.SortStableFunc(rows, func(a, b models.SliceShift) int {
		return cmp.Compare(math.Abs(b.Mix)+math.Abs(b.Concept), math.Abs(a.Mix)+math.Abs(a.Concept))
	})
	more := max(0, len(rows)-maxBars)
	rows = rows[:len(rows)-more]
	all := models.SliceShift{Slice: "all together", Mix: split.Mix, Concept: split.Concept, Moved: true}
	rows = append([]models.SliceShift{all}, rows...)
	values := []float64{0}
	for _, s := range rows {
		values = append(values, s.Mix, s.Concept)
	}
	caption := []string{"Mix: more, or fewer, requests of a kind that was harder, or easier, than the whole. Concept: the kind itself became harder. All parts add up to the rise."}
	if more > 0 {
		caption = append(caption, fmt.Sprintf("%d more slices with smaller parts are not drawn; the JSON has them.", more))
	}
	const left, top = 250.0, 96.0
	base := top + 17*float64(len(caption)-1)
	bottom := base + rowHigh*float64(len(rows))
	c := plot.NewCanvas(wide, bottom+58, "What the rise is made of, by "+split.Column, caption...)
	x := plot.Spanning(values, left, wide-250)
	for _, t := range x.Ticks(7) {
		c.Line(x.At(t.Value), base-8, x.At(t.Value), bottom, "grid")
		c.Text(x.At(t.Value), bottom+20, "soft num middle", t.Label)
	}
	c.Line(x.At(0), base-8, x.At(0), bottom, "axis")
	c.Text((x.Begin+x.End)/2, bottom+42, "middle", "part of the change of the mean loss")
	legendBars(c, 24, bottom+42, "mix", "concept")
	for i, s := range rows {
		y := base + rowHigh*float64(i)
		name := plot.Shorten(s.Slice, 30)
		c.Text(left-12, y+18, "end", name)
		c.Bar(min(x.At(0), x.At(s.Mix)), y+3, math.Abs(x.At(s.Mix)-x.At(0)), 11, "fill candidate")
		c.Bar(min(x.At(0), x.At(s.Concept)), y+15, math.Abs(x.At(s.Concept)-x.At(0)), 11, "fill champion")
		c.Text(wide-24, y+18, "soft num end", describe(s, i == 0))
	}
	return c.Done()
}

func describe(s models.SliceShift, whole bool) string {
	if whole {
		return fmt.Sprintf("mix %s, concept %s", signed(s.Mix), signed(s.Concept))
	}
	return fmt.Sprintf("share %s → %s, loss %s → %s", shortPercent(s.ShareBefore), shortPercent(s.Share), lossOr(s.LossBefore, s.ShareBefore), lossOr(s.Loss, s.Share))
}

func lossOr(loss, share float64) string {
	if share == 0 {
		return "–"
	}
	if loss >= 1000 && loss < 1e15 { // squared errors; greater ones are no integers of 64 bits
		return plot.Grouped(int64(loss + 0.5))
	}
	return fmt.Sprintf("%.3g", loss)
}

func shortPercent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

// drawHistogram draws a feature before and now, a row for each bin.
func drawHistogram(h shift.Histogram) string {
	const left, line, top = 150.0, 21.0, 78.0
	bottom := top + line*float64(len(h.Bins))
	c := plot.NewCanvas(half, bottom+44, plot.Shorten(h.Feature, 40), "share of all requests by bin")
	most := 0.01
	for _, b := range h.Bins {
		most = max(most, b.Before, b.Now)
	}
	x := plot.Axis{From: 0, To: most * 1.05, Begin: left, End: half - 78}
	c.Line(left, top-4, left, bottom, "axis")
	for i, b := range h.Bins {
		y := top + line*float64(i)
		c.Text(left-8, y+13, "num end", plot.Shorten(b.Name, 20))
		c.Bar(left, y+1, x.At(b.Before)-left, 7, "bar")
		c.Bar(left, y+9, x.At(b.Now)-left, 7, "fill candidate")
		c.Text(half-16, y+13, "soft num end", percent(b.Now))
	}
	legendBefore(c, left, bottom+26)
	return c.Done()
}

func legendBefore(c *plot.Canvas, x, y float64) {
	c.Bar(x, y-8, 18, 8, "bar")
	c.Text(x+24, y, "", "before")
	c.Bar(x+90, y-8, 18, 8, "fill candidate")
	c.Text(x+114, y, "", "now")
}

func legendBars(c *plot.Canvas, x, y float64, first, second string) {
	c.Bar(x, y-8, 18, 8, "fill candidate")
	c.Text(x+24, y, "", first)
	c.Bar(x+76, y-8, 18, 8, "fill champion")
	c.Text(x+100, y, "", second)
}

// drawClassifier draws the AUC with its interval.
func (a Account) drawClassifier() string {
	e := a.Explanation.Classifier
	if e == nil {
		return ""
	}
	c := plot.NewCanvas(wide, 150, "How well requests of now can be told from rows before, by their inputs alone",
		"AUC of a model that has not seen the blocks it is asked about; the line is its 95 % interval, by blocks. 0.5 or less: not at all. 1: always.")
	x := plot.Axis{From: min(0.4, e.Low), To: 1, Begin: 60, End: wide - 170}
	for _, t := range x.Ticks(7) {
		c.Line(x.At(t.Value), 72, x.At(t.Value), 112, "grid")
		c.Text(x.At(t.Value), 132, "soft num middle", t.Label)
	}
	c.Line(x.At(0.5), 72, x.At(0.5), 112, "rule")
	c.Line(x.At(e.Low), 92, x.At(e.High), 92, "interval candidate")
	c.Dot(x.At(e.Value), 92, 5, "candidate", fmt.Sprintf("%.3f", e.Value))
	c.Text(wide-24, 96, "num end", fmt.Sprintf("%.3f [%.3f, %.3f]", e.Value, e.Low, e.High))
	return c.Done()
}
