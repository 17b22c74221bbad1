package main

import (
	"fmt"
	"math"

	"github.com/mainspring-ml/mainspring/bench/drift/rivals"
	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/models"
)

// contender is a rule that a table compares. Alarms are the watched days on
// which it calls drift, in order.
type contender struct {
	name   string
	sees   sight
	ours   bool    // the product's
	budget float64 // probability of any false alarm that it promises to keep; 0: none
	alarms func(*stream) []int
}

// sight is what a rule is applied to.
type sight string

// The sights.
const (
	seesBlocks sight = "daily mean losses"
	seesRows   sight = "losses of rows"
	seesInputs sight = "inputs of rows"
)

// budgets are the false alarms a year of the two monitors that are compared.
func budgets() []float64 { return []float64{0.1, 0.01} }

// setting is what a world's monitors are told, beside their budget.
type setting struct {
	season models.Season // empty: the default for the block
	days   int           // of a block; 0: one
	claims bool          // whether they promise anything there
}

// monitorSpec has the default detectors, the conformal one by season.
func monitorSpec(budget float64, set setting) models.MonitorSpec {
	block := models.Duration(max(set.days, 1)) * models.Day
	spec := models.MonitorSpec{FalseAlarmsPerYear: budget, Block: block}.WithDefaults()
	if set.season != "" {
		spec.Detectors[0].Season = set.season
	}
	return spec
}

// monitors are the product's, at each budget.
func monitors(set setting) (rules []contender) {
	days := max(set.days, 1)
	for _, budget := range budgets() {
		spec := monitorSpec(budget, set)
		c := contender{name: fmt.Sprintf("Mainspring, %.3g a year", budget), sees: seesBlocks, ours: true}
		if set.season != "" {
			c.name += ", season: " + string(set.season)
		}
		if days > 1 {
			c.name += fmt.Sprintf(", block: %dd", days)
		}
		if set.claims {
			c.budget = budget
		}
		c.alarms = func(s *stream) []int {
			alarms := watch(spec, s.blocks(days), referenceDays/days)
			for i, block := range alarms {
				alarms[i] = block*days + days - 1 // the block's last day
			}
			return alarms
		}
		rules = append(rules, c)
	}
	return rules
}

// watch lets the detectors judge the blocks after the first known ones. After
// an alarm they start anew on the newest blocks, as in the product when a
// retraining did not help.
func watch(spec models.MonitorSpec, blocks []models.BlockLoss, known int) (alarms []int) {
	state := drift.New(spec, blocks[:known], promised(blocks[:known]), drift.Seed("bench", "1", 0))
	for i := known; i < len(blocks); i++ {
		var looks []models.DetectorLook
		state, looks = drift.Update(state, blocks[i])
		for _, look := range looks {
			if look.Alarm {
				alarms = append(alarms, i-known)
				newest := blocks[max(i+1-spec.ReferenceBlocks, 0) : i+1]
				state = drift.New(spec, newest, promised(newest), drift.Seed("bench", "1", len(alarms)))
				break
			}
		}
	}
	return alarms
}

// promised is the mean loss of the newest blocks with its 95 % interval over
// blocks, as evaluation finds it by resampling held-out blocks.
func promised(blocks []models.BlockLoss) models.Estimate {
	blocks = blocks[max(len(blocks)-heldOut, 0):]
	n, mean, squares := float64(len(blocks)), 0.0, 0.0
	for _, b := range blocks {
		mean += b.Loss / n
	}
	for _, b := range blocks {
		squares += (b.Loss - mean) * (b.Loss - mean)
	}
	half := 1.96 * math.Sqrt(squares) / n
	return models.Estimate{Value: mean, Low: mean - half, High: mean + half}
}

// windowRule opens a window rule on a reference.
type windowRule struct {
	name string
	open func(*samples) rivals.Window
}

// weeksInYear is what the careful KS divides its level by.
const weeksInYear = 52

func windowRules(columns float64) []windowRule {
	return []windowRule{
		{"PSI ≥ 0.1, weekly", func(s *samples) rivals.Window { return rivals.NewPSI(s.reference, 0.1) }},
		{"PSI ≥ 0.2, weekly", func(s *samples) rivals.Window { return rivals.NewPSI(s.reference, 0.2) }},
		{"KS p < 0.05, weekly", func(s *samples) rivals.Window { return rivals.KS{Reference: s.reference, Level: 0.05} }},
		{"KS, Bonferroni, weekly", func(s *samples) rivals.Window {
			return rivals.KS{Reference: s.reference, Level: 0.05 / weeksInYear / columns}
		}},
		{"evidently, weekly", func(s *samples) rivals.Window { return rivals.Evidently{Reference: s.reference} }},
		{"NannyML, weekly", func(s *samples) rivals.Window { return rivals.NewNannyML(s.reference, s.chunks) }},
	}
}

// weekly are the last days of the weeks in which the rule calls drift.
func (r windowRule) weekly(s *samples) (alarms []int) {
	rule := r.open(s)
	for i, week := range s.weeks {
		if rule.Drifted(week) {
			alarms = append(alarms, 7*i+6)
		}
	}
	return alarms
}

// onLosses applies the window rules to the losses of rows, and the stream rules
// to these and to the daily means.
func onLosses() (rules []contender) {
	for _, rule := range windowRules(1) {
		rules = append(rules, contender{name: rule.name, sees: seesRows, alarms: func(s *stream) []int {
			return rule.weekly(s.losses.sampled())
		}})
	}
	for _, rule := range streamRules() {
		rules = append(rules,
			contender{name: rule.name, sees: seesRows, alarms: func(s *stream) []int {
				return along(rule.open(), s.losses.values, s.losses.ends, referenceDays)
			}},
			contender{name: rule.name, sees: seesBlocks, alarms: func(s *stream) []int {
				means, ends := daily(s.blocks(1))
				return along(rule.open(), means, ends, referenceDays)
			}})
	}
	return append(rules, told())
}

// told is a CUSUM that somebody told the true mean and deviation of daily
// losses, and that alarms in a tenth of the years if they are independent and
// normal. It looks for rises by half a deviation.
func told() contender {
	return contender{name: "CUSUM told mean and σ", sees: seesBlocks, alarms: func(s *stream) []int {
		rule := &rivals.CUSUM{
			Mean: meanLoss + s.world.Season*weekdayMean(), Deviation: s.world.sigma(),
			Allowance: 0.25, Threshold: toldThreshold,
		}
		means, ends := daily(s.blocks(1)[referenceDays:])
		return along(rule, means, ends, 0)
	}}
}

// toldThreshold is the 90 % point of the highest sum of 365 independent standard
// normal values, by 200,000 simulations.
const toldThreshold = 10.9

// streamRule opens a stream rule.
type streamRule struct {
	name string
	open func() rivals.Stream
}

func streamRules() []streamRule {
	return []streamRule{
		{"ADWIN", func() rivals.Stream { return rivals.NewADWIN() }},
		{"Page–Hinkley", func() rivals.Stream { return rivals.NewPageHinkley() }},
	}
}

// daily are the blocks' losses as a column of one row a day.
func daily(blocks []models.BlockLoss) (means []float64, ends []int) {
	for i, b := range blocks {
		means, ends = append(means, b.Loss), append(ends, i+1)
	}
	return means, ends
}

// along feeds the known days and then the others to a stream rule, and returns
// those of the others with a call.
func along(rule rivals.Stream, values []float64, ends []int, known int) (alarms []int) {
	at := 0
	for day, end := range ends {
		called := false
		for ; at < end; at++ {
			called = rule.Update(values[at]) || called
		}
		if called && day >= known {
			alarms = append(alarms, day-known)
		}
	}
	return alarms
}

// onInputs applies the window rules to the inputs. An alarm is one in any
// column, but evidently's data set drifts when half of its columns do.
func onInputs() (rules []contender) {
	for _, rule := range windowRules(inputColumns) {
		need := 1
		if rule.name == "evidently, weekly" {
			need = (inputColumns + 1) / 2
		}
		rules = append(rules, contender{name: rule.name, sees: seesInputs, alarms: func(s *stream) (alarms []int) {
			calls := make(map[int]int)
			for _, input := range s.inputs {
				for _, day := range rule.weekly(input.sampled()) {
					calls[day]++
				}
			}
			for day := range watchedDays {
				if calls[day] >= need {
					alarms = append(alarms, day)
				}
			}
			return alarms
		}})
	}
	return rules
}
