package exhibit

import (
	"math"
	"strconv"
	"time"
)

// axis maps values to positions: from lies at begin and to at end.
type axis struct {
	from, to   float64
	begin, end float64
}

// at is the position of a value; what lies outside is drawn at the edge.
func (a axis) at(v float64) float64 {
	if a.to <= a.from {
		return (a.begin + a.end) / 2
	}
	share := min(max((v-a.from)/(a.to-a.from), 0), 1)
	return a.begin + share*(a.end-a.begin)
}

// tick is one labelled place on an axis.
type tick struct {
	value float64
	label string
}

// ticks are round numbers, about n of them.
func (a axis) ticks(n int) []tick {
	span := a.to - a.from
	if !(span > 1e-300) { // a point, or too near to one to be divided
		return []tick{{a.from, strconv.FormatFloat(a.from, 'g', 4, 64)}}
	}
	magnitude := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	step := 10 * magnitude
	for _, m := range []float64{1, 2, 5} {
		if span/(m*magnitude) <= float64(n) {
			step = m * magnitude
			break
		}
	}
	digits := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	first := math.Ceil(a.from/step-1e-9) + 0 // adding 0 makes a 0 of -0
	var ticks []tick
	for k := range n + 2 { // counted: where steps are less than rounding, adding one changes nothing
		v := (first + float64(k)) * step
		if v > a.to+step*1e-9 {
			break
		}
		ticks = append(ticks, tick{v, tickLabel(v, digits)})
	}
	return ticks
}

func tickLabel(v float64, digits int) string {
	switch {
	case math.Abs(v) >= 1e15 || digits > 15:
		return strconv.FormatFloat(v, 'g', 4, 64)
	case digits == 0:
		return grouped(int64(math.Round(v)))
	default:
		return strconv.FormatFloat(v, 'f', digits, 64)
	}
}

// dates are at most n ticks at midnight, of an axis of Unix seconds.
func (a axis) dates(n int) []tick {
	const day = 24 * 60 * 60
	days := int((a.to-a.from)/day) + 1
	every := float64(day * ((days + n - 1) / n))
	var ticks []tick
	for v := math.Ceil(a.from/day) * day; v <= a.to; v += every {
		ticks = append(ticks, tick{v, time.Unix(int64(v), 0).UTC().Format("2 Jan")})
	}
	return ticks
}

// alike is the share of a value below which a difference from it is rounding:
// the mean losses of a model that always says the same differ in the last digit.
const alike = 1e-9

// spanning is an axis with a little air around the values.
func spanning(values []float64, begin, end float64) axis {
	if len(values) == 0 {
		return axis{from: 0, to: 1, begin: begin, end: end}
	}
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	air := (high - low) * 0.07
	if high-low <= alike*max(math.Abs(low), math.Abs(high)) {
		air = max(math.Abs(high)*0.05, 1e-3)
	}
	return axis{from: low - air, to: high + air, begin: begin, end: end}
}

// grouped writes thousands apart.
func grouped(n int64) string {
	if n < 0 {
		return "-" + grouped(-n)
	}
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
