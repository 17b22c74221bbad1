package profile

import (
	"fmt"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// Side is where a row goes.
type Side uint8

// The sides. A row of neither side leaves no trace, but for Unusable.
const (
	// Outside of the window, or not known at its end.
	Outside Side = iota
	Train
	Test
	// Unusable rows would be on a side if they had a time and a label: only what
	// these two lack is found.
	Unusable
)

// Plan says what a pass looks for.
type Plan struct {
	// Spec has its defaults filled in. Names in it that are not among Columns are not
	// looked at.
	Spec models.DataSpec
	// Columns are those of the chunks, in any order, with their types and roles. The
	// profile has those that dataset.Kept keeps; whole rows are compared by what the
	// profile has, the key aside.
	Columns []models.Column
	// Baseline is what categories are held against; nil: nothing is unseen.
	Baseline *Profile
	// File names the partition in offending rows.
	File string
	// Secret, of 16 bytes, seals the hashes of runs: without it nobody finds out a
	// value by hashing others. All partitions of a preparation must have the same.
	// Nil: hashes are open.
	Secret []byte
}

// kept reports whether a column is in the profile.
func kept(c models.Column) bool { return len(dataset.Kept([]models.Column{c})) == 1 }

func (p Plan) place(name string) int {
	return slices.IndexFunc(p.Columns, func(c models.Column) bool { return c.Name == name })
}

// Pass goes once over the rows of a partition. It is for one goroutine; several
// passes over parts of the partition are joined by Append.
type Pass struct {
	plan     Plan
	columns  []column
	orders   []*order
	label    int     // column; -1: there is none
	labels   *labels // nil: no feature is held against the label
	rows     [2]int64
	whole    *block // whole rows
	hashes   []uint64
	seal     *seal // nil: hashes are open
	sorter   sorter
	unusable []*rule // what unusable rows may lack: values of time and label
}

// NewPass begins a pass. Columns with unusable types are refused.
func NewPass(plan Plan) (*Pass, error) {
	p := &Pass{plan: plan, columns: make([]column, len(plan.Columns)), whole: &block{}}
	p.label = slices.IndexFunc(plan.Columns, func(c models.Column) bool { return c.Role == dataset.RoleLabel })
	if p.label >= 0 {
		p.labels = newLabels(plan.Spec)
	}
	for i, c := range plan.Columns {
		switch c.Type {
		case dataset.TypeString, dataset.TypeInt64, dataset.TypeFloat64, dataset.TypeBool, dataset.TypeTimestamp:
		default:
			return nil, fmt.Errorf("profile column %q: there is no type %q", c.Name, c.Type)
		}
		p.columns[i] = p.newColumn(c)
		if c.Role == dataset.RoleTime || c.Role == dataset.RoleLabel {
			p.unusable = append(p.unusable, p.columns[i].rules[0])
		}
	}
	p.orders = plan.ordersOf(plan.place)
	var err error
	p.seal, err = newSeal(plan.Secret)
	return p, err
}

func (p *Pass) newColumn(c models.Column) column {
	sensitive := p.plan.Spec.IsSensitive(c.Name)
	out := column{
		Column: c, sensitive: sensitive, kept: kept(c), rules: p.plan.rulesOf(c), salt: hashText(c.Name, 0),
	}
	out.inRow = out.kept && c.Role != dataset.RoleKey
	if slices.Contains(p.plan.Spec.Checks.Unique, c.Name) {
		out.unique = &block{}
	}
	width, summed := 0, false
	if p.associates(c) {
		width, summed = p.labels.width, p.labels.width == 0
	}
	out.sides[0] = newSideColumn(c, sensitive, width, summed)
	out.sides[1] = newSideColumn(c, sensitive, 0, false)
	return out
}

// associates reports whether a column is held against the label.
func (p *Pass) associates(c models.Column) bool {
	return p.labels != nil && c.Role == dataset.RoleFeature && c.Type != dataset.TypeTimestamp && !p.plan.Spec.IsSensitive(c.Name)
}

// Add looks at the chunk's rows: sides has one entry a row, nil is Train for all.
// Nothing of the chunk is kept but the values of its codings.
func (p *Pass) Add(chunk dataset.Chunk, sides []Side) error {
	rows := chunk.Table.Rows()
	if sides != nil && len(sides) != rows {
		return fmt.Errorf("profile %s: %d rows have %d sides", p.plan.File, rows, len(sides))
	}
	if rows > 0 && max(chunk.Row(0), chunk.Row(rows-1)) > math.MaxUint32 {
		return fmt.Errorf("profile %s: it has more than %d rows", p.plan.File, math.MaxUint32)
	}
	if err := p.begin(chunk); err != nil {
		return err
	}
	p.sorter.sort(rows, sides)
	p.rows[0] += int64(p.sorter.train.len())
	p.rows[1] += int64(p.sorter.test.len())
	at := place{file: p.plan.File, chunk: chunk}
	if p.sorter.unusable.len() > 0 {
		p.scanUnusable(at)
	}
	if p.sorter.either.len() == 0 {
		return nil
	}
	if p.labels != nil {
		p.labels.read(p.columns[p.label].series, p.columns[p.label].coding)
	}
	for i := range p.columns {
		c := &p.columns[i]
		c.count(Train, p.sorter.train, p.labels)
		c.count(Test, p.sorter.test, p.labels)
		for _, r := range c.rules {
			r.scan(at, c.series, c.coding, p.sorter.either)
		}
	}
	for _, o := range p.orders {
		o.scan(at, p.columns, p.sorter.either)
	}
	p.hash(chunk, rows)
	return nil
}

// begin gives each column its part of the chunk.
func (p *Pass) begin(chunk dataset.Chunk) error {
	series := chunk.Table.Series
	for i := range p.columns {
		c, at := &p.columns[i], i
		if at >= len(series) || series[at].Name != c.Name {
			at = slices.IndexFunc(series, func(s dataset.Series) bool { return s.Name == c.Name })
		}
		if at < 0 {
			return fmt.Errorf("profile %s: the rows have no column %q", p.plan.File, c.Name)
		}
		if series[at].Type != c.Type {
			return fmt.Errorf("profile %s: column %q has type %s, not %s", p.plan.File, c.Name, series[at].Type, c.Type)
		}
		c.begin(&series[at], chunk.Coding(at))
	}
	return nil
}

func (p *Pass) scanUnusable(at place) {
	for _, r := range p.unusable {
		c := &p.columns[p.plan.place(r.finding.Column)]
		r.scan(at, c.series, nil, p.sorter.unusable)
	}
}

// hash adds the rows' hashes to the runs.
func (p *Pass) hash(chunk dataset.Chunk, rows int) {
	p.hashes = slices.Grow(p.hashes[:0], rows)[:rows]
	clear(p.hashes)
	hashed := false
	for i := range p.columns {
		c := &p.columns[i]
		if c.inRow {
			c.addHashes(p.hashes)
			hashed = true
		}
		if c.unique != nil {
			hashes := c.addHashes(make([]uint64, rows))
			p.seal.all(hashes)
			c.unique.add(hashes, chunk, p.sorter.either, c.series)
		}
	}
	if hashed {
		p.seal.all(p.hashes)
		p.whole.add(p.hashes, chunk, p.sorter.either, nil)
	}
}

// Append adds what another pass with the same plan has seen of the rows that
// follow. The other one can't be used afterwards.
func (p *Pass) Append(next *Pass) {
	p.flush()
	next.flush()
	for side := range p.rows {
		p.rows[side] += next.rows[side]
	}
	for i := range p.columns {
		c, other := &p.columns[i], &next.columns[i]
		for side := range c.sides {
			c.sides[side].merge(&other.sides[side])
		}
		for k, r := range c.rules {
			r.finding.append(other.rules[k].finding)
		}
		if c.unique != nil {
			c.unique.append(other.unique)
		}
	}
	for i, o := range p.orders {
		o.finding.append(next.orders[i].finding)
	}
	p.whole.append(next.whole)
}

func (p *Pass) flush() {
	for i := range p.columns {
		p.columns[i].flush()
	}
}

// Result is what a pass has found.
type Result struct {
	Profile  Profile
	Evidence Evidence
	// Runs are the hashes of the columns that must be unique, by name, and of whole
	// rows: that of the empty name.
	Runs []Run
}

// Finish ends a pass.
func (p *Pass) Finish() Result {
	p.flush()
	out := Result{Profile: Profile{Format: format}}
	for i, side := range []*SideProfile{&out.Profile.Train, &out.Profile.Test} {
		side.Rows, side.Columns = p.rows[i], []Column{}
		for k := range p.columns {
			if p.columns[k].kept {
				side.Columns = append(side.Columns, p.columns[k].written(i))
			}
		}
	}
	out.Evidence = p.evidence()
	out.Runs = p.runs()
	return out
}
