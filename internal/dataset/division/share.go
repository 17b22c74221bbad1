// Package division decides what a partition contributes to a snapshot: which of its
// rows are on which side, what of them is written, and what is found out about
// them on the way. It does no I/O: chunks of rows come in once, a Share comes out.
//
// # Vocabulary
//
//   - A side is where a row goes, see package profile: it trains, it tests, or it
//     is on neither.
//   - A draw puts all rows with one value of a column on the same side, by a hash of
//     the value's text and a salt.
//   - A pseudonym stands for a value: a keyed hash of its text.
//   - A row is known when its label was known at AsOf. Rows that are not known are
//     counted and left out, as they would have been missing on that day.
package division

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// Plan says how a partition's rows become its share.
type Plan struct {
	Spec     models.DataSpec  // with defaults, AsOf set
	Columns  []models.Column  // of dataset.Resolve: those of the chunks, in their order
	Key      PseudonymKey     // nil: no column has pseudonyms
	Baseline *profile.Profile // nil: there is none
	File     string           // names the partition in offending rows
	Places   bool             // Taken has the rows' places
	LookOnly bool             // find out what there is and keep no row; Share.Rows stays 0
}

// Share is one partition's part of a snapshot.
type Share struct {
	Columns []models.Column // of both tables, as they are written
	// Train and Test are sorted by time and key.
	Train, Test dataset.Table
	Found       profile.Result
	Rows        int64 // on either side
	Unknown     int64 // inside the window, label not known at AsOf
	Times       Times
}

// Times are those of some rows; zero without any.
type Times struct {
	Min    time.Time `json:"min,omitzero"`
	Max    time.Time `json:"max,omitzero"`
	Newest time.Time `json:"newest,omitzero"` // before AsOf, whether the label is known or not
}

// end is the last time that is told from later ones: no calendar and no JSON has
// what lies beyond. It is what thousandths of seconds are that were taken for
// seconds.
var end = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

// bounded keeps a time that is known within what can be written.
func bounded(at time.Time) time.Time {
	begin := time.Date(1, time.January, 2, 0, 0, 0, 0, time.UTC) // the zero time says that there is none
	switch {
	case at.IsZero():
		return at
	case at.Before(begin):
		return begin
	case at.After(end):
		return end
	}
	return at
}

// With joins the times of two groups of rows.
func (t Times) With(o Times) Times {
	o = Times{bounded(o.Min), bounded(o.Max), bounded(o.Newest)}
	if t.Min.IsZero() || !o.Min.IsZero() && o.Min.Before(t.Min) {
		t.Min = o.Min
	}
	if o.Max.After(t.Max) {
		t.Max = o.Max
	}
	if o.Newest.After(t.Newest) {
		t.Newest = o.Newest
	}
	return t
}

// Division takes a share out of a partition, chunk by chunk.
type Division struct {
	plan   Plan
	sides  *sides
	pass   *profile.Pass
	looked []int // columns that the pass looks at
	kept   []models.Column
	names  []string // of kept
	share  Share
	pieces [2][]dataset.Table // what both sides have taken and have not joined yet
	places [2][]int64         // of the rows of both sides, before they are sorted
}

// Taken is one side's rows as the source has them: no pseudonyms, no order.
type Taken struct {
	Table  dataset.Table
	Places []int64 // as people know rows, see dataset.Chunk.Row; nil: nobody asked
}

// Taken returns what has been taken so far, of both sides. It is good until
// Finish.
func (d *Division) Taken() []Taken {
	d.join()
	return []Taken{{d.share.Train, d.places[0]}, {d.share.Test, d.places[1]}}
}

// New begins a division.
func New(plan Plan) (*Division, error) {
	if plan.Spec.NeedsPseudonymKey() && !plan.LookOnly && len(plan.Key) < minPseudonymKey {
		return nil, &models.Error{Kind: models.KindInvalidSpec, Subject: "data.pseudonym_key", Message: "a column is pseudonymised, or hashed and dropped, and there is no key"}
	}
	d := &Division{plan: plan, sides: newSides(plan.Spec), kept: dataset.Kept(plan.Columns)}
	var columns []models.Column
	for i, c := range plan.Columns {
		if c.Role != dataset.RoleSplit {
			d.looked, columns = append(d.looked, i), append(columns, c)
		}
	}
	for i, c := range d.kept {
		d.names = append(d.names, c.Name)
		if plan.Spec.Columns[c.Name].Sensitive == models.SensitivePseudonymise {
			d.kept[i].Type = dataset.TypeString
		}
	}
	var err error
	d.pass, err = profile.NewPass(profile.Plan{
		Spec: plan.Spec, Columns: columns, Baseline: plan.Baseline, File: plan.File, Secret: plan.Key.secret(),
	})
	return d, err
}

// Add takes the rows of a chunk. Sides and findings are of what the source says,
// so that another key leaves every row on its side.
func (d *Division) Add(chunk dataset.Chunk) error {
	where := d.sides.of(chunk.Table)
	if d.plan.LookOnly {
		return d.pass.Add(d.lookedAt(chunk), where)
	}
	looked := make(chan error, 1)
	go func() { looked <- d.pass.Add(d.lookedAt(chunk), where) }() // beside the copying
	var train, test []int
	for row, side := range where {
		switch side {
		case profile.Train:
			train = append(train, row)
		case profile.Test:
			test = append(test, row)
		case profile.Outside, profile.Unusable:
		}
	}
	d.take(0, chunk, train)
	d.take(1, chunk, test)
	return <-looked
}

func (d *Division) take(side int, from dataset.Chunk, rows []int) {
	if len(rows) == 0 {
		return
	}
	d.pieces[side] = append(d.pieces[side], from.Table.Pick(d.names, rows))
	if !d.plan.Places {
		return
	}
	for _, row := range rows {
		d.places[side] = append(d.places[side], from.Row(row))
	}
}

// join makes tables of the pieces.
func (d *Division) join() {
	for side, table := range []*dataset.Table{&d.share.Train, &d.share.Test} {
		pieces := d.pieces[side]
		if d.pieces[side] = nil; table.Rows() > 0 {
			pieces = append([]dataset.Table{*table}, pieces...)
		}
		*table = dataset.Joined(pieces)
	}
}

// lookedAt leaves out the columns that only decide about sides.
func (d *Division) lookedAt(chunk dataset.Chunk) dataset.Chunk {
	if len(d.looked) == len(d.plan.Columns) {
		return chunk
	}
	out := chunk
	out.Table, out.Codings = dataset.Table{}, nil
	for _, i := range d.looked {
		out.Table.Series = append(out.Table.Series, chunk.Table.Series[i])
		out.Codings = append(out.Codings, chunk.Coding(i))
	}
	return out
}

// Finish ends the division. What is written has pseudonyms and is sorted by
// what is written.
func (d *Division) Finish() Share {
	d.join()
	s := d.share
	s.Columns, s.Found = d.kept, d.pass.Finish()
	s.Rows, s.Unknown, s.Times = int64(s.Train.Rows()+s.Test.Rows()), d.sides.unknown, d.sides.times()
	for _, table := range []*dataset.Table{&s.Train, &s.Test} {
		if table.Rows() > 0 {
			d.pseudonymise(*table)
			*table = sorted(d.plan.Spec, *table, d.names)
		}
	}
	return s
}

func sorted(spec models.DataSpec, table dataset.Table, names []string) dataset.Table {
	rows := make([]int, table.Rows())
	for i := range rows {
		rows[i] = i
	}
	order := byTimeAndKey(table.Column(spec.Time), table.Column(spec.Key))
	if slices.IsSortedFunc(rows, order) {
		return table
	}
	slices.SortFunc(rows, order)
	return table.Pick(names, rows)
}

// byTimeAndKey breaks ties by row number, so that equal rows keep the source's
// order.
func byTimeAndKey(times, keys *dataset.Series) func(a, b int) int {
	key := func(a, b int) int { return cmp.Compare(keys.Ints[a], keys.Ints[b]) }
	if keys.Type == dataset.TypeString {
		key = func(a, b int) int { return strings.Compare(keys.Strings[a], keys.Strings[b]) }
	}
	return func(a, b int) int {
		if c := cmp.Compare(times.Ints[a], times.Ints[b]); c != 0 {
			return c
		}
		return cmp.Or(key(a, b), cmp.Compare(a, b))
	}
}
