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
	if !(span > 0) {
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
	var ticks []tick
	// Adding 0 makes a 0 of -0.
	for i := math.Ceil(a.from/step-1e-9) + 0; i*step <= a.to+step*1e-9; i++ {
		label := strconv.FormatFloat(i*step, 'f', digits, 64)
		if digits == 0 {
			label = grouped(int64(math.Round(i * step)))
		}
		ticks = append(ticks, tick{i * step, label})
	}
	return ticks
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
	if air == 0 {
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
