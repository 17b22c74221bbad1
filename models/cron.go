package models

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cronField is one of a cron expression's five fields.
type cronField struct {
	name     string
	low, top int
	names    []string // of low, low+1, …; nil: numbers only
}

func cronFields() []cronField {
	return []cronField{
		{name: "minute", top: 59},
		{name: "hour", top: 23},
		{name: "day of the month", low: 1, top: 31},
		{name: "month", low: 1, top: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{name: "day of the week", top: 7, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// cronProblem says what is wrong with a cron expression; empty: nothing. It
// takes what Temporal's server takes of the classic form: *, numbers and names,
// ranges, steps and lists.
func cronProblem(text string) string {
	parts, fields := strings.Fields(text), cronFields()
	if len(parts) != len(fields) {
		return fmt.Sprintf("%q must have five fields", text)
	}
	for i, field := range fields {
		for item := range strings.SplitSeq(parts[i], ",") {
			if !field.accepts(item) {
				return fmt.Sprintf("%q has the %s %q; it must be from %d to %d, as *, a number, a range or a list, with /step if need be",
					text, field.name, item, field.low, field.top)
			}
		}
	}
	return ""
}

func (f cronField) accepts(item string) bool {
	span, step, stepped := strings.Cut(item, "/")
	if stepped {
		if n, err := strconv.Atoi(step); err != nil || n < 1 {
			return false
		}
	}
	if span == "*" {
		return true
	}
	from, to, ranged := strings.Cut(span, "-")
	low, ok := f.value(from)
	if !ranged {
		return ok
	}
	high, okToo := f.value(to)
	return ok && okToo && low <= high
}

func (f cronField) value(text string) (int, bool) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.low + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= f.low && n <= f.top
}
