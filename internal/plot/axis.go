package plot

import (
	"math"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/internal/terminal"
)

// Axis maps values to positions. Without dates or decades its ticks are round
// numbers.
type Axis struct {
	Label    string
	From, To float64
	Log      bool // base 10; values below From are drawn at From
	Dates    bool // values are of Time, ticks are days or months
}

// Tick is one labelled place on an axis.
type Tick struct {
	At    float64
	Label string
}

// Share is where a value lies between the ends of an axis, from 0 to 1.
func (a Axis) Share(v float64) float64 {
	from, to := a.From, a.To
	if a.Log {
		v, from, to = math.Log10(max(v, a.From)), math.Log10(from), math.Log10(to)
	}
	if to <= from {
		return 0.5
	}
	return min(max((v-from)/(to-from), 0), 1)
}

// Ticks are at most about n.
func (a Axis) Ticks(n int) []Tick {
	n = max(n, 2)
	switch {
	case a.Dates:
		return a.dateTicks(n)
	case a.Log:
		return a.decades(n)
	default:
		return a.roundTicks(n)
	}
}

func (a Axis) roundTicks(n int) []Tick {
	span := a.To - a.From
	if span <= 0 {
		return []Tick{{a.From, terminal.Figure(a.From)}}
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
	var ticks []Tick
	first := math.Ceil(a.From/step - 1e-9)
	if first == 0 {
		first = 0 // and not the negative one, which would be written so
	}
	for i := first; i*step <= a.To+step*1e-9; i++ {
		label := strconv.FormatFloat(i*step, 'f', digits, 64)
		switch v := math.Abs(i * step); {
		case v >= 1e15: // written out it would be long, and no integer of 64 bits in the end
			label = strconv.FormatFloat(i*step, 'g', 4, 64)
		case step >= 1:
			label = terminal.Grouped(int64(math.Round(i * step)))
		}
		ticks = append(ticks, Tick{i * step, label})
	}
	return ticks
}

func (a Axis) decades(n int) []Tick {
	low, high := int(math.Ceil(math.Log10(a.From)-1e-9)), int(math.Floor(math.Log10(a.To)+1e-9))
	every := (high-low)/n + 1
	var ticks []Tick
	for e := low; e <= high; e++ {
		if e%every == 0 {
			ticks = append(ticks, Tick{math.Pow(10, float64(e)), decade(e)})
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

// dateTicks are months when there is room for few, else days, and hours when
// that would be one or two days.
func (a Axis) dateTicks(n int) []Tick {
	from, to := time.Unix(int64(a.From), 0).UTC(), time.Unix(int64(a.To), 0).UTC()
	days := int(to.Sub(from).Hours()/24) + 1
	var ticks []Tick
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
			ticks = append(ticks, Tick{Time(t), label})
		}
		return ticks
	}
	if to.Sub(from) <= 60*time.Hour {
		return a.hourTicks(from, to, n)
	}
	every := days/n + 1
	for t := from.Truncate(24 * time.Hour); !t.After(to); t = t.AddDate(0, 0, every) {
		if !t.Before(from) {
			ticks = append(ticks, Tick{Time(t), t.Format("2 Jan")})
		}
	}
	return ticks
}

// hourTicks name the day at the first of them and at midnight.
func (a Axis) hourTicks(from, to time.Time, n int) []Tick {
	every := 24 * time.Hour
	for _, step := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour} {
		if to.Sub(from) <= time.Duration(n)*step {
			every = step
			break
		}
	}
	var ticks []Tick
	for t := from.Truncate(every); !t.After(to); t = t.Add(every) {
		if t.Before(from) {
			continue
		}
		label := t.Format("15:04")
		if len(ticks) == 0 || t.Hour() == 0 {
			label = t.Format("2 Jan 15:04")
		}
		ticks = append(ticks, Tick{Time(t), label})
	}
	return ticks
}

// Around is a linear axis with a little air over the values, and room above
// for the labels of rules.
func Around(label string, values []float64) Axis {
	low, high := terminal.Bounds(values)
	air := (high - low) * 0.08
	if air == 0 {
		air = max(math.Abs(high)*0.05, 0.01)
	}
	return Axis{Label: label, From: low - air, To: high + 2*air}
}

// Evidence is a log axis for numbers that start at 1 and act at a limit.
// What falls far below 1 is evidence of nothing more than what is near it.
func Evidence(label string, values []float64, limit float64) Axis {
	low, high := terminal.Bounds(values)
	low = min(max(low, evidenceFloor), 0.5)
	return Axis{Label: label, Log: true, From: math.Pow(10, math.Floor(math.Log10(low))), To: max(high, limit, 10) * 4}
}

// evidenceFloor is the lowest value drawn as itself.
const evidenceFloor = 1e-3
