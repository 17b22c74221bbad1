package infer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// Source is what is known of a source whose columns nobody has named yet.
type Source struct {
	// Data has Source, and Format, CSV and Columns as the files were read with.
	Data    models.DataSpec
	Profile profile.SideProfile // of all rows, the columns in the files' order
	Files   int
	// Unfit are columns that no section can name: not all files have them, or their
	// type is of no use.
	Unfit []string
	// Bad are values that were read as none: they are not of their column's type.
	Bad []dataset.BadValues
	// Delimited: data.csv.delimiter was found out, not said.
	Delimited bool
	// Now decides whether the source is one that goes on.
	Now time.Time
}

// Settled is what a person has said; empty: guess.
type Settled struct{ Time, Key, Label string }

// Guess is a data section with the reasons for what it says.
type Guess struct {
	Data   models.DataSpec
	source Source
	// why has reasons by field (label) or column (columns.carrier).
	why  map[string]string
	keys []string // candidates, the best first
	// inWindow is about how many rows the window has with an outcome.
	inWindow float64
}

// Draft guesses roles from the columns one by one. It fails with KindInvalidSpec
// when there is nothing to choose from, or what is settled is not there.
func Draft(source Source, settled Settled) (Guess, error) {
	source.Profile.Columns = keep(source.Profile.Columns, func(c profile.Column) bool { return !slices.Contains(source.Unfit, c.Name) })
	g := Guess{Data: source.Data, source: source, why: map[string]string{}}
	if len(source.Unfit) > 0 {
		g.why["columns"] = "not in all files, or of no use, and left out: " + strings.Join(source.Unfit, ", ")
	}
	if source.Delimited {
		g.why["delimiter"] = "else there is one column only"
	}
	if source.Profile.Rows == 0 {
		return g, g.fail("data.source", "the source has no rows", "name files with rows")
	}
	for role, name := range map[string]string{"time": settled.Time, "key": settled.Key, "label": settled.Label} {
		if name != "" && source.Profile.Column(name) == nil {
			return g, g.missing(role, name)
		}
	}
	g.personal()
	for _, choose := range []func(Settled) error{g.chooseTime, g.chooseKey, g.chooseLabel} {
		if err := choose(settled); err != nil {
			return g, err
		}
	}
	g.chooseLabelTime()
	g.chooseFeatures()
	g.describeColumns()
	g.Data.Checks.Unique = g.keys
	return g, nil
}

// Hold drops what the rows contradict: evidence is of a pass with the draft's
// roles, repeats has the rows that repeat a value of a candidate for the key.
func (g Guess) Hold(evidence profile.Evidence, repeats map[string]int64) Guess {
	g.holdKey(repeats)
	g.holdLabelTime(evidence)
	g.holdFeatures(evidence)
	g.Data.Checks.Unique = nil // the key, by default
	g.window()
	g.limits()
	g.shrink()
	return g
}

func (g *Guess) fail(subject, message, hint string) error {
	return &models.Error{Kind: models.KindInvalidSpec, Subject: subject, Message: message, Hint: hint}
}

func (g *Guess) missing(role, name string) error {
	names := g.names(func(*profile.Column) bool { return true })
	message := fmt.Sprintf("there is no column %q", name)
	if near := models.Nearest(name, names); near != "" {
		message += fmt.Sprintf(", did you mean %q?", near)
	}
	return g.fail("--"+role, message, "the source has "+strings.Join(names, ", "))
}

// names are the columns of which something holds, in the files' order.
func (g *Guess) names(holds func(*profile.Column) bool) (names []string) {
	for i := range g.source.Profile.Columns {
		if c := &g.source.Profile.Columns[i]; holds(c) {
			names = append(names, c.Name)
		}
	}
	return names
}

func (g *Guess) column(name string) *profile.Column { return g.source.Profile.Column(name) }

// chooseTime takes the earliest time of a row: what became known later is later.
func (g *Guess) chooseTime(settled Settled) error {
	times := g.names(func(c *profile.Column) bool { return c.Type == dataset.TypeTimestamp && c.Nulls < c.Rows })
	switch {
	case settled.Time != "":
		if c := g.column(settled.Time); c.Type != dataset.TypeTimestamp {
			return g.fail("--time", fmt.Sprintf("column %q is of type %s, not a time", c.Name, c.Type), "name a column of times, or write it as one")
		}
		g.Data.Time = settled.Time
		return nil
	case len(times) == 0:
		return g.fail("data.time", "no column has times", "write the event time of each row as a timestamp; numbers count as times where data.columns says so (--time settles it for text files)")
	}
	byNulls := func(name string) bool { return g.column(name).Nulls == 0 }
	if full := keep(times, byNulls); len(full) > 0 {
		times = full
	}
	first := slices.MinFunc(times, func(a, b string) int {
		return cmp.Compare(g.column(a).Numbers.Mean, g.column(b).Numbers.Mean)
	})
	g.Data.Time = first
	g.why["time"] = "the only column of times"
	if len(times) > 1 {
		g.why["time"] = "a guess: the earliest of " + strings.Join(times, ", ")
	}
	return nil
}

// mostKeys is how many candidates the second pass looks at.
const mostKeys = 3

// chooseKey takes columns that have as many values as rows.
func (g *Guess) chooseKey(settled Settled) error {
	if settled.Key != "" {
		if c := g.column(settled.Key); c.Type != dataset.TypeString && c.Type != dataset.TypeInt64 {
			return g.fail("--key", fmt.Sprintf("column %q is of type %s; a key is a string or an int64", c.Name, c.Type), "")
		}
		g.Data.Key, g.keys = settled.Key, []string{settled.Key}
		return nil
	}
	keys := g.names(func(c *profile.Column) bool {
		return (c.Type == dataset.TypeString || c.Type == dataset.TypeInt64) && c.Nulls == 0 && mayBeUnique(c)
	})
	if len(keys) == 0 {
		return g.fail("data.key", "no column tells rows apart", "add one that identifies a row, or name one with --key")
	}
	slices.SortStableFunc(keys, func(a, b string) int { return g.keyRank(a) - g.keyRank(b) })
	g.keys = keys[:min(len(keys), mostKeys)]
	g.Data.Key = keys[0]
	return nil
}

// mayBeUnique allows for four standard errors of an estimate.
func mayBeUnique(c *profile.Column) bool {
	v := c.Values
	if v == nil || c.Rows == 0 {
		return c.Sensitive
	}
	return float64(v.Distinct) >= float64(c.Rows)*(1-4*v.Error)
}

// keyRank puts names of keys first, and what says something about people last.
func (g *Guess) keyRank(name string) int {
	switch words := wordsOf(name); {
	case g.Data.Columns[name].Sensitive != "":
		return 3
	case name == "id" || name == "key" || name == "uuid":
		return 0
	case slices.ContainsFunc(words, func(w string) bool { return w == "id" || w == "key" || w == "uuid" || w == "guid" }):
		return 1
	default:
		return 2
	}
}

// holdKey takes the first candidate without repeats.
func (g *Guess) holdKey(repeats map[string]int64) {
	for _, name := range g.keys {
		if repeats[name] == 0 {
			g.Data.Key = name
			g.why["key"] = fmt.Sprintf("no value repeats in %d rows", g.source.Profile.Rows)
			return
		}
	}
	g.why["key"] = fmt.Sprintf("a guess: %d rows repeat a value; the check unique stops on them", repeats[g.Data.Key])
}

func keep[T any](all []T, holds func(T) bool) (some []T) {
	for _, v := range all {
		if holds(v) {
			some = append(some, v)
		}
	}
	return some
}

// wordsOf cuts a name where words begin: customerID, customer_id and
// customer-id are customer and id.
func wordsOf(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		switch {
		case r >= 'A' && r <= 'Z':
			if lower {
				b.WriteByte(' ')
			}
			b.WriteRune(r + 'a' - 'A')
			lower = false
		case r == '_' || r == '-' || r == '.' || r == ' ':
			b.WriteByte(' ')
			lower = false
		default:
			b.WriteRune(r)
			lower = true
		}
	}
	return strings.Fields(b.String())
}

// TimeFormatOf is how numbers of this size count time, if they are of this
// century.
func TimeFormatOf(largest float64) models.TimeFormat {
	switch {
	case largest >= 1e14:
		return models.TimeUnixMicros
	case largest >= 1e11:
		return models.TimeUnixMillis
	default:
		return models.TimeUnix
	}
}
