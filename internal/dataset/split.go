package dataset

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Spans are the two sides of a spec's window, without rows. Where a hash
// splits, each side is drawn from the whole window.
func Spans(spec models.DataSpec) (train, test models.Span) {
	to := spec.AsOf.UTC()
	from := to.Add(-spec.Window.Std())
	if spec.Split.By == models.SplitByHash {
		return models.Span{From: from, To: to}, models.Span{From: from, To: to}
	}
	cut := to.Add(-spec.Holdout.Std())
	return models.Span{From: from, To: cut}, models.Span{From: cut, To: to}
}

// Share is one partition's part of a snapshot, sorted by time and key.
type Share struct {
	Train Table
	Test  Table
	// Summary lacks Files: the share is not written yet.
	Summary Summary
}

// Division says how a partition's rows become its share.
type Division struct {
	Spec    models.DataSpec
	Columns []models.Column // of Resolve
	Key     PseudonymKey    // nil: no column has a pseudonym
}

// Split is a division without pseudonyms.
func Split(spec models.DataSpec, columns []models.Column, table Table) Share {
	return Division{Spec: spec, Columns: columns}.Of(table)
}

// Of takes a partition's share out of a table that has all the columns of
// Resolve. The sides are drawn from what the source says, so that another key
// leaves every row on its side; the order, and all that is kept, has pseudonyms.
func (d Division) Of(table Table) Share {
	sides := sort(d.Spec, table)
	columns, table := d.pseudonymise(table)
	sides.order(table.Column(d.Spec.Time), table.Column(d.Spec.Key))
	return share(d.Spec, columns, table, sides)
}

func share(spec models.DataSpec, columns []models.Column, table Table, sides sides) Share {
	kept := Kept(columns)
	summary := Summary{
		Columns: kept,
		Rows:    int64(len(sides.train) + len(sides.test)),
		Unknown: sides.unknown,
		Tallies: make(map[string]Tally, len(kept)+8),
	}
	both := slices.Concat(sides.train, sides.test)
	names := make([]string, len(kept))
	for i, c := range kept {
		names[i] = c.Name
		summary.Tallies[c.Name] = tally(table.Column(c.Name), both)
	}
	summary.Tallies[spec.Time] = mergeTally(summary.Tallies[spec.Time],
		Tally{Rows: sides.timeless, Nulls: sides.timeless})
	summary.Tallies[spec.Label] = mergeTally(summary.Tallies[spec.Label],
		Tally{Rows: sides.unlabelled, Nulls: sides.unlabelled})
	summary.Tallies[trainPrefix+spec.Time] = tally(table.Column(spec.Time), sides.train)
	summary.Tallies[testPrefix+spec.Time] = tally(table.Column(spec.Time), sides.test)
	labels, column := NewLabels(spec), table.Column(spec.Label)
	summary.Tallies[trainPrefix+spec.Label] = labels.tally(column, sides.train)
	summary.Tallies[testPrefix+spec.Label] = labels.tally(column, sides.test)
	summary.Tallies[otherLabels] = labels.others(column, both)
	summary.Tallies[earlyLabels] = Tally{Rows: sides.early}
	summary.Tallies[duplicateKeys] = Tally{Rows: countDuplicates(table.Column(spec.Key), both)}
	return Share{Train: table.Pick(names, sides.train), Test: table.Pick(names, sides.test), Summary: summary}
}

// SourceTally records which times a partition covers, so that an empty window
// can be explained. Times are Unix seconds.
func SourceTally(spec models.DataSpec, rows int64, from, to time.Time) map[string]Tally {
	t := Tally{Rows: rows}
	if rows > 0 {
		t.Min, t.Max = finite(unixSeconds(from)), finite(unixSeconds(to))
	}
	return map[string]Tally{sourcePrefix + spec.Time: t}
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// sides are row numbers.
type sides struct {
	train, test []int
	unknown     int64 // inside the window, label not known at AsOf
	early       int64 // of the known: label known before the event
	timeless    int64 // no event time, so on neither side
	unlabelled  int64 // known, but without a label: written nowhere
}

// sort puts rows on their side. With a label time, a row without one has no
// outcome yet.
func sort(spec models.DataSpec, table Table) sides {
	train, test := Spans(spec)
	from, to := train.From.UnixMicro(), test.To.UnixMicro()
	tests := sideOf(spec, table, test.From)
	times, labels, known := table.Column(spec.Time), table.Column(spec.Label), table.Column(spec.LabelTime)
	if spec.LabelTime == spec.Time {
		known = nil
	}
	reader := NewLabels(spec)
	var s sides
	for row := range table.Rows() {
		if times.IsNull(row) {
			s.timeless++
			continue
		}
		at := times.Ints[row]
		if at < from || at >= to {
			continue
		}
		if known != nil && (known.IsNull(row) || known.Ints[row] > to) {
			s.unknown++
			continue
		}
		if known != nil && known.Ints[row] < at {
			s.early++
		}
		if reader.Missing(labels, row) {
			s.unlabelled++
			continue
		}
		if tests(row) {
			s.test = append(s.test, row)
		} else {
			s.train = append(s.train, row)
		}
	}
	return s
}

// order sorts each side by time and key.
func (s sides) order(times, keys *Series) {
	order := byTimeAndKey(times, keys)
	slices.SortFunc(s.train, order)
	slices.SortFunc(s.test, order)
}

// byTimeAndKey breaks ties by row number, so that equal rows keep the source's
// order.
func byTimeAndKey(times, keys *Series) func(a, b int) int {
	key := func(a, b int) int { return cmp.Compare(keys.Ints[a], keys.Ints[b]) }
	if keys.Type == TypeString {
		key = func(a, b int) int { return strings.Compare(keys.Strings[a], keys.Strings[b]) }
	}
	return func(a, b int) int {
		if c := cmp.Compare(times.Ints[a], times.Ints[b]); c != 0 {
			return c
		}
		return cmp.Or(key(a, b), cmp.Compare(a, b))
	}
}

func countDuplicates(keys *Series, rows []int) int64 {
	if keys.Type == TypeString {
		return repeated(keys.Strings, rows)
	}
	return repeated(keys.Ints, rows)
}

func repeated[T comparable](values []T, rows []int) int64 {
	seen := make(map[T]struct{}, len(rows))
	for _, row := range rows {
		seen[values[row]] = struct{}{}
	}
	return int64(len(rows) - len(seen))
}
