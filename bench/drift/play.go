package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

// Played is one world and what each rule did in it.
type Played struct {
	Case     string    `json:"case"`
	World    world     `json:"world"`
	Outcomes []Outcome `json:"outcomes"`
}

// Outcome is what one rule did in the years of a world.
type Outcome struct {
	Rule string `json:"rule"`
	Sees sight  `json:"sees"`
	Runs int    `json:"runs"` // the first so many years
	// Alarmed counts the years with an alarm without reason: at any time, or
	// before the change where there is one. Rate is their share, Low and High its
	// 95 % interval (Clopper and Pearson).
	Alarmed int     `json:"alarmed"`
	Rate    float64 `json:"rate"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	// PerYear is the mean number of these alarms, by 365 days.
	PerYear float64 `json:"per_year"`
	// Budget is the promised probability of any such alarm; 0: none.
	Budget  float64 `json:"budget,omitempty"`
	Promise Promise `json:"promise,omitempty"`
	// Delays is about the first alarm from the change on, whatever was before;
	// nil: nothing changes.
	Delays *Delays `json:"delays,omitempty"`
}

// Delays is how soon a change was seen. Median and Late are days, from 1, of
// all years; 0: not seen in half, or nine tenths, of them.
type Delays struct {
	Found  float64 `json:"found"` // share of the years
	Median int     `json:"median_days,omitempty"`
	Late   int     `json:"late_days,omitempty"` // nine of ten are no later
}

// Promise says what became of a rule's promise: it is kept while the lower end
// of the interval is within the budget.
type Promise string

// The states of a promise.
const (
	PromiseKept   Promise = "kept"
	PromiseBroken Promise = "broken"
)

// scenario is a row of the tables before it is played.
type scenario struct {
	name  string
	world world
	rules []contender
	runs  int
}

// play runs all rules on the same streams. The same seed gives the same, however
// many cores there are.
func (s scenario) play(seed uint64, progress io.Writer) Played {
	years := make([][][]int, len(s.rules)) // alarms by rule and run
	for i := range years {
		years[i] = make([][]int, s.rules[i].of(s.runs))
	}
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for run := worker; run < s.runs; run += workers {
				stream := s.world.simulate(rand.New(rand.NewPCG(seed, uint64(run))))
				for i, rule := range s.rules {
					if run < len(years[i]) {
						years[i][run] = rule.alarms(stream)
					}
				}
			}
		})
	}
	group.Wait()
	played := Played{Case: s.name, World: s.world}
	changes := s.world.Shift != 0 || s.world.InputShift != 0
	for i, rule := range s.rules {
		played.Outcomes = append(played.Outcomes, rule.judge(years[i], changes))
	}
	fmt.Fprintf(progress, "%s: %d years\n", s.name, s.runs)
	return played
}

// of is how many of the years the rule plays. Those that promise nothing, and
// are far from it, need fewer.
func (c contender) of(years int) int {
	if c.ours {
		return years
	}
	return (years + 3) / 4
}

// judge sums up the alarms of many years.
func (c contender) judge(years [][]int, changes bool) Outcome {
	o := Outcome{Rule: c.name, Sees: c.sees, Runs: len(years), Budget: c.budget}
	quiet := watchedDays
	if changes {
		quiet = change
	}
	alarms := 0
	var delays []int
	for _, year := range years {
		before, _ := slices.BinarySearch(year, quiet)
		alarms += before
		if before > 0 {
			o.Alarmed++
		}
		if before < len(year) {
			delays = append(delays, year[before]-quiet+1)
		}
	}
	n := len(years)
	o.Rate = float64(o.Alarmed) / float64(n)
	o.PerYear = float64(alarms) / float64(n) * watchedDays / float64(quiet)
	o.Low, o.High = figures.Interval(o.Alarmed, n)
	if c.budget > 0 {
		o.Promise = PromiseKept
		if o.Low > c.budget {
			o.Promise = PromiseBroken
		}
	}
	if changes {
		o.Delays = summarise(delays, n)
	}
	return o
}

func summarise(delays []int, n int) *Delays {
	slices.Sort(delays)
	at := func(q float64) int {
		if i := int(q * float64(n)); i < len(delays) {
			return delays[i]
		}
		return 0
	}
	return &Delays{Found: float64(len(delays)) / float64(n), Median: at(0.5), Late: at(0.9)}
}
