package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// both are the product's monitors at both budgets.
func both(season models.Season, claims bool) (rules []contender) {
	for _, budget := range budgets() {
		rules = append(rules, monitor(budget, season, claims))
	}
	return rules
}

// quiet are worlds in which nothing drifts. The product promises nothing where
// days are not exchangeable.
func (o options) quiet() []scenario {
	rules := func(claims bool) []contender { return append(both(models.SeasonNone, claims), onLosses()...) }
	seasonal := append(both(models.SeasonDayOfWeek, true), rules(false)...)
	return []scenario{
		{"independent rows, normal", world{Normal: true}, rules(true), o.runs},
		{"days like the flights'", world{Day: perDay}, rules(true), o.runs},
		{"few very bad days", world{Day: perDay, Skewed: true}, rules(true), o.runs},
		{"20 to 1000 rows a day", world{Day: perDay, Varying: true}, rules(true), o.runs},
		{"day of the week, 3 × the flights'", world{Day: perDay, Season: 3}, seasonal, o.runs},
		{"days remember, correlation 0.25", world{Day: perDay, Memory: 0.25}, rules(false), o.runs},
		{"days remember, correlation 0.7", world{Day: perDay, Memory: 0.7}, rules(false), o.runs},
	}
}

// changing are worlds in which the loss rises on day 120.
func (o options) changing() (all []scenario) {
	rules := append(both(models.SeasonNone, true), onLosses()...)
	for _, shift := range []float64{0.2, 0.5, 1, 2} {
		all = append(all, scenario{fmt.Sprintf("+%.3gσ", shift), world{Day: perDay, Shift: shift}, rules, o.runs})
	}
	return append(all, scenario{"+1σ over 90 days", world{Day: perDay, Shift: 1, Ramp: 90}, rules, o.runs})
}

// inputs are worlds in which some rules look at the inputs instead. They cost
// more, and get a quarter of the years.
func (o options) inputs() []scenario {
	rules := append(both(models.SeasonNone, true), onInputs()...)
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
