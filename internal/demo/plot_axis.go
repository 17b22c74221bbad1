package demo

import (
	"math"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/internal/terminal"
)

// tick is one labelled place on an axis.
type tick struct {
	at    float64
	label string
}

// share is where a value lies between the ends of an axis, from 0 to 1.
func (a axis) share(v float64) float64 {
	from, to := a.from, a.to
	if a.log {
		v, from, to = math.Log10(max(v, a.from)), math.Log10(from), math.Log10(to)
	}
	if to <= from {
		return 0.5
	}
	return min(max((v-from)/(to-from), 0), 1)
}

// ticks are at most about n.
func (a axis) ticks(n int) []tick {
	n = max(n, 2)
	switch {
	case a.dates:
		return a.dateTicks(n)
	case a.log:
		return a.decades(n)
	default:
		return a.roundTicks(n)
	}
}

func (a axis) roundTicks(n int) []tick {
	span := a.to - a.from
	if span <= 0 {
		return []tick{{a.from, terminal.Figure(a.from)}}
	}
	magnitude := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	step := magnitude
	for _, m := range []float64{1, 2, 5, 10} {
		step = m * magnitude
		if span/step <= float64(n) {
			break
		}
	}
	digits := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	var ticks []tick
	first := math.Ceil(a.from/step - 1e-9)
	if first == 0 {
		first = 0 // and not the negative one, which would be written so
	}
	for i := first; i*step <= a.to+step*1e-9; i++ {
		label := strconv.FormatFloat(i*step, 'f', digits, 64)
		if step >= 1 {
			label = terminal.Grouped(int64(math.Round(i * step)))
		}
		ticks = append(ticks, tick{i * step, label})
	}
	return ticks
}

func (a axis) decades(n int) []tick {
	low, high := int(math.Ceil(math.Log10(a.from)-1e-9)), int(math.Floor(math.Log10(a.to)+1e-9))
	every := (high-low)/n + 1
	var ticks []tick
	for e := low; e <= high; e++ {
		if e%every == 0 {
			ticks = append(ticks, tick{math.Pow(10, float64(e)), decade(e)})
		}
	}
	return ticks
}

func decade(e int) string {
	switch {
	case e >= 0 && e <= 6:
		return terminal.Grouped(int64(math.Pow(10, float64(e))))
	case e < 0 && e >= -3:
		return strconv.FormatFloat(math.Pow(10, float64(e)), 'f', -e, 64)
	default:
		return "1e" + strconv.Itoa(e)
	}
}

// dateTicks are months when there is room for few, else days.
func (a axis) dateTicks(n int) []tick {
	from, to := time.Unix(int64(a.from), 0).UTC(), time.Unix(int64(a.to), 0).UTC()
	days := int(to.Sub(from).Hours()/24) + 1
	var ticks []tick
	if days > 75 {
		months := days/30/n + 1
		for t := time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC); !t.After(to); t = t.AddDate(0, months, 0) {
			if t.Before(from) {
				continue
			}
			label := t.Format("Jan")
			if t.Month() == time.January || len(ticks) == 0 {
				label = t.Format("Jan 2006")
			}
			ticks = append(ticks, tick{unix(t), label})
		}
		return ticks
	}
	every := days/n + 1
	for t := from.Truncate(24 * time.Hour); !t.After(to); t = t.AddDate(0, 0, every) {
		if !t.Before(from) {
			ticks = append(ticks, tick{unix(t), t.Format("2 Jan")})
		}
	}
	return ticks
}

// around is a linear axis with a little air over the values, and room above
// for the labels of rules.
func around(label string, values []float64) axis {
	low, high := terminal.Bounds(values)
	air := (high - low) * 0.08
	if air == 0 {
		air = max(math.Abs(high)*0.05, 0.01)
	}
	return axis{label: label, from: low - air, to: high + 2*air}
}

// evidenceAxis is a log axis for numbers that start at 1 and act at a limit.
// What falls far below 1 is evidence of nothing more than what is near it.
func evidenceAxis(label string, values []float64, limit float64) axis {
	low, high := terminal.Bounds(values)
	low = min(max(low, evidenceFloor), 0.5)
	return axis{label: label, log: true, from: math.Pow(10, math.Floor(math.Log10(low))), to: max(high, limit, 10) * 4}
}

// evidenceFloor is the lowest value drawn as itself.
const evidenceFloor = 1e-3
