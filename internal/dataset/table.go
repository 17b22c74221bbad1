package dataset

import (
	"fmt"
	"math"
	"time"
)

// The types of a column, as written in models.Column.
const (
	TypeString    = "string"
	TypeInt64     = "int64"
	TypeFloat64   = "float64"
	TypeBool      = "bool"
	TypeTimestamp = "timestamp"
)

// Series is one column. Exactly one of Strings, Ints and Floats is used:
// Strings for string, Floats for float64, and Ints for int64, bool (0 or 1)
// and timestamp (microseconds since the Unix epoch). A null has the zero value
// in it.
type Series struct {
	Name    string
	Type    string
	Nulls   []bool // nil: no nulls
	Strings []string
	Ints    []int64
	Floats  []float64
}

// Len is the number of rows, nulls included.
func (s *Series) Len() int {
	switch s.Type {
	case TypeString:
		return len(s.Strings)
	case TypeFloat64:
		return len(s.Floats)
	default:
		return len(s.Ints)
	}
}

// IsNull reports whether row i has no value.
func (s *Series) IsNull(i int) bool { return s.Nulls != nil && s.Nulls[i] }

// Absent reports whether row i has no value: a null, or NaN, which programs
// that know no null write instead.
func (s *Series) Absent(i int) bool {
	return s.IsNull(i) || s.Type == TypeFloat64 && math.IsNaN(s.Floats[i])
}

// Number is row i as a number: times as Unix seconds. It is false for strings,
// nulls and NaN, which programs that know no null write instead.
func (s *Series) Number(i int) (float64, bool) {
	if s.IsNull(i) {
		return 0, false
	}
	switch s.Type {
	case TypeString:
		return 0, false
	case TypeFloat64:
		return s.Floats[i], !math.IsNaN(s.Floats[i])
	case TypeTimestamp:
		return float64(s.Ints[i]) / 1e6, true
	default:
		return float64(s.Ints[i]), true
	}
}

// FromSeconds is the time of which Number is the seconds. A float64 may be a little
// beyond the last time that microseconds count.
func FromSeconds(v float64) time.Time {
	if v *= 1e6; v >= math.MaxInt64 {
		return time.UnixMicro(math.MaxInt64).UTC()
	}
	return time.UnixMicro(int64(v)).UTC()
}

// Text is row i as people and joins write it; a null is the empty string.
func (s *Series) Text(i int) string {
	if s.IsNull(i) {
		return ""
	}
	switch s.Type {
	case TypeString:
		return s.Strings[i]
	case TypeFloat64:
		return fmt.Sprint(s.Floats[i])
	case TypeTimestamp:
		return time.UnixMicro(s.Ints[i]).UTC().Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(s.Ints[i])
	}
}

// Pick copies the given rows, in the given order.
func (s *Series) Pick(rows []int) Series {
	out := Series{Name: s.Name, Type: s.Type}
	switch s.Type {
	case TypeString:
		out.Strings = pick(s.Strings, rows)
	case TypeFloat64:
		out.Floats = pick(s.Floats, rows)
	default:
		out.Ints = pick(s.Ints, rows)
	}
	if s.Nulls != nil {
		out.Nulls = pick(s.Nulls, rows)
	}
	return out
}

func pick[T any](values []T, rows []int) []T {
	out := make([]T, len(rows))
	for i, row := range rows {
		out[i] = values[row]
	}
	return out
}

// Append adds the rows of more, which has the same type.
func (s *Series) Append(more Series) {
	before := s.Len()
	if s.Nulls != nil || more.Nulls != nil {
		if s.Nulls == nil {
			s.Nulls = make([]bool, before)
		}
		if more.Nulls == nil {
			more.Nulls = make([]bool, more.Len())
		}
		s.Nulls = append(s.Nulls, more.Nulls...)
	}
	s.Strings = append(s.Strings, more.Strings...)
	s.Ints = append(s.Ints, more.Ints...)
	s.Floats = append(s.Floats, more.Floats...)
}

// Table is a list of series of equal length.
type Table struct {
	Series []Series
}

// Rows is the length of the series.
func (t Table) Rows() int {
	if len(t.Series) == 0 {
		return 0
	}
	return t.Series[0].Len()
}

// Column returns the series of that name, or nil.
func (t Table) Column(name string) *Series {
	for i := range t.Series {
		if t.Series[i].Name == name {
			return &t.Series[i]
		}
	}
	return nil
}

// Pick copies the given rows of the named columns, which t has.
func (t Table) Pick(names []string, rows []int) Table {
	out := Table{Series: make([]Series, len(names))}
	for i, name := range names {
		out.Series[i] = t.Column(name).Pick(rows)
	}
	return out
}

// Append adds the rows of more, which has the same columns in the same order.
func (t *Table) Append(more Table) {
	if len(t.Series) == 0 {
		*t = more
		return
	}
	for i := range t.Series {
		t.Series[i].Append(more.Series[i])
	}
}

// Joined has the rows of tables with the same columns, in their order. It copies
// each row once, where Append copies those before it, too, whenever they grow.
func Joined(tables []Table) Table {
	switch len(tables) {
	case 0:
		return Table{}
	case 1:
		return tables[0]
	}
	rows := 0
	for _, t := range tables {
		rows += t.Rows()
	}
	out := Table{Series: make([]Series, len(tables[0].Series))}
	for i := range out.Series {
		out.Series[i] = tables[0].Series[i].empty(rows)
		for _, t := range tables {
			out.Series[i].Append(t.Series[i])
		}
	}
	return out
}

// empty is a series of the same column with room for some rows.
func (s *Series) empty(rows int) Series {
	out := Series{Name: s.Name, Type: s.Type}
	switch s.Type {
	case TypeString:
		out.Strings = make([]string, 0, rows)
	case TypeFloat64:
		out.Floats = make([]float64, 0, rows)
	default:
		out.Ints = make([]int64, 0, rows)
	}
	return out
}
