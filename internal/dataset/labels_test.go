package dataset_test

import (
	"math"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func taskSpec(task models.Task, classes ...string) models.DataSpec {
	s := spec()
	s.Task, s.Classes = task, classes
	return s
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

func TestLabelsAsNumbers(t *testing.T) {
	texts := func(v ...string) dataset.Series { return dataset.Series{Type: "string", Strings: v} }
	floats := func(v ...float64) dataset.Series { return dataset.Series{Type: "float64", Floats: v} }
	whole := func(v ...int64) dataset.Series { return dataset.Series{Type: "int64", Ints: v} }
	none := math.NaN() // stands for a label that the task does not know
	null := texts("cat", "")
	null.Nulls = []bool{false, true}
	for name, test := range map[string]struct {
		spec  models.DataSpec
		label dataset.Series
		want  []float64
	}{
		"binary":             {taskSpec(models.TaskBinary), whole(0, 1, 2), []float64{0, 1, none}},
		"no task is binary":  {taskSpec(""), floats(0, 1, 0.5, math.NaN()), []float64{0, 1, none, none}},
		"classes by name":    {taskSpec(models.TaskMulticlass, "cat", "dog"), texts("dog", "cat", "Cat"), []float64{1, 0, none}},
		"a null":             {taskSpec(models.TaskMulticlass, "cat", "dog"), null, []float64{0, none}},
		"numbers as names":   {taskSpec(models.TaskMulticlass, "1", "2"), floats(1, 2, 0), []float64{0, 1, none}},
		"class numbers":      {taskSpec(models.TaskMulticlass), whole(0, 7, -1), []float64{0, 7, none}},
		"no class number":    {taskSpec(models.TaskMulticlass), floats(0, 1.5, 1e12), []float64{0, none, none}},
		"regression":         {taskSpec(models.TaskRegression), floats(-1.5, math.Inf(1)), []float64{-1.5, none}},
		"strings, no number": {taskSpec(models.TaskRegression), texts("1.5"), []float64{none}},
	} {
		labels := dataset.NewLabels(test.spec)
		for row, want := range test.want {
			got, ok := labels.Number(&test.label, row)
			if ok == math.IsNaN(want) || ok && got != want {
				t.Errorf("%s: row %d is %v, %v; want %v", name, row, got, ok, want)
			}
		}
	}
}
