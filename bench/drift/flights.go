package main

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/figures"
)

// Flights is what each rule makes of the shipped flights' daily losses, in their
// real order and permuted.
type Flights struct {
	Reference    int             `json:"reference_days"`
	Days         int             `json:"days"`
	Permutations int             `json:"permutations"`
	Outcomes     []FlightOutcome `json:"outcomes"`
}

// FlightOutcome is that of one rule.
type FlightOutcome struct {
	Rule string `json:"rule"`
	// First is the day of the first alarm in the real order; empty: none.
	First  string `json:"first,omitempty"`
	Alarms int    `json:"alarms"` // in the real order
	// Alarmed counts the permutations with an alarm.
	Alarmed int     `json:"alarmed"`
	Rate    float64 `json:"rate"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Budget  float64 `json:"budget,omitempty"`
	Promise Promise `json:"promise,omitempty"`
}

// flightReference are January and February: the losses of flights that the model
// was trained on, by models that have not seen their day.
const flightReference = 59

func readFlights(path string) ([]models.BlockLoss, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var days []models.BlockLoss
	for _, row := range rows[min(1, len(rows)):] {
		day, err := flightDay(row)
		if err != nil {
			return nil, fmt.Errorf("%s: day %d: %w", path, len(days)+1, err)
		}
		days = append(days, day)
	}
	if len(days) <= flightReference {
		return nil, fmt.Errorf("%s: %d days; there must be more than the %d of the reference", path, len(days), flightReference)
	}
	return days, nil
}

// flightDay reads the date, the number of flights and their mean loss.
func flightDay(row []string) (models.BlockLoss, error) {
	start, err := time.Parse(time.DateOnly, row[0])
	if err != nil {
		return models.BlockLoss{}, err
	}
	rows, err := strconv.ParseInt(row[1], 10, 64)
	if err != nil {
		return models.BlockLoss{}, err
	}
	loss, err := strconv.ParseFloat(row[2], 64)
	return models.BlockLoss{Start: start, Labelled: rows, Loss: loss}, err
}

// flightRule sees the daily losses, the reference first, and returns the days
// after it with an alarm.
type flightRule struct {
	name   string
	budget float64
	alarms func([]models.BlockLoss) []int
}

func flightRules() (rules []flightRule) {
	for _, budget := range budgets() {
		spec := models.MonitorSpec{FalseAlarmsPerYear: budget}.WithDefaults()
		rules = append(rules, flightRule{fmt.Sprintf("Mainspring, %.3g a year", budget), budget, func(days []models.BlockLoss) []int {
			return watch(spec, days, flightReference)
		}})
	}
	for _, rule := range windowRules(1) {
		rules = append(rules, flightRule{name: rule.name, alarms: func(days []models.BlockLoss) []int {
			losses, ends := daily(days)
			return rule.weekly(sampled(losses, ends, flightReference))
		}})
	}
	for _, rule := range streamRules() {
		rules = append(rules, flightRule{name: rule.name, alarms: func(days []models.BlockLoss) []int {
			losses, ends := daily(days)
			return along(rule.open(), losses, ends, flightReference)
		}})
	}
	return rules
}

func playFlights(days []models.BlockLoss, permutations int, seed uint64) Flights {
	f := Flights{Reference: flightReference, Days: len(days), Permutations: permutations}
	for _, rule := range flightRules() {
		o := FlightOutcome{Rule: rule.name, Budget: rule.budget}
		alarms := rule.alarms(days)
		o.Alarms = len(alarms)
		if len(alarms) > 0 {
			o.First = days[flightReference+alarms[0]].Start.Format(time.DateOnly)
		}
		for n := range permutations {
			if len(rule.alarms(permuted(days, rand.New(rand.NewPCG(seed, uint64(n)))))) > 0 {
				o.Alarmed++
			}
		}
		o.Rate = float64(o.Alarmed) / float64(permutations)
		o.Low, o.High = figures.Interval(o.Alarmed, permutations)
		if o.Budget > 0 {
			o.Promise = PromiseKept
			if o.Low > o.Budget {
				o.Promise = PromiseBroken
			}
		}
		f.Outcomes = append(f.Outcomes, o)
	}
	return f
}

// permuted gives the days another order, while the dates stay in place.
func permuted(days []models.BlockLoss, r *rand.Rand) []models.BlockLoss {
	out := slices.Clone(days)
	for i, from := range r.Perm(len(days)) {
		out[i] = days[from]
		out[i].Start = days[i].Start
	}
	return out
}
