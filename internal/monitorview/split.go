package monitorview

import (
	"fmt"
	"html/template"
	"math"

	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/models"
)

// part is one part of a change of the loss.
type part struct {
	name  string
	value float64
	note  string
}

// SplitPlot shows how much of a change of the loss is due to different traffic
// and how much to the same traffic having become harder; empty: it was not
// split.
func SplitPlot(e models.Explanation) template.HTML {
	if e.Column == "" {
		return ""
	}
	parts := []part{
		{"mix shift", e.Mix, "other traffic than before, by " + e.Column},
		{"concept shift", e.Concept, "the same traffic has become harder"},
	}
	const width, row, left = 470.0, 34.0, 110.0
	d := plot.NewDrawing(width, row*float64(len(parts))+30, "Change of the loss by cause")
	most := 0.0
	for _, p := range parts {
		most = max(most, math.Abs(p.value))
	}
	// Both directions have room only when both are needed.
	right, zero := width-80, left
	if e.Mix < 0 || e.Concept < 0 {
		zero = (left + 60 + right) / 2
	}
	scale := 0.0
	if most > 0 {
		scale = (right - zero) / most
	}
	for i, p := range parts {
		y := 6 + row*float64(i)
		d.Text(left-12, y+16, "legend end", p.name)
		length := math.Abs(p.value) * scale
		x, class, label, anchor := zero, "band bad", zero+length+8, ""
		if p.value < 0 {
			x, class, label, anchor = zero-length, "band good", zero-length-8, " end"
		}
		d.Rect(x, y, length, 22, class, p.note)
		d.Text(label, y+16, "legend"+anchor, signed(p.value, e.LossBefore))
	}
	bottom := 6 + row*float64(len(parts))
	d.Line(zero, 2, zero, bottom, "axis")
	d.Text(zero, bottom+16, "tick middle", "no change")
	return d.Done()
}

// signed writes a change of a loss with its sign, to the digits that matter
// beside the loss.
func signed(v, loss float64) string {
	digits := 4
	if size := math.Abs(loss); size > 0 && !math.IsInf(size, 0) {
		digits = min(max(3-int(math.Floor(math.Log10(size))), 0), 9)
	}
	return fmt.Sprintf("%+.*f", digits, v)
}
