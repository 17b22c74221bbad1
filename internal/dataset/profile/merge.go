package profile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// MaxValues is how many different values of a column are counted exactly, MaxTop
// how many a stored profile keeps of a column that has more.
const (
	MaxValues = 4096
	MaxTop    = 128
)

// Merge joins the profiles of two groups of rows. It fails when a column has
// another type; one that only one of them has keeps what is known of it.
func Merge(a, b Profile) (Profile, error) {
	out := Profile{Format: format}
	var err error
	if out.Train, err = mergeSides(a.Train, b.Train); err == nil {
		out.Test, err = mergeSides(a.Test, b.Test)
	}
	return out, err
}

func mergeSides(a, b SideProfile) (SideProfile, error) {
	out := SideProfile{Rows: a.Rows + b.Rows, Columns: slices.Clone(a.Columns)}
	for _, c := range b.Columns {
		have := out.Column(c.Name)
		if have == nil {
			out.Columns = append(out.Columns, c)
			continue
		}
		merged, err := mergeColumns(*have, c)
		if err != nil {
			return SideProfile{}, err
		}
		*have = merged
	}
	return out, nil
}

func mergeColumns(a, b Column) (Column, error) {
	if a.Type != b.Type || a.Sensitive != b.Sensitive {
		return a, fmt.Errorf("merge profiles: column %q is %s in one and %s in another", a.Name, described(a), described(b))
	}
	state, err := readColumn(a)
	if err != nil {
		return a, err
	}
	other, err := readColumn(b)
	if err != nil {
		return a, err
	}
	state.sides[0].merge(&other.sides[0])
	return state.written(0), nil
}

func described(c Column) string {
	if c.Sensitive {
		return "a sensitive " + c.Type
	}
	return c.Type
}

// readColumn is the inverse of written.
func readColumn(from Column) (*column, error) {
	c := &column{Column: models.Column{Name: from.Name, Type: from.Type, Role: from.Role}, sensitive: from.Sensitive}
	s := newSideColumn(c.Column, from.Sensitive, 0, false)
	s.rows, s.nulls, s.nans = from.Rows, from.Nulls, from.NaNs
	if from.Lengths != nil && from.Lengths.Count > 0 {
		s.lengths = *from.Lengths
	}
	var err error
	if s.values != nil && from.Values != nil {
		if s.values, err = readValues(from.Type, from.Values); err != nil {
			return nil, fmt.Errorf("merge profiles: column %q: %w", from.Name, err)
		}
	}
	if s.numbers != nil && from.Numbers != nil {
		if s.numbers, err = readNumbers(from.Type, from.Numbers); err != nil {
			return nil, fmt.Errorf("merge profiles: column %q: %w", from.Name, err)
		}
	}
	c.sides[0] = s
	return c, nil
}

// Compact bounds a merged profile for storing: of a column with more than MaxValues
// different values it keeps the MaxTop most frequent ones.
func (p Profile) Compact() Profile {
	for _, side := range []*SideProfile{&p.Train, &p.Test} {
		side.Columns = slices.Clone(side.Columns)
		for i := range side.Columns {
			v := side.Columns[i].Values
			if v == nil || v.Exact() || len(v.Top) <= MaxTop {
				continue
			}
			short := *v
			short.Lacks += v.Top[MaxTop].Rows // the most frequent one that is left out
			short.Top = v.Top[:MaxTop]
			side.Columns[i].Values = &short
		}
	}
	return p
}

// MergeEvidence joins the evidence of two groups of rows, of which b's follow.
func MergeEvidence(a, b Evidence) Evidence {
	out := Evidence{Findings: slices.Clone(a.Findings), Associations: slices.Clone(a.Associations)}
	for _, f := range b.Findings {
		if have := out.Find(f.Rule, f.Column); have != nil {
			have.Rows = slices.Clone(have.Rows)
			have.append(f)
		} else {
			out.Findings = append(out.Findings, f)
		}
	}
	for _, association := range b.Associations {
		at := slices.IndexFunc(out.Associations, func(o Association) bool { return o.Column == association.Column })
		if at < 0 {
			out.Associations = append(out.Associations, association)
		} else {
			out.Associations[at] = mergeAssociations(out.Associations[at], association)
		}
	}
	out.sort()
	return out
}

func (e *Evidence) sort() {
	slices.SortFunc(e.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Column, b.Column))
	})
	slices.SortFunc(e.Associations, func(a, b Association) int { return strings.Compare(a.Column, b.Column) })
}

// append adds what was found in the rows that follow.
func (f *Finding) append(next Finding) {
	f.Seen += next.Seen
	f.Count += next.Count
	for _, row := range next.Rows {
		f.offend(row)
	}
}
