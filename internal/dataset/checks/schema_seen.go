package checks

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// Schema is the columns that the source's files have, found by reading what
// the files say of themselves.
type Schema struct {
	Files   int          `json:"files"`
	Columns []SeenColumn `json:"columns"` // by name
	// Bad are values of text files that do not read as their column's type, by
	// column; their rows name their files.
	Bad []dataset.BadValues `json:"bad,omitempty"`
}

// SeenColumn is a column of some files. Types has more than one entry when
// files differ.
type SeenColumn struct {
	Name  string     `json:"name"`
	Types []SeenType `json:"types"` // by type
}

// SeenType is a type that a column has in some files.
type SeenType struct {
	Type  string `json:"type"` // in the file's own words where the engine can't use it
	Files int    `json:"files"`
	File  string `json:"file"` // one of them: the first by name
}

// noValue is the type of a text file's column without any value: it fits all types.
const noValue = "no value"

// Known are the types that files' values have.
func (c SeenColumn) Known() []SeenType {
	return slices.DeleteFunc(slices.Clone(c.Types), func(t SeenType) bool { return t.Type == noValue })
}

// SchemaOf is the schema of one file. A type found in a text file is that of
// its values.
func SchemaOf(file string, fields []dataset.Field, bad []dataset.BadValues) Schema {
	s := Schema{Files: 1}
	for _, f := range fields {
		kind := cmp.Or(f.Type, f.Native)
		if f.Empty {
			kind = noValue
		}
		s.Columns = append(s.Columns, SeenColumn{f.Name, []SeenType{{kind, 1, file}}})
	}
	for _, b := range bad {
		b.Rows = slices.Clone(b.Rows)
		for i := range b.Rows {
			b.Rows[i].File = file
		}
		s.Bad = append(s.Bad, b)
	}
	s.sort()
	return s
}

// MergeSchemas joins the schemas of two groups of files, in any order.
func MergeSchemas(a, b Schema) Schema {
	out := Schema{Files: a.Files + b.Files}
	for _, c := range append(slices.Clone(a.Columns), b.Columns...) {
		at := slices.IndexFunc(out.Columns, func(o SeenColumn) bool { return o.Name == c.Name })
		if at < 0 {
			out.Columns = append(out.Columns, SeenColumn{c.Name, slices.Clone(c.Types)})
			continue
		}
		out.Columns[at].Types = mergeTypes(out.Columns[at].Types, c.Types)
	}
	for _, c := range append(slices.Clone(a.Bad), b.Bad...) {
		at := slices.IndexFunc(out.Bad, func(o dataset.BadValues) bool { return o.Column == c.Column && o.Type == c.Type })
		if at < 0 {
			out.Bad = append(out.Bad, c)
			continue
		}
		out.Bad[at].Count += c.Count
		out.Bad[at].Rows = firstRows(out.Bad[at].Rows, c.Rows)
	}
	out.sort()
	return out
}

func mergeTypes(a, b []SeenType) []SeenType {
	for _, t := range b {
		at := slices.IndexFunc(a, func(o SeenType) bool { return o.Type == t.Type })
		if at < 0 {
			a = append(a, t)
			continue
		}
		a[at].Files += t.Files
		a[at].File = min(a[at].File, t.File)
	}
	return a
}

func (s *Schema) sort() {
	slices.SortFunc(s.Columns, func(a, b SeenColumn) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range s.Columns {
		slices.SortFunc(c.Types, func(a, b SeenType) int { return strings.Compare(a.Type, b.Type) })
	}
	slices.SortFunc(s.Bad, func(a, b dataset.BadValues) int {
		return cmp.Or(strings.Compare(a.Column, b.Column), strings.Compare(a.Type, b.Type))
	})
}
