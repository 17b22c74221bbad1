package textio

import (
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// guess finds the type that all the values of a column have. Counts make it the
// same in any order.
type guess struct {
	known  bool             // the type is declared
	nested int64            // the first line with a list or an object; 0: none has one
	counts map[string]int64 // values by their own type
	last   string
	run    int64 // values of the last type that are not in counts yet
	// odd is the line of the first value that is no number, time or bool.
	odd int64
}

// see takes in a value. In CSV quotes say nothing about a type. In JSON what is
// in quotes is a text, if no time, and what is not is a number, however large.
func (g *guess) see(c cell, asJSON bool, line int64) {
	t := typeOf(c.text)
	switch {
	case asJSON && c.kind == quoted && t != dataset.TypeTimestamp:
		t = dataset.TypeString
	case asJSON && c.kind == bare && t == dataset.TypeString:
		t = dataset.TypeFloat64
	}
	if t == dataset.TypeString && g.odd == 0 {
		g.odd = line
	}
	if t != g.last {
		g.settle()
		g.last = t
	}
	g.run++
}

func (g *guess) settle() {
	if g.run == 0 {
		return
	}
	if g.counts == nil {
		g.counts = map[string]int64{}
	}
	g.counts[g.last] += g.run
	g.run = 0
}

// found is the column's type. A column without values is one of strings.
func (g *guess) found() string {
	g.settle()
	types := make([]string, 0, len(g.counts))
	for t := range g.counts {
		types = append(types, t)
	}
	switch {
	case len(types) == 1:
		return types[0]
	case len(types) == 2 && g.counts[dataset.TypeInt64] > 0 && g.counts[dataset.TypeFloat64] > 0:
		return dataset.TypeFloat64
	}
	return dataset.TypeString
}

// strayShare is how many values of another type look like a mistake.
const strayShare = 0.05

// mixed says what speaks against a column of strings: nearly all of its values
// have another type. Empty: nothing does.
func (g *guess) mixed() string {
	if g.found() != dataset.TypeString {
		return ""
	}
	var all int64
	for _, n := range g.counts {
		all += n
	}
	numbers := g.counts[dataset.TypeInt64] + g.counts[dataset.TypeFloat64]
	for _, of := range []struct {
		what  string
		count int64
	}{{"numbers", numbers}, {"times", g.counts[dataset.TypeTimestamp]}, {"true or false", g.counts[dataset.TypeBool]}} {
		if of.count < all && float64(all-of.count) <= strayShare*float64(all) {
			text := fmt.Sprintf("%d of its %d values are %s, the others are not", of.count, all, of.what)
			if g.odd > 0 {
				text += fmt.Sprintf(", the first in line %d", g.odd)
			}
			return text
		}
	}
	return ""
}
