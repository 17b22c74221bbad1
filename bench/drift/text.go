package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeReport writes Markdown, which reads well in a terminal too.
func writeReport(out io.Writer, r Report) {
	fmt.Fprintf(out, "%d years of each world, seed %d: %d known days, then %d watched ones. In brackets: the 95 %% interval\n", r.Runs, r.Seed, r.Reference, r.Days)
	fmt.Fprintf(out, "(Clopper and Pearson). A promise is broken when all of its interval is above the budget. Other rules\nplay the first quarter of the years.\n")
	writeCalibration(out, r)
	writeOthers(out, r)
	writeDelays(out, r)
	writeInputs(out, r)
	writeFlights(out, r.Flights)
	fmt.Fprintf(out, "\nPromises broken: %d.\n", r.Broken)
}

// ours is whether the outcome is that of the product.
func (o Outcome) ours() bool { return strings.HasPrefix(o.Rule, "Mainspring") }

// writeCalibration is about the product alone.
func writeCalibration(out io.Writer, r Report) {
	fmt.Fprintf(out, "\n**No drift: years with any alarm of Mainspring's monitor.**\n\n| | monitor | promised | years with an alarm | alarms a year |\n|---|---|---|---|---|\n")
	for _, p := range r.Quiet {
		for _, o := range p.Outcomes {
			if !o.ours() {
				continue
			}
			promise := "nothing"
			if o.Budget > 0 {
				promise = "≤ " + percent(o.Budget)
			}
			rate := fmt.Sprintf("%s (%s to %s)", percent(o.Rate), percent(o.Low), percent(o.High))
			if o.Promise == PromiseBroken {
				rate = "**" + rate + ", broken**"
			}
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", p.Case, o.Rule, promise, rate, number(o.PerYear))
		}
	}
}

// writeOthers has a line for each rule and a column for each quiet world.
func writeOthers(out io.Writer, r Report) {
	fmt.Fprintf(out, "\n**No drift, the same years: years with any alarm, and alarms a year.**\n\n")
	header(out, r.Quiet)
	for _, first := range r.Quiet[0].Outcomes {
		line(out, first, r.Quiet, func(o Outcome) string {
			return percent(o.Rate) + ", " + number(o.PerYear)
		})
	}
}

// writeDelays has a line for each rule and a column for each shift.
func writeDelays(out io.Writer, r Report) {
	fmt.Fprintf(out, "\n**The mean loss rises on day %d: found within the year, days until then in the median and in nine\nof ten years.** Days stray like the flights', σ is the deviation of their means. “–”: not within the\nyear. The second column is how many of the %d years had an alarm before the rise.\n\n", r.Change, r.Changing[0].Outcomes[0].Runs)
	fmt.Fprintf(out, "| rule, on what | alarm before |")
	for _, p := range r.Changing {
		fmt.Fprintf(out, " %s |", p.Case)
	}
	fmt.Fprintf(out, "\n|---|---|%s\n", strings.Repeat("---|", len(r.Changing)))
	for _, first := range r.Changing[0].Outcomes {
		fmt.Fprintf(out, "| %s, %s | %s |", first.Rule, first.Sees, percent(first.Rate))
		for _, p := range r.Changing {
			o, _ := p.outcome(first)
			fmt.Fprintf(out, " %s |", delay(o.Delays))
		}
		fmt.Fprintln(out)
	}
}

func delay(d *Delays) string {
	if d == nil {
		return ""
	}
	days := func(n int) string {
		if n == 0 {
			return "–"
		}
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s, %s, %s", percent(d.Found), days(d.Median), days(d.Late))
}

func writeInputs(out io.Writer, r Report) {
	fmt.Fprintf(out, "\n**Rules on %d inputs of rows (%d years).** Years with an alarm, and alarms a year; where something\nmoves on day %d, years with an alarm before it, then found as above.\n\n", inputColumns, r.Inputs[0].Outcomes[0].Runs, r.Change)
	header(out, r.Inputs)
	for _, first := range r.Inputs[0].Outcomes {
		line(out, first, r.Inputs, func(o Outcome) string {
			if o.Delays != nil {
				return percent(o.Rate) + "; " + delay(o.Delays)
			}
			return percent(o.Rate) + ", " + number(o.PerYear)
		})
	}
}

func header(out io.Writer, worlds []Played) {
	fmt.Fprint(out, "| rule, on what |")
	for _, p := range worlds {
		fmt.Fprintf(out, " %s |", p.Case)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(worlds)))
}

func line(out io.Writer, first Outcome, worlds []Played, cell func(Outcome) string) {
	fmt.Fprintf(out, "| %s, %s |", first.Rule, first.Sees)
	for _, p := range worlds {
		text := "" // the rule did not play there
		if o, ok := p.outcome(first); ok {
			text = cell(o)
		}
		fmt.Fprintf(out, " %s |", text)
	}
	fmt.Fprintln(out)
}

// outcome is that of the same rule on the same sight.
func (p Played) outcome(of Outcome) (Outcome, bool) {
	i := slices.IndexFunc(p.Outcomes, func(o Outcome) bool { return o.Rule == of.Rule && o.Sees == of.Sees })
	if i < 0 {
		return Outcome{}, false
	}
	return p.Outcomes[i], true
}

func writeFlights(out io.Writer, f Flights) {
	fmt.Fprintf(out, "\n**The flights of 2013: daily mean log-loss of a model of January and February.** All\nrules see the daily losses, the first %d days as reference. In the real order the loss rises in June;\nthe %d permutations of all days have no drift.\n\n", f.Reference, f.Permutations)
	fmt.Fprintf(out, "| rule | first alarm, real order | alarms, real order | permutations with an alarm |\n|---|---|---|---|\n")
	for _, o := range f.Outcomes {
		first, rate := o.First, fmt.Sprintf("%s (%s to %s)", percent(o.Rate), percent(o.Low), percent(o.High))
		if first == "" {
			first = "none"
		}
		if o.Promise == PromiseBroken {
			rate = "**" + rate + ", broken**"
		}
		fmt.Fprintf(out, "| %s | %s | %d | %s |\n", o.Rule, first, o.Alarms, rate)
	}
}

// number has two digits, or all before the point.
func number(n float64) string {
	if n >= 10 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.2g", n)
}

func percent(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }
