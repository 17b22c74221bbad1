package main

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// The budgets of every row.
const (
	alpha     = 0.01 // false rollback
	beta      = 0.05 // false promotion
	tolerance = 0.5
	normal95  = 1.6448536269514722
)

// Table is one comparison.
type Table struct {
	Title string `json:"title"`
	Note  string `json:"note"`
	Rows  []Row  `json:"rows"`
}

// Row is one world and what each rule did in it.
type Row struct {
	Case string `json:"case"`
	// Budget is that of the decision counted here, which is false in this world;
	// 0: it is right, and the rates are power.
	Budget   float64   `json:"budget,omitempty"`
	World    any       `json:"world"`
	Outcomes []Outcome `json:"outcomes"`
}

// plain is the world of most rows.
func plain(base, ratio float64) world {
	return world{Base: base, Ratio: ratio, Weight: 0.5, Rate: 1200, Minutes: 60}
}

func (w world) noisy(deviation float64) world { w.Noise = deviation; return w }
func (w world) at(weight float64) world       { w.Weight = weight; return w }

// form is the spec of a judge that compares only: no rate of errors is safe in
// itself.
func form(evidence models.CanaryEvidence) models.CanarySpec {
	return models.CanarySpec{
		Steps: []float64{50}, Evidence: evidence, FalseAlarm: alpha, FalsePass: beta, Tolerance: tolerance, MaxErrorRate: 1e-9,
	}
}

// both forms of the product's judge. That by request promises nothing where an
// arm strays by itself.
func both(w world, promotes bool, spec func(models.CanaryEvidence) models.CanarySpec) []contender[minute] {
	alone := w.Noise > 0 || w.Outages > 0 || w.Champion > 0
	return []contender[minute]{
		{name: "blocks", claims: w.Champion == 0, open: func() rule[minute] { return newOurs(spec(models.EvidenceBlocks), w.Weight, promotes) }},
		{name: "requests", claims: !alone, open: func() rule[minute] { return newOurs(spec(models.EvidenceRequests), w.Weight, promotes) }},
	}
}

// others compare a value per minute, or the totals.
func others(of value, limit, factor float64) []contender[minute] {
	return []contender[minute]{
		{name: "Kayenta-like, at 60", open: func() rule[minute] { return &kayenta{of: of, every: 60} }},
		{name: "Kayenta-like, every 10", open: func() rule[minute] { return &kayenta{of: of, every: 10} }},
		{name: "Flagger-like", open: func() rule[minute] { return &flagger{of: of, limit: limit} }},
		{name: fmt.Sprintf("> %.3g× champion", factor), open: func() rule[minute] { return &ratio{of: of, factor: factor} }},
	}
}

func errorRules(w world) []contender[minute] {
	return append(append(both(w, false, form), others(arm.rate, 0.01, 1.2)...),
		contender[minute]{name: "z-test, peeked", open: func() rule[minute] { return &peeked{} }})
}

func (o options) rollbacks(name string, w world, budget float64) Row {
	return Row{Case: name, Budget: budget, World: w, Outcomes: play(w.simulate, errorRules(w), o, budget)}
}

func (o options) promotions(name string, w world, budget float64) Row {
	return Row{Case: name, Budget: budget, World: w, Outcomes: play(w.simulate, both(w, true, form), o, budget)}
}

// tables are all comparisons, in the order of the document.
func (o options) tables() []Table {
	return []Table{o.errors(), o.promotion(), o.noise(), o.small(), o.gross(), o.latency(), o.quality()}
}

func (o options) errors() Table {
	t := Table{Title: "Errors: rolled back within an hour", Note: "600 requests a minute and arm; what moves both arms alike has σ = 0.25 a minute."}
	for _, c := range []struct {
		base, ratio, budget float64
	}{{0.001, 1, alpha}, {0.005, 1, alpha}, {0.01, 1, alpha}, {0.001, 2, 0}, {0.001, 3, 0}, {0.005, 1.5, 0}, {0.01, 1.25, 0}} {
		t.Rows = append(t.Rows, o.rollbacks(fmt.Sprintf("%.1f %%, ×%.4g", 100*c.base, c.ratio), plain(c.base, c.ratio), c.budget))
	}
	storms := plain(0.01, 1)
	storms.Storms = 0.05
	t.Rows = append(t.Rows, o.rollbacks("1.0 %, ×1, storms of 20× the errors hit both", storms, alpha))
	return t
}

func (o options) promotion() Table {
	t := Table{Title: "Errors: proven safe within an hour", Note: "A canary with 1.5 times the errors is what the tolerance calls a regression: it must not be promoted."}
	for _, base := range []float64{0.001, 0.005, 0.01} {
		t.Rows = append(t.Rows, o.promotions(fmt.Sprintf("%.1f %%, ×1.5", 100*base), plain(base, 1+tolerance), beta))
	}
	for _, base := range []float64{0.001, 0.005, 0.01} {
		t.Rows = append(t.Rows, o.promotions(fmt.Sprintf("%.1f %%, ×1", 100*base), plain(base, 1), 0))
	}
	return t
}

func (o options) noise() Table {
	t := Table{Title: "Errors, when each arm strays by itself", Note: "1 % errors. Where the arms stray differently they are not exchangeable, and nobody promises anything."}
	outages := plain(0.01, 1)
	outages.Outages = 0.03
	uneven := plain(0.01, 1)
	uneven.Noise, uneven.Champion = 0.2, 0.5
	t.Rows = append(t.Rows,
		o.rollbacks("×1, σ = 0.5", plain(0.01, 1).noisy(0.5), alpha),
		o.rollbacks("×1, σ = 1", plain(0.01, 1).noisy(1), alpha),
		o.rollbacks("×1, outages of one arm", outages, alpha),
		o.rollbacks("×1, σ = 0.5, a tenth of the traffic", plain(0.01, 1).noisy(0.5).at(0.1), alpha),
		o.rollbacks("×1, canary σ = 0.2, champion σ = 0.5", uneven, alpha),
		o.rollbacks("×1.5, σ = 0.5", plain(0.01, 1.5).noisy(0.5), 0),
		o.promotions("safe: ×1.5, σ = 0.5", plain(0.01, 1.5).noisy(0.5), beta),
		o.promotions("safe: ×1.5, σ = 0.5, a tenth of the traffic", plain(0.01, 1.5).noisy(0.5).at(0.1), beta),
		o.promotions("safe: ×1, σ = 0.5", plain(0.01, 1).noisy(0.5), 0))
	return t
}

func (o options) small() Table {
	t := Table{Title: "Errors at a tenth of the traffic", Note: "1200 requests a minute, 120 of them the canary's."}
	t.Rows = append(t.Rows,
		o.rollbacks("1 %, ×1", plain(0.01, 1).at(0.1), alpha),
		o.rollbacks("0.1 %, ×3", plain(0.001, 3).at(0.1), 0),
		o.rollbacks("1 %, ×1.5", plain(0.01, 1.5).at(0.1), 0),
		o.rollbacks("1 %, ×3", plain(0.01, 3).at(0.1), 0),
		o.promotions("safe: 1 %, ×1.5", plain(0.01, 1.5).at(0.1), beta),
		o.promotions("safe: 1 %, ×1", plain(0.01, 1).at(0.1), 0))
	return t
}

// defaults is the judge as a spec without settings has it.
func defaults(evidence models.CanaryEvidence) models.CanarySpec {
	return models.CanarySpec{Evidence: evidence}
}

func (o options) gross() Table {
	t := Table{Title: "Errors, with the default limits", Note: "Two steps planned, the first at a tenth of 1200 requests a minute; at most 2 % of errors are safe whatever the champion does."}
	for _, c := range []struct {
		name                string
		base, ratio, budget float64
		promotes            bool
	}{
		{"0.1 %, ×20", 0.001, 20, 0, false},
		{"0.1 %, ×100", 0.001, 100, 0, false},
		{"0.1 %, all fail", 0.001, 1000, 0, false},
		{"both arms at 3 %", 0.03, 1, alpha, false},
		{"safe: both arms at 0.1 %", 0.001, 1, 0, true},
		{"safe: 3 %, champion 2 %", 0.02, 1.5, beta, true},
	} {
		w := plain(c.base, c.ratio).at(0.1)
		t.Rows = append(t.Rows, Row{Case: c.name, Budget: c.budget, World: w, Outcomes: play(w.simulate, both(w, c.promotes, defaults), o, c.budget)})
	}
	return t
}

// fast is the spec of a judge of slow answers, whose limit is the champion's
// P99.
func fast(evidence models.CanaryEvidence) models.CanarySpec {
	spec := form(evidence)
	spec.Latency = &models.LatencySpec{SLO: models.Duration(slowAbove() * float64(time.Millisecond)), Tolerance: tolerance, MaxRate: 1e-9}
	return spec
}

func (o options) latency() Table {
	t := Table{Title: "Latency: rolled back within an hour", Note: "Log-normal with σ = 0.8; slow is what is above the champion's P99. Our judge judges errors (0.5 %) too, and half of the budget is for each."}
	o.runs = max(o.runs/5, 1)
	for _, c := range []struct {
		name          string
		slower, noise float64
		budget        float64
	}{
		{"×1", 1, 0, alpha}, {"×1, each arm strays, σ = 0.1", 1, 0.1, alpha}, {"×1.1", 1.1, 0, 0}, {"×1.2", 1.2, 0, 0}, {"×1.3, each arm strays, σ = 0.1", 1.3, 0.1, 0},
	} {
		w := plain(0.005, 1).noisy(c.noise)
		w.Slower = c.slower
		rules := append(both(w, false, fast), others(arm.p99, slowAbove()*1.25, 1.05)...)
		t.Rows = append(t.Rows, Row{Case: c.name, Budget: c.budget, World: w, Outcomes: play(w.simulate, rules, o, c.budget)})
	}
	return t
}

func (o options) quality() Table {
	t := Table{Title: "Quality on labels: decided within a week", Note: "Mean loss 0.4, tolerance 0.05, 300 labels an hour of both arms. Looks are hours. Half of the budget is for errors."}
	week := labelled{Labels: 300, Weight: 0.5, Hours: 168}
	for _, c := range []struct {
		name     string
		change   func(*labelled)
		promotes bool
		budget   float64
	}{
		{"pairs, no shift", func(w *labelled) { w.Paired = true }, false, alpha},
		{"pairs, +0.02", func(w *labelled) { w.Paired, w.Shift = true, 0.02 }, false, 0},
		{"halves, no shift", func(*labelled) {}, false, alpha},
		{"a tenth, no shift", func(w *labelled) { w.Weight = 0.1 }, false, alpha},
		{"halves, few labels, no shift", func(w *labelled) { w.Labels = 20 }, false, alpha},
		{"halves, +0.05", func(w *labelled) { w.Shift = 0.05 }, false, 0},
		{"a tenth, +0.1", func(w *labelled) { w.Weight, w.Shift = 0.1, 0.1 }, false, 0},
		{"safe: pairs, +0.05", func(w *labelled) { w.Paired, w.Shift = true, 0.05 }, true, beta},
		{"safe: halves, +0.05", func(w *labelled) { w.Shift = 0.05 }, true, beta},
		{"safe: a tenth, +0.05", func(w *labelled) { w.Weight, w.Shift = 0.1, 0.05 }, true, beta},
		{"safe: halves, few labels, +0.05", func(w *labelled) { w.Labels, w.Shift = 20, 0.05 }, true, beta},
		{"safe: pairs, no shift", func(w *labelled) { w.Paired = true }, true, 0},
		{"safe: halves, no shift", func(*labelled) {}, true, 0},
		{"safe: a tenth, no shift", func(w *labelled) { w.Weight = 0.1 }, true, 0},
	} {
		w := week
		c.change(&w)
		rules := []contender[models.LossBlock]{{name: "blocks", claims: true, open: func() rule[models.LossBlock] { return newQuality(0.05, c.promotes) }}}
		if !c.promotes {
			rules = append(rules, contender[models.LossBlock]{name: "test on rows, peeked", open: func() rule[models.LossBlock] { return &rows{} }})
		}
		t.Rows = append(t.Rows, Row{Case: c.name, Budget: c.budget, World: w, Outcomes: play(w.simulate, rules, o, c.budget)})
	}
	return t
}
