package dataset

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Keys of the tallies in a Summary beside the columns' own,
// which cover the window's known rows on both sides.
const (
	trainPrefix  = "train:"  // the column's training rows; labels as numbers, see Labels
	testPrefix   = "test:"   // its held-out rows
	sourcePrefix = "source:" // the time column over the whole partition

	// Tallies whose Rows count offending rows.
	otherLabels   = "check:other_labels"   // a label that the task does not know
	earlyLabels   = "check:early_labels"   // a label known before its event
	duplicateKeys = "check:duplicate_keys" // a key that an earlier row has
)

// Summary is what was found in a partition. Summaries merge: counts add up,
// files are appended.
type Summary struct {
	Columns []models.Column       `json:"columns"`
	Files   []models.SnapshotFile `json:"files"`   // none when the window misses the partition
	Rows    int64                 `json:"rows"`    // read inside the window
	Unknown int64                 `json:"unknown"` // left out: label not known at AsOf
	Tallies map[string]Tally      `json:"tallies"` // by column
}

// Tally counts what the checks need to know about one column.
type Tally struct {
	Rows  int64    `json:"rows"`
	Nulls int64    `json:"nulls"`
	Min   *float64 `json:"min,omitempty"` // numbers, and times as Unix seconds
	Max   *float64 `json:"max,omitempty"`
	// Example is one of the values that a check counts, the first in the order
	// of bytes.
	Example string `json:"example,omitempty"`
}

// tally counts some rows of a column. NaN counts as null.
func tally(s *Series, rows []int) Tally {
	if s.Type != TypeString {
		return tallyNumbers(rows, s.Number)
	}
	t := Tally{Rows: int64(len(rows))}
	for _, row := range rows {
		if s.IsNull(row) {
			t.Nulls++
		}
	}
	return t
}

// tallyNumbers counts rows by their numbers; a row without one is a null.
func tallyNumbers(rows []int, number func(row int) (float64, bool)) Tally {
	t := Tally{Rows: int64(len(rows))}
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range rows {
		v, ok := number(row)
		if !ok {
			t.Nulls++
			continue
		}
		low, high = min(low, v), max(high, v)
	}
	if low <= high {
		t.Min, t.Max = finite(low), finite(high)
	}
	return t
}

// finite bounds infinities, which JSON can't carry.
func finite(v float64) *float64 {
	v = max(-math.MaxFloat64, min(math.MaxFloat64, v))
	return &v
}

// Merge joins the summaries of two groups of partitions. It is commutative
// and associative, and neither input is changed. Partitions with other column
// types stay visible as a second set of columns: see CheckColumns.
func Merge(a, b Summary) Summary {
	out := Summary{
		Columns: mergeColumns(a.Columns, b.Columns),
		Files:   slices.Concat(a.Files, b.Files),
		Rows:    a.Rows + b.Rows,
		Unknown: a.Unknown + b.Unknown,
		Tallies: make(map[string]Tally, max(len(a.Tallies), len(b.Tallies))),
	}
	slices.SortFunc(out.Files, func(x, y models.SnapshotFile) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(x.SHA256, y.SHA256))
	})
	maps.Copy(out.Tallies, a.Tallies)
	for name, t := range b.Tallies {
		out.Tallies[name] = mergeTally(out.Tallies[name], t)
	}
	return out
}

func mergeTally(a, b Tally) Tally {
	return Tally{
		Rows:  a.Rows + b.Rows,
		Nulls: a.Nulls + b.Nulls,
		Min:   bound(a.Min, b.Min, func(x, y float64) float64 { return min(x, y) }),
		Max:   bound(a.Max, b.Max, func(x, y float64) float64 { return max(x, y) }),

		Example: firstExample(a.Example, b.Example),
	}
}

// firstExample knows no order of its arguments; empty is none.
func firstExample(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

func bound(a, b *float64, choose func(float64, float64) float64) *float64 {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	v := choose(*a, *b)
	return &v
}

// mergeColumns keeps one entry per distinct column; a column that has two
// types has two entries, in the order of their types.
func mergeColumns(a, b []models.Column) []models.Column {
	if len(a) == 0 {
		return b
	}
	out := slices.Clone(a)
	for _, c := range b {
		if slices.Contains(out, c) {
			continue
		}
		at := slices.IndexFunc(out, func(o models.Column) bool { return o.Name == c.Name })
		switch {
		case at < 0:
			out = append(out, c)
		case c.Type < out[at].Type:
			out = slices.Insert(out, at, c)
		default:
			out = slices.Insert(out, at+1, c)
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
