package dataset_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// labelled is a table of training rows and one held-out row, with these labels.
func labelled(label dataset.Series) dataset.Table {
	rows := make([]row, label.Len())
	for i := range rows {
		at := day(2)
		if i == len(rows)-1 {
			at = day(9)
		}
		rows[i] = row{id: string(rune('a' + i)), at: at, known: day(10)}
	}
	in := table(rows...)
	label.Name = "late"
	*in.Column("late") = label
	return in
}

func taskSpec(task models.Task, classes ...string) models.DataSpec {
	s := spec()
	s.Task, s.Classes = task, classes
	return s
}

func resolveLabel(t *testing.T, s models.DataSpec, kind string) []models.Column {
	t.Helper()
	f := fields()
	f[2].Type = kind
	columns, err := dataset.Resolve(s, dataset.Source{Fields: f})
	if err != nil {
		t.Fatal(err)
	}
	return columns
}

func TestLabelTypes(t *testing.T) {
	for name, test := range map[string]struct {
		spec models.DataSpec
		kind string
		want string
	}{
		"binary": {taskSpec(models.TaskBinary), "string",
			`column "late" (label) has type string, but must be int64 or bool or float64; labels can be strings in task multiclass with data.classes, and this is task binary`},
		"class numbers": {taskSpec(models.TaskMulticlass), "string", `but must be int64 or float64; labels can be strings in task multiclass with data.classes, and data.classes is empty`},
		"regression":    {taskSpec(models.TaskRegression), "bool", `column "late" (label) has type bool, but must be int64 or float64`},
		"classes":       {taskSpec(models.TaskMulticlass, "a", "b"), "timestamp", `but must be string or int64 or float64`},
	} {
		f := fields()
		f[2].Type = test.kind
		_, err := dataset.Resolve(test.spec, dataset.Source{Fields: f})
		wantError(t, name, err, models.KindInvalidSpec, test.want)
	}
}
