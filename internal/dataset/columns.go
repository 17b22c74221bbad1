package dataset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// The roles of a column, as written in models.Column.
const (
	RoleKey       = "key"
	RoleTime      = "time"
	RoleLabel     = "label"
	RoleLabelTime = "label_time"
	RoleFeature   = "feature"
	RoleExtra     = "extra" // carried along; no model sees it

	// Roles that no snapshot has: columns that are read and not written.
	RoleKnownAt = "known_at" // when a feature's value became known
	RoleDropped = "dropped"  // sensitive: drop
	RoleSplit   = "split"    // decides about the side, and nothing else is said of it
)

// Field is a column that a file has. Type is empty when the engine can't use
// it; Native says what it is in the file's own words.
type Field struct {
	Name   string
	Type   string
	Native string
	// Mixed says what speaks against the type of a text file's column that nobody
	// declared: nearly all of its values have another one. Empty: nothing does.
	Mixed string
	// Empty says that nobody declared the type of a text file's column and that no
	// row has a value: Type is string, for want of a better one.
	Empty bool
}

// Source is the columns of one partition.
type Source struct {
	URI    string
	Fields []Field
}

// Declared lists the columns that a spec names, each with its role and no
// type yet: key, time, label, label_time, then the features in their order,
// then, by name, what data.columns knows beside them.
func Declared(spec models.DataSpec) []models.Column {
	columns := []models.Column{
		{Name: spec.Key, Role: RoleKey},
		{Name: spec.Time, Role: RoleTime},
		{Name: spec.Label, Role: RoleLabel},
	}
	if spec.LabelTime != "" && spec.LabelTime != spec.Time {
		columns = append(columns, models.Column{Name: spec.LabelTime, Role: RoleLabelTime})
	}
	for _, name := range spec.Features {
		columns = append(columns, models.Column{Name: name, Role: RoleFeature})
	}
	add := func(name, role string) {
		if !slices.ContainsFunc(columns, func(c models.Column) bool { return c.Name == name }) {
			columns = append(columns, models.Column{Name: name, Role: role})
		}
	}
	for _, name := range sortedKeys(spec.Columns) {
		if spec.Columns[name].Sensitive == models.SensitiveDrop {
			add(name, RoleDropped)
		} else {
			add(name, RoleExtra)
		}
	}
	for _, name := range sortedKeys(spec.Columns) {
		if at := spec.Columns[name].KnownAt; at != "" {
			add(at, RoleKnownAt)
		}
	}
	if spec.Split.Column != "" {
		add(spec.Split.Column, RoleSplit)
	}
	return columns
}

// Kept drops the columns that are read and not written: training must not see
// when a label became known, and nobody what is to be dropped.
func Kept(columns []models.Column) []models.Column {
	return slices.DeleteFunc(slices.Clone(columns), func(c models.Column) bool {
		return c.Role == RoleLabelTime || c.Role == RoleKnownAt || c.Role == RoleDropped || c.Role == RoleSplit
	})
}

// Resolve gives every declared column the type it has in the source. All that
// is wrong is reported in one KindInvalidSpec error.
func Resolve(spec models.DataSpec, source Source) ([]models.Column, error) {
	columns := Declared(spec)
	var problems []string
	roles := make(map[string]string, len(columns))
	knownAt := map[string]string{} // by column, the first feature of which it says when it became known
	for _, name := range slices.Backward(sortedKeys(spec.Columns)) {
		knownAt[spec.Columns[name].KnownAt] = name
	}
	anyMissing := false
	for i := range columns {
		c := &columns[i]
		if other, ok := roles[c.Name]; ok {
			problems = append(problems, fmt.Sprintf("column %q is declared as %s and as %s", c.Name, other, c.Role))
			continue
		}
		roles[c.Name] = c.Role
		field, ok := findField(source.Fields, c.Name)
		if !ok {
			problems = append(problems, missing(*c, source))
			anyMissing = true
			continue
		}
		if field.Empty { // values of any type may be in other files
			c.Type = field.Type
			continue
		}
		if types := usable(spec, c.Role); !slices.Contains(types, field.Type) {
			problems = append(problems, unusable(spec, *c, field, types))
			continue
		}
		if of := knownAt[c.Name]; of != "" && field.Type != TypeTimestamp {
			problems = append(problems, fmt.Sprintf("column %q has type %s, but must be %s: data.columns.%s.known_at names it",
				c.Name, described(field), TypeTimestamp, of))
			continue
		}
		if field.Mixed != "" {
			problems = append(problems, fmt.Sprintf("column %q (%s) was taken for a string, but %s: set data.columns.%s.type, or data.csv.nulls",
				c.Name, c.Role, field.Mixed, c.Name))
		}
		c.Type = field.Type
	}
	problems = append(problems, strayLimits(spec, columns, source)...)
	if len(problems) == 0 {
		return columns, nil
	}
	hint := "correct the names in the data section of the spec, or the files"
	if anyMissing {
		problems = append(problems, "the file has "+strings.Join(source.names(), ", "))
		if d := OtherDelimiter(spec, source); d != "" {
			hint = fmt.Sprintf("its only column looks like several: set data.csv.delimiter to %q", d)
		}
	}
	return nil, &models.Error{Kind: models.KindInvalidSpec, Subject: source.URI, Message: strings.Join(problems, "; "), Hint: hint}
}

func (s Source) names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}

func unusable(spec models.DataSpec, c models.Column, field Field, types []string) string {
	text := fmt.Sprintf("column %q (%s) has type %s, but must be %s", c.Name, c.Role, described(field), strings.Join(types, " or "))
	if c.Role == RoleLabel && field.Type == TypeString {
		text += "; labels can be strings in task multiclass with data.classes, and "
		if spec.Task == models.TaskMulticlass {
			text += "data.classes is empty"
		} else {
			text += "this is task " + string(cmp.Or(spec.Task, models.TaskBinary))
		}
	}
	return text
}

// usable lists the types that a role can have.
func usable(spec models.DataSpec, role string) []string {
	switch role {
	case RoleKey:
		return []string{TypeString, TypeInt64}
	case RoleTime, RoleLabelTime, RoleKnownAt:
		return []string{TypeTimestamp}
	case RoleExtra, RoleDropped, RoleSplit:
		return []string{TypeString, TypeInt64, TypeFloat64, TypeBool, TypeTimestamp}
	case RoleLabel:
		return labelTypes(spec)
	default:
		return []string{TypeString, TypeInt64, TypeFloat64, TypeBool}
	}
}

func findField(fields []Field, name string) (Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

func described(f Field) string {
	if f.Type == "" {
		return f.Native
	}
	return f.Type
}

func missing(c models.Column, source Source) string {
	text := fmt.Sprintf("there is no column %q (%s)", c.Name, c.Role)
	if near := models.Nearest(c.Name, source.names()); near != "" {
		text += fmt.Sprintf(", did you mean %q?", near)
	}
	return text
}

// strayLimits finds checks on columns that nobody declared, and ranges on
// columns without an order. The type of an empty column is not known.
func strayLimits(spec models.DataSpec, columns []models.Column, source Source) []string {
	byName := make(map[string]models.Column, len(columns))
	names := make([]string, 0, len(columns))
	for _, c := range columns {
		byName[c.Name] = c
		names = append(names, c.Name)
	}
	var problems []string
	for _, name := range sortedKeys(spec.Checks.Range) {
		c, ok := byName[name]
		field, _ := findField(source.Fields, name)
		switch {
		case !ok:
			problems = append(problems, stray("range", name, names))
		case c.Type == TypeString && !field.Empty:
			problems = append(problems, fmt.Sprintf("checks.range: column %q is a string and has no range", name))
		}
	}
	for _, name := range sortedKeys(spec.Checks.MaxNullFraction) {
		if _, ok := byName[name]; !ok {
			problems = append(problems, stray("max_null_fraction", name, names))
		}
	}
	return problems
}

func stray(check, name string, declared []string) string {
	text := fmt.Sprintf("checks.%s: column %q is not among the declared ones", check, name)
	if near := models.Nearest(name, declared); near != "" {
		text += fmt.Sprintf(", did you mean %q?", near)
	}
	return text
}

// Nearest is models.Nearest.
func Nearest(name string, candidates []string) string { return models.Nearest(name, candidates) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
