package spec

import (
	"reflect"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// suggest says what an unknown field was probably meant to be: a field with a
// similar name in the same section, else the same name in another section,
// else the list of what is known here.
func suggest(name string, section reflect.Type) string {
	known := fieldNames(section)
	if near := nearest(name, known); near != "" {
		return "did you mean `" + near + "`?"
	}
	if elsewhere := pathsOf(name, "", reflect.TypeFor[models.LifecycleSpec]()); len(elsewhere) > 0 {
		return "it belongs at `" + strings.Join(elsewhere, "` or `") + "`"
	}
	return "known here: " + strings.Join(known, ", ")
}

// nearest returns the candidate with the fewest edits, and none when more than
// a third of the name would have to change. Ties go to the first.
func nearest(name string, candidates []string) string {
	best, fewest := "", len(name)/3+2
	for _, candidate := range candidates {
		if n := edits(name, candidate); n < fewest {
			best, fewest = candidate, n
		}
	}
	return best
}

// edits counts insertions, deletions, substitutions and swaps of neighbours
// (the optimal string alignment distance).
func edits(a, b string) int {
	x, y := []rune(a), []rune(b)
	table := make([][]int, len(x)+1)
	for i := range table {
		table[i] = make([]int, len(y)+1)
		table[i][0] = i
	}
	for j := range table[0] {
		table[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			table[i][j] = min(table[i-1][j]+1, table[i][j-1]+1, table[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				table[i][j] = min(table[i][j], table[i-2][j-2]+1)
			}
		}
	}
	return table[len(x)][len(y)]
}

// pathsOf lists where a field of that name exists in the spec.
func pathsOf(name, path string, t reflect.Type) []string {
	var found []string
	for _, field := range fieldsOf(t) {
		at := joinPath(path, field.name)
		if field.name == name {
			found = append(found, at)
		}
		inner := field.typ
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && !isScalar(inner) {
			found = append(found, pathsOf(name, at, inner)...)
		}
	}
	return found
}

// field is one field of a section as it is written.
type field struct {
	name string
	typ  reflect.Type
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, field{name: name, typ: f.Type})
	}
	return fields
}

func fieldNames(t reflect.Type) []string {
	var names []string
	for _, f := range fieldsOf(t) {
		names = append(names, f.name)
	}
	return names
}

func fieldType(t reflect.Type, name string) (reflect.Type, bool) {
	fields := fieldsOf(t)
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return nil, false
	}
	return fields[i].typ, true
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
