package main

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/mainspring-ml/mainspring/bench/drift/rivals"
	"github.com/mainspring-ml/mainspring/models"
)

// The shape of every stream.
const (
	referenceDays = 56  // known before: eight weeks
	watchedDays   = 365 // judged
	change        = 120 // first watched day after the change, where there is one
	heldOut       = 28  // newest reference days, from which the promised loss comes
)

// The sizes are those of the shipped flights under the example's model: the
// mean daily log-loss is 0.53, its deviation from day to day 0.15, and that of
// one row within its day 0.48. Of 200 rows that were independent the mean would
// stray by 0.034 only.
const (
	meanLoss     = 0.53
	perRow       = 0.48
	perDay       = 0.15
	rowsPerDay   = 200
	inputColumns = 4
	inputPerDay  = 0.1 // deviation of a day's mean input, in that of a row
)

// world is the truth of a row of the tables.
type world struct {
	Day     float64 `json:"day"`               // deviation of the mean loss from day to day; 0: rows are independent
	Normal  bool    `json:"normal,omitempty"`  // losses of rows are normal; else skewed (exponential)
	Skewed  bool    `json:"skewed,omitempty"`  // days are log-normal: few are very bad
	Season  float64 `json:"season,omitempty"`  // the flights' effect of the day of the week, times this
	Memory  float64 `json:"memory,omitempty"`  // correlation of a day with the next
	Varying bool    `json:"varying,omitempty"` // 20 to 1000 rows a day
	// Shift is how far the mean loss rises at the change, in deviations of daily
	// means; over Ramp days, if any.
	Shift float64 `json:"shift,omitempty"`
	Ramp  int     `json:"ramp,omitempty"`
	// Inputs are simulated, and move at the change by InputShift deviations of a
	// row.
	Inputs     bool    `json:"inputs,omitempty"`
	InputShift float64 `json:"input_shift,omitempty"`
}

// weekday is the effect of Monday to Sunday on the flights' mean loss.
func weekday() [7]float64 { return [7]float64{0.02, 0, 0.015, 0.037, 0.025, -0.073, -0.03} }

// stream is a year of rows in the order of time, with the reference before it.
type stream struct {
	world  world
	losses *column
	inputs []*column
}

// column is the values of all rows.
type column struct {
	values  []float64
	ends    []int    // of days
	samples *samples // nil: not made yet
}

// samples are what windows compare.
type samples struct {
	reference rivals.Sample
	chunks    []rivals.Sample // weeks of the reference
	weeks     []rivals.Sample // of the year; days after the last whole week are left over
}

// sigma is the deviation of daily means that the shifts are measured in.
func (w world) sigma() float64 {
	inverse := 1.0 / rowsPerDay
	if w.Varying { // the mean of 1/n for n = 20·50^u
		inverse = (1.0/20 - 1.0/1000) / math.Log(50)
	}
	season := 0.0
	for _, effect := range weekday() {
		season += (effect - weekdayMean()) * (effect - weekdayMean()) / 7
	}
	return math.Sqrt(w.Day*w.Day + perRow*perRow*inverse + w.Season*w.Season*season)
}

func weekdayMean() (mean float64) {
	for _, effect := range weekday() {
		mean += effect / 7
	}
	return mean
}

func (w world) simulate(r *rand.Rand) *stream {
	s := &stream{world: w, losses: &column{}}
	effect := r.NormFloat64()
	for day := range referenceDays + watchedDays {
		if day > 0 {
			effect = w.Memory*effect + math.Sqrt(1-w.Memory*w.Memory)*r.NormFloat64()
		}
		mean := meanLoss + w.Day*w.shaped(effect) + w.Season*weekday()[day%7] + w.Shift*w.sigma()*w.risen(day-referenceDays)
		for range w.rows(r) {
			s.losses.values = append(s.losses.values, mean+perRow*w.noise(r))
		}
		s.losses.ends = append(s.losses.ends, len(s.losses.values))
	}
	if w.Inputs {
		for range inputColumns {
			s.inputs = append(s.inputs, w.input(r, s.losses.ends))
		}
	}
	return s
}

// shaped gives a day's effect its distribution, with deviation 1 and mean 0.
func (w world) shaped(normal float64) float64 {
	if !w.Skewed {
		return normal
	}
	return (math.Exp(normal) - math.Exp(0.5)) / math.Sqrt((math.E-1)*math.E)
}

func (w world) noise(r *rand.Rand) float64 {
	if w.Normal {
		return r.NormFloat64()
	}
	return r.ExpFloat64() - 1
}

func (w world) rows(r *rand.Rand) int {
	if w.Varying {
		return int(20 * math.Pow(50, r.Float64()))
	}
	return rowsPerDay
}

// risen is the share of the shift that a watched day has.
func (w world) risen(day int) float64 {
	switch {
	case day < change:
		return 0
	case w.Ramp == 0:
		return 1
	default:
		return min(float64(day-change+1)/float64(w.Ramp), 1)
	}
}

func (w world) input(r *rand.Rand, ends []int) *column {
	c := &column{ends: ends, values: make([]float64, 0, ends[len(ends)-1])}
	for day, end := range ends {
		mean := inputPerDay * w.Day / perDay * r.NormFloat64()
		if day >= referenceDays+change {
			mean += w.InputShift
		}
		for len(c.values) < end {
			c.values = append(c.values, mean+r.NormFloat64())
		}
	}
	return c
}

// sampled are the column's samples, made when first asked for, since most years
// are played by rules that need none.
func (c *column) sampled() *samples {
	if c.samples == nil {
		c.samples = sampled(c.values, c.ends, referenceDays)
	}
	return c.samples
}

// sampled cuts a column into the reference, of so many days, and weeks.
func sampled(values []float64, ends []int, known int) *samples {
	s := &samples{reference: rivals.NewSample(values[:ends[known-1]])}
	weeks := func(from, to int) (all []rivals.Sample) {
		for day := from; day+7 <= to; day += 7 {
			begin := 0
			if day > 0 {
				begin = ends[day-1]
			}
			all = append(all, rivals.NewSample(values[begin:ends[day+6]]))
		}
		return all
	}
	s.chunks, s.weeks = weeks(0, known), weeks(known, len(ends))
	return s
}

// blocks are the mean losses of so many days each, as a monitor scores them. The
// last days, if too few, are left out.
func (s *stream) blocks(days int) (blocks []models.BlockLoss) {
	start, begin := time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC), 0 // a Monday
	for day := 0; day+days <= len(s.losses.ends); day += days {
		end, total := s.losses.ends[day+days-1], 0.0
		for _, loss := range s.losses.values[begin:end] {
			total += loss
		}
		blocks = append(blocks, models.BlockLoss{Start: start.AddDate(0, 0, day), Labelled: int64(end - begin), Loss: total / float64(end-begin)})
		begin = end
	}
	return blocks
}
