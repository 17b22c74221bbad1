package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// schema wants every column that the spec names in every file, with one type:
// the declared one, if there is one. The figure of a column with several types is
// their number, of a declared type or a missing column the files without it, of
// bad values their number.
func (j judge) schema() []models.CheckResult {
	if j.Schema.Files == 0 {
		return []models.CheckResult{j.skipped(checkSchema, "", "no file's columns are known")}
	}
	var failed []models.CheckResult
	used := 0
	for _, c := range dataset.Declared(j.Spec) {
		used++
		seen, ok := j.Schema.column(c.Name)
		if !ok {
			continue // an error before anything was read, or nothing is known of files
		}
		declared, known := j.Spec.Columns[c.Name].Type, seen.Known()
		switch {
		case seen.InFiles() < j.Schema.Files:
			failed = append(failed, j.badSchema(c.Name, j.Schema.Files-seen.InFiles(), 0,
				"column %q is missing in %d of %d files", c.Name, j.Schema.Files-seen.InFiles(), j.Schema.Files))
		case len(known) > 1:
			failed = append(failed, j.badSchema(c.Name, len(known), 1,
				"column %q has different types in different partitions: %s", c.Name, SeenColumn{c.Name, known}.Words()))
		case declared != "" && len(known) == 1 && known[0].Type != declared:
			failed = append(failed, j.badSchema(c.Name, seen.InFiles(), 0,
				"column %q is %s, and data.columns declares it as %s", c.Name, known[0].Type, declared))
		}
	}
	for _, bad := range j.Schema.Bad {
		r := j.badSchema(bad.Column, int(bad.Count), 0, "column %q: %s", bad.Column, bad.Words())
		r.Rows = shown(bad.Rows, j.Spec.IsSensitive(bad.Column))
		failed = append(failed, r)
	}
	if len(failed) > 0 {
		return failed
	}
	return []models.CheckResult{j.passed(checkSchema, "all %d columns have one usable type", used)}
}

func (j judge) badSchema(column string, figure, limit int, format string, args ...any) models.CheckResult {
	return j.result(checkSchema, column, false, models.CheckResult{
		Figure: float64(figure), Limit: float64(limit), Message: fmt.Sprintf(format, args...)})
}

// newColumns finds what files have and data.columns does not know: something
// new upstream that somebody should look at. The figure is the files that have it.
func (j judge) newColumns() []models.CheckResult {
	if j.Schema.Files == 0 {
		return []models.CheckResult{j.skipped(checkNewColumn, "", "no file's columns are known")}
	}
	if len(j.Spec.Columns) == 0 {
		return []models.CheckResult{j.skipped(checkNewColumn, "", "data.columns says nothing of the columns there are; mainspring data infer writes it")}
	}
	known := map[string]bool{}
	for _, c := range dataset.Declared(j.Spec) {
		known[c.Name] = true
	}
	var found []models.CheckResult
	for _, c := range j.Schema.Columns {
		if known[c.Name] {
			continue
		}
		found = append(found, j.result(checkNewColumn, c.Name, false, models.CheckResult{
			Figure: float64(c.InFiles()),
			Message: fmt.Sprintf("column %q (%s) is new: %d of %d files have it, and data.columns does not know it",
				c.Name, c.Words(), c.InFiles(), j.Schema.Files)}))
	}
	if len(found) > 0 {
		return found
	}
	return []models.CheckResult{j.passed(checkNewColumn, "there are no columns beside the %d known ones", len(known))}
}

func (s Schema) column(name string) (SeenColumn, bool) {
	i := slices.IndexFunc(s.Columns, func(c SeenColumn) bool { return c.Name == name })
	if i < 0 {
		return SeenColumn{}, false
	}
	return s.Columns[i], true
}

// InFiles is how many files have the column.
func (c SeenColumn) InFiles() (n int) {
	for _, t := range c.Types {
		n += t.Files
	}
	return n
}

// Words writes "float64 (1 file, such as a.parquet) and int64 (11 files, …)".
func (c SeenColumn) Words() string {
	if len(c.Types) == 1 {
		return c.Types[0].Type
	}
	words := make([]string, len(c.Types))
	for i, t := range c.Types {
		words[i] = fmt.Sprintf("%s in %d (such as %s)", t.Type, t.Files, t.File)
	}
	return strings.Join(words, " and ")
}
