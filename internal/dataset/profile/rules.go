package profile

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// rule looks for values of a column that break it.
type rule struct {
	finding Finding
	masked  bool // the column is sensitive
	judge   func(s *dataset.Series, i int) verdict
	// quick reports whether it is plain that all rows keep the rule; nil: never.
	quick func(s *dataset.Series) bool
	// codes are the verdicts on a dictionary's values; broken: one of them breaks it.
	codes  []verdict
	broken bool
}

// verdict is what a rule says of a value.
type verdict uint8

const (
	unasked verdict = iota // the rule does not speak of it, such as of a null
	keeps
	breaks
)

func judged(broken bool) verdict {
	if broken {
		return breaks
	}
	return keeps
}

// mark judges the values of a dictionary.
func (r *rule) mark(values *dataset.Series) {
	r.codes, r.broken = r.codes[:0], false
	for i := range values.Len() {
		v := r.judge(values, i)
		r.codes = append(r.codes, v)
		r.broken = r.broken || v == breaks
	}
}

// settle counts the rows that were counted by code.
func (r *rule) settle(sides []sideColumn) {
	for i := range sides {
		width := max(sides[i].width, 1)
		for code, v := range r.codes {
			rows := total(sides[i].counts[code*width : (code+1)*width])
			if v != unasked {
				r.finding.Seen += rows
			}
			if v == breaks {
				r.finding.Count += rows
			}
		}
	}
}

// scan looks at the rows of a chunk: at those that break the rule, where rows
// are counted by code.
func (r *rule) scan(at place, series *dataset.Series, coding *dataset.Coding, rows selection) {
	if coding != nil {
		if !r.broken || len(r.finding.Rows) == models.MaxOffendingRows {
			return
		}
		for i := range rows.each() {
			if r.codes[coding.Codes[i]] == breaks && !r.offends(at, series, i) {
				return
			}
		}
		return
	}
	if r.quick != nil && r.quick(series) {
		r.finding.Seen += int64(rows.len())
		return
	}
	for i := range rows.each() {
		switch r.judge(series, i) {
		case unasked:
		case keeps:
			r.finding.Seen++
		case breaks:
			r.finding.Seen++
			r.finding.Count++
			r.offends(at, series, i)
		}
	}
}

// offends keeps a row, if there is room; it reports whether there is room for
// another one.
func (r *rule) offends(at place, series *dataset.Series, i int) bool {
	r.finding.offend(at.row(i, series, r.masked))
	return len(r.finding.Rows) < models.MaxOffendingRows
}

func (f *Finding) offend(row models.OffendingRow) {
	if len(f.Rows) < models.MaxOffendingRows {
		f.Rows = append(f.Rows, row)
	}
}

// place says where the rows of a chunk are.
type place struct {
	file  string
	chunk dataset.Chunk
}

// row is row i of the chunk, as people are told of it.
func (p place) row(i int, series *dataset.Series, masked bool) models.OffendingRow {
	row := models.OffendingRow{File: p.file, Row: p.chunk.Row(i)}
	switch {
	case series.IsNull(i):
	case masked:
		row.Value = models.Masked
	default:
		row.Value = shortened(series.Text(i))
	}
	return row
}

func shortened(text string) string {
	const longest = 40
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// rulesOf are what a column's values are held against.
func (p Plan) rulesOf(c models.Column) []*rule {
	var rules []*rule
	add := func(name string, judge func(*dataset.Series, int) verdict) *rule {
		r := &rule{finding: Finding{Rule: name, Column: c.Name}, masked: p.Spec.IsSensitive(c.Name), judge: judge}
		rules = append(rules, r)
		return r
	}
	if _, declared := p.Spec.Columns[c.Name]; declared || kept(c) {
		add(RuleNulls, func(s *dataset.Series, i int) verdict { return judged(s.Absent(i)) }).quick = complete
	}
	if limits, ok := p.Spec.Checks.Range[c.Name]; ok && c.Type != dataset.TypeString {
		add(RuleRange, within(limits)).quick = func(s *dataset.Series) bool { return allWithin(limits, s) }
	}
	if allowed, ok := p.Spec.Checks.Allowed[c.Name]; ok {
		add(RuleAllowed, among(c.Type, allowed))
	}
	if known := p.known(c); known != nil {
		add(RuleUnseen, among(c.Type, known))
	}
	if c.Role == dataset.RoleLabel {
		labels := dataset.NewLabels(p.Spec)
		add(RuleLabel, func(s *dataset.Series, i int) verdict {
			if labels.Missing(s, i) {
				return unasked
			}
			_, ok := labels.Number(s, i)
			return judged(!ok)
		})
	}
	return rules
}

func within(limits models.Range) func(*dataset.Series, int) verdict {
	return func(s *dataset.Series, i int) verdict {
		x, ok := s.Number(i)
		if !ok {
			return unasked
		}
		return judged(limits.Min != nil && x < *limits.Min || limits.Max != nil && x > *limits.Max)
	}
}

// complete reports whether all rows have a value.
func complete(s *dataset.Series) bool {
	return s.Nulls == nil && (s.Type != dataset.TypeFloat64 || !slices.ContainsFunc(s.Floats, math.IsNaN))
}

// allWithin reports whether all rows have a number within the limits.
func allWithin(limits models.Range, s *dataset.Series) bool {
	if s.Nulls != nil || s.Len() == 0 {
		return false
	}
	low, high := math.Inf(-1), math.Inf(1)
	if limits.Min != nil {
		low = *limits.Min
	}
	if limits.Max != nil {
		high = *limits.Max
	}
	if s.Type == dataset.TypeFloat64 {
		for _, x := range s.Floats {
			if !(x >= low && x <= high) {
				return false
			}
		}
		return true
	}
	ends := dataset.Series{Type: s.Type, Ints: []int64{slices.Min(s.Ints), slices.Max(s.Ints)}}
	least, _ := ends.Number(0)
	most, _ := ends.Number(1)
	return least >= low && most <= high
}

// among wants one of the texts, or one of the values that they write.
func among(kind string, texts []string) func(*dataset.Series, int) verdict {
	if kind == dataset.TypeString {
		set := make(map[string]struct{}, len(texts))
		for _, text := range texts {
			set[text] = struct{}{}
		}
		return func(s *dataset.Series, i int) verdict {
			if s.IsNull(i) {
				return unasked
			}
			_, ok := set[asWritten(s.Strings[i])]
			return judged(!ok)
		}
	}
	set := make(map[uint64]struct{}, len(texts))
	for _, text := range texts {
		if bits, ok := parsed(kind, text); ok {
			set[bits] = struct{}{}
		}
	}
	return func(s *dataset.Series, i int) verdict {
		if s.Absent(i) {
			return unasked
		}
		_, ok := set[numberBits(s, i)]
		return judged(!ok)
	}
}

// parsed reads a value as people write it.
func parsed(kind, text string) (uint64, bool) {
	switch kind {
	case dataset.TypeBool:
		b, err := strconv.ParseBool(text)
		if b {
			return 1, err == nil
		}
		return 0, err == nil
	case dataset.TypeTimestamp:
		for _, layout := range []string{time.RFC3339Nano, time.DateTime, time.DateOnly} {
			if at, err := time.Parse(layout, text); err == nil {
				return uint64(at.UnixMicro()), true
			}
		}
		return 0, false
	default:
		bits, err := numberOf(kind, text)
		return bits, err == nil
	}
}

// HasCategories reports whether values of a column can be unseen in a baseline.
func HasCategories(kind, role string) bool {
	return (kind == dataset.TypeString || kind == dataset.TypeBool) && (role == dataset.RoleFeature || role == dataset.RoleExtra)
}

// known are the categories of the baseline's training rows; nil: there is no
// baseline, or it does not know them all, or the column has no categories.
func (p Plan) known(c models.Column) []string {
	if p.Baseline == nil || !HasCategories(c.Type, c.Role) {
		return nil
	}
	before := p.Baseline.Train.Column(c.Name)
	if before == nil || before.Values == nil || !before.Values.Exact() || before.Type != c.Type {
		return nil
	}
	known := []string{}
	for _, v := range before.Values.Top {
		known = append(known, v.Value)
	}
	return known
}

// order holds two times of a row against each other.
type order struct {
	finding Finding
	masked  bool
	// Of a row that has them all; guard is the feature whose time it is, -1: none.
	shown, other, guard int // columns
	broken              func(shown, other int64) bool
}

func (o *order) scan(at place, columns []column, rows selection) {
	shown, other := columns[o.shown].series, columns[o.other].series
	for i := range rows.each() {
		if shown.IsNull(i) || other.IsNull(i) || o.guard >= 0 && columns[o.guard].series.Absent(i) {
			continue
		}
		o.finding.Seen++
		if o.broken(shown.Ints[i], other.Ints[i]) {
			o.finding.Count++
			o.finding.offend(at.row(i, shown, o.masked))
		}
	}
}

// ordersOf are the times that are held against each other.
func (p Plan) ordersOf(place func(name string) int) []*order {
	var orders []*order
	add := func(name, column, shown, other string, guard int, broken func(a, b int64) bool) {
		o := order{
			finding: Finding{Rule: name, Column: column}, shown: place(shown), other: place(other), guard: guard,
			masked: p.Spec.IsSensitive(shown) || p.Spec.IsSensitive(column), broken: broken,
		}
		if o.shown >= 0 && o.other >= 0 && shown != other {
			orders = append(orders, &o)
		}
	}
	later := func(a, b int64) bool { return a > b }
	add(RuleTimeOrder, p.Spec.LabelTime, p.Spec.LabelTime, p.Spec.Time, -1, func(a, b int64) bool { return a < b })
	for _, name := range p.Spec.Features {
		known := p.Spec.Columns[name].KnownAt
		if known == "" || place(name) < 0 {
			continue
		}
		add(RuleLate, name, known, p.Spec.Time, place(name), later)
		add(RuleTooLate, name, known, p.Spec.LabelTime, place(name), func(a, b int64) bool { return a >= b })
	}
	return orders
}
