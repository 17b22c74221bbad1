package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeTables writes Markdown, which reads well in a terminal too.
func writeTables(out io.Writer, r Report) {
	fmt.Fprintf(out, "%d runs a row, seed %d. False rollback is promised to be at most %.3g %%, false promotion at most\n", r.Runs, r.Seed, 100*r.Alpha)
	fmt.Fprintf(out, "%.3g %%. In brackets: the median minute of the decision. In rows with a budget a decision is false, and ≤ is\n", 100*r.Beta)
	fmt.Fprintf(out, "the upper end of the 95 %% interval of its rate; in the others it is right.\n")
	for _, t := range r.Tables {
		fmt.Fprintf(out, "\n**%s.** %s\n\n", t.Title, t.Note)
		rules := columns(t)
		fmt.Fprintf(out, "| | budget | %s |\n|---|---|%s\n", strings.Join(rules, " | "), strings.Repeat("---|", len(rules)))
		for _, row := range t.Rows {
			fmt.Fprintf(out, "| %s | %s |", row.Case, budget(row.Budget))
			for _, rule := range rules {
				fmt.Fprintf(out, " %s |", cell(row, rule))
			}
			fmt.Fprintln(out)
		}
	}
	fmt.Fprintf(out, "\nPromises broken: %d.\n", r.Broken)
}

// columns are the rules of all rows, in the order in which they appear.
func columns(t Table) (rules []string) {
	for _, row := range t.Rows {
		for _, o := range row.Outcomes {
			if !slices.Contains(rules, o.Rule) {
				rules = append(rules, o.Rule)
			}
		}
	}
	return rules
}

func budget(b float64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.3g %%", 100*b)
}

func cell(row Row, rule string) string {
	i := slices.IndexFunc(row.Outcomes, func(o Outcome) bool { return o.Rule == rule })
	if i < 0 {
		return ""
	}
	o := row.Outcomes[i]
	text := fmt.Sprintf("%.3g %%", 100*o.Rate)
	switch {
	case o.Promise == PromiseBroken:
		return fmt.Sprintf("**%s, broken**", text)
	case o.Promise == PromiseKept:
		return fmt.Sprintf("%s (≤ %.2g %%)", text, 100*o.Upper)
	case row.Budget == 0 && o.Decided > 0:
		return fmt.Sprintf("%s (%d)", text, o.Median)
	default:
		return text
	}
}
