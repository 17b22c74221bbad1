package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// quiet are worlds in which nothing drifts. The product promises nothing where
// blocks are not exchangeable.
func (o options) quiet() []scenario {
	rules := func(sets ...setting) (all []contender) {
		for _, set := range sets {
			all = append(all, monitors(set)...)
		}
		return append(all, onLosses()...)
	}
	plain := rules(setting{claims: true}, setting{season: models.SeasonNone, claims: true})
	seasonal := rules(setting{claims: true}, setting{season: models.SeasonNone})
	long := rules(setting{}, setting{days: 7})
	return []scenario{
		{"independent rows, normal", world{Normal: true}, plain, o.runs},
		{"days like the flights'", world{Day: perDay}, plain, o.runs},
		{"few very bad days", world{Day: perDay, Skewed: true}, plain, o.runs},
		{"20 to 1000 rows a day", world{Day: perDay, Varying: true}, plain, o.runs},
		{"day of the week, 3 × the flights'", world{Day: perDay, Season: 3}, seasonal, o.runs},
		{"days remember, correlation 0.25", world{Day: perDay, Memory: 0.25}, long, o.runs},
		{"days remember, correlation 0.7", world{Day: perDay, Memory: 0.7}, long, o.runs},
	}
}

// changing are worlds in which the loss rises on day 120. Half of the years tell
// enough of the delays.
func (o options) changing() (all []scenario) {
	rules := slices.Concat(monitors(setting{claims: true}), monitors(setting{season: models.SeasonNone, claims: true}), monitors(setting{days: 7, claims: true}), onLosses())
	runs := max(o.runs/2, 1)
	for _, shift := range []float64{0.2, 0.5, 1, 2} {
		all = append(all, scenario{fmt.Sprintf("+%.3gσ", shift), world{Day: perDay, Shift: shift}, rules, runs})
	}
	return append(all, scenario{"+1σ over 90 days", world{Day: perDay, Shift: 1, Ramp: 90}, rules, runs})
}

// inputs are worlds in which some rules look at the inputs instead. They cost
// more, and get a quarter of the years.
func (o options) inputs() []scenario {
	rules := append(monitors(setting{claims: true}), onInputs()...)
	runs := max(o.runs/4, 1)
	return []scenario{
		{"nothing changes, independent rows", world{Normal: true, Inputs: true}, rules, runs},
		{"nothing changes, days stray", world{Day: perDay, Inputs: true}, rules, runs},
		{"the inputs move by 0.5σ, the loss does not", world{Day: perDay, Inputs: true, InputShift: 0.5}, rules, runs},
		{"the loss rises by 1σ, the inputs stay", world{Day: perDay, Inputs: true, Shift: 1}, rules, runs},
	}
}

// playAll plays scenarios in order.
func (o options) playAll(scenarios []scenario, progress io.Writer) (played []Played) {
	for _, s := range scenarios {
		played = append(played, s.play(o.seed, progress))
	}
	return played
}

// broken counts the promises that were not kept.
func broken(report Report) (n int) {
	for _, p := range slices.Concat(report.Quiet, report.Changing, report.Inputs) {
		for _, o := range p.Outcomes {
			if o.Promise == PromiseBroken {
				n++
			}
		}
	}
	for _, f := range report.Flights.Outcomes {
		if f.Promise == PromiseBroken {
			n++
		}
	}
	return n
}
