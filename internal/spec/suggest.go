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
func suggest(name string, section, root reflect.Type) string {
	known := fieldNames(section)
	if near := models.Nearest(name, known); near != "" {
		return "did you mean `" + near + "`?"
	}
	if root.Kind() != reflect.Struct {
		return "known here: " + strings.Join(known, ", ")
	}
	if elsewhere := pathsOf(name, "", root); len(elsewhere) > 0 {
		return "it belongs at `" + strings.Join(elsewhere, "` or `") + "`"
	}
	return "known here: " + strings.Join(known, ", ")
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
