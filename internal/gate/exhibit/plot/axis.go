package plot

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Axis maps values to positions: From lies at Begin and To at End.
type Axis struct {
	From, To   float64
	Begin, End float64
	Log        bool // to base 10; what is not above 0 is drawn at From
}

// At is the position of a value; what lies outside is drawn at the edge.
func (a Axis) At(v float64) float64 {
	if a.To <= a.From {
		return (a.Begin + a.End) / 2
	}
	if a.Log {
		v = math.Log10(max(v, a.From))
		a.From, a.To = math.Log10(a.From), math.Log10(a.To)
	}
	share := min(max((v-a.From)/(a.To-a.From), 0), 1)
	return a.Begin + share*(a.End-a.Begin)
}

// Tick is one labelled place on an axis.
type Tick struct {
	Value float64
	Label string
}

// Ticks are round numbers, about n of them.
func (a Axis) Ticks(n int) []Tick {
	if a.Log {
		return a.powers(n)
	}
	span := a.To - a.From
	if !(span > 1e-300) { // a point, or too near to one to be divided
		return []Tick{{a.From, strconv.FormatFloat(a.From, 'g', 4, 64)}}
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
	first := math.Ceil(a.From/step-1e-9) + 0 // adding 0 makes a 0 of -0
	var ticks []Tick
	for k := range n + 2 { // counted: where steps are less than rounding, adding one changes nothing
		v := (first + float64(k)) * step
		if v > a.To+step*1e-9 {
			break
		}
		ticks = append(ticks, Tick{v, tickLabel(v, digits)})
	}
	return ticks
}

func tickLabel(v float64, digits int) string {
	switch {
	case math.Abs(v) >= 1e15 || digits > 15:
		return strconv.FormatFloat(v, 'g', 4, 64)
	case digits == 0:
		return Grouped(int64(math.Round(v)))
	default:
		return strconv.FormatFloat(v, 'f', digits, 64)
	}
}

// powers are at most n powers of ten.
func (a Axis) powers(n int) []Tick {
	first, last := int(math.Ceil(math.Log10(a.From)-1e-9)), int(math.Floor(math.Log10(a.To)+1e-9))
	every := max(1, (last-first+n)/n)
	var ticks []Tick
	for k := first; k <= last; k += every {
		v := math.Pow(10, float64(k))
		label := strconv.FormatFloat(v, 'g', 4, 64)
		if k < -2 || k > 2 {
			label = PowerOfTen(k)
		}
		ticks = append(ticks, Tick{v, label})
	}
	return ticks
}

// PowerOfTen writes 10³.
func PowerOfTen(k int) string {
	digits := strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹")
	return "10" + digits.Replace(strconv.Itoa(k))
}

// Dates are at most n ticks at midnight, of an axis of Unix seconds; of less than
// three days, at full hours.
func (a Axis) Dates(n int) []Tick {
	const day = 24 * 60 * 60
	if a.To-a.From < 3*day {
		return a.hours(n)
	}
	days := int((a.To-a.From)/day) + 1
	every := float64(day * ((days + n - 1) / n))
	var ticks []Tick
	for v := math.Ceil(a.From/day) * day; v <= a.To; v += every {
		ticks = append(ticks, Tick{v, time.Unix(int64(v), 0).UTC().Format("2 Jan")})
	}
	return ticks
}

func (a Axis) hours(n int) []Tick {
	const hour = 60 * 60
	hours := int((a.To-a.From)/hour) + 1
	every := float64(hour * ((hours + n - 1) / n))
	var ticks []Tick
	for v := math.Ceil(a.From/hour) * hour; v <= a.To; v += every {
		ticks = append(ticks, Tick{v, time.Unix(int64(v), 0).UTC().Format("2 Jan 15:04")})
	}
	return ticks
}

// alike is the share of a value below which a difference from it is rounding:
// the mean losses of a model that always says the same differ in the last digit.
const alike = 1e-9

// Spanning is an axis with a little air around the values.
func Spanning(values []float64, begin, end float64) Axis {
	if len(values) == 0 {
		return Axis{From: 0, To: 1, Begin: begin, End: end}
	}
	low, high := values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	air := (high - low) * 0.07
	if high-low <= alike*max(math.Abs(low), math.Abs(high)) {
		air = max(math.Abs(high)*0.05, 1e-3)
	}
	return Axis{From: low - air, To: high + air, Begin: begin, End: end}
}

// Grouped writes thousands apart.
func Grouped(n int64) string {
	text, sign := strconv.FormatInt(n, 10), ""
	if n < 0 { // the lowest number has no positive one
		text, sign = text[1:], "-"
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}
