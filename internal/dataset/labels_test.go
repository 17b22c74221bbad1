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

func TestLabelsOfTheTasks(t *testing.T) {
	texts := func(v ...string) dataset.Series { return dataset.Series{Type: "string", Strings: v} }
	floats := func(v ...float64) dataset.Series { return dataset.Series{Type: "float64", Floats: v} }
	whole := func(v ...int64) dataset.Series { return dataset.Series{Type: "int64", Ints: v} }
	withNull := texts("cat", "dog", "", "dog")
	withNull.Nulls = []bool{false, false, true, false}
	for name, test := range map[string]struct {
		spec  models.DataSpec
		label dataset.Series
		want  []string // what the error says; none: there is none
	}{
		"binary":             {taskSpec(models.TaskBinary), whole(0, 1, 1), nil},
		"no task is binary":  {taskSpec(""), floats(0, 1, 1), nil},
		"binary, half":       {taskSpec(models.TaskBinary), floats(0, 1, 0.5), []string{`column "late": 1 labels are neither 0 nor 1, such as "0.5"`}},
		"binary, one label":  {taskSpec(models.TaskBinary), whole(1, 1, 0), []string{`column "late": every training row has the label 1, both 0 and 1 are needed`}},
		"classes by name":    {taskSpec(models.TaskMulticlass, "cat", "dog"), texts("cat", "dog", "cat"), nil},
		"an unknown class":   {taskSpec(models.TaskMulticlass, "cat", "dog"), texts("cat", "dog", "eel", "dgo"), []string{`column "late": 2 labels are none of the 2 classes, such as "dgo"`}},
		"other letter case":  {taskSpec(models.TaskMulticlass, "cat", "dog"), texts("cat", "dog", "Cat"), []string{`1 labels are none of the 2 classes, such as "Cat"`}},
		"one class":          {taskSpec(models.TaskMulticlass, "cat", "dog"), texts("dog", "dog", "cat"), []string{`column "late": every one of the 2 training rows has the class "dog", at least two classes are needed`}},
		"a null":             {taskSpec(models.TaskMulticlass, "cat", "dog"), withNull, []string{`column "late": 1 of 4 values are null or NaN (a share of 0.25), at most 0 allowed`}},
		"numbers as names":   {taskSpec(models.TaskMulticlass, "1", "2"), floats(1, 2, 1), nil},
		"numbers, not names": {taskSpec(models.TaskMulticlass, "1", "2"), whole(1, 2, 0), []string{`1 labels are none of the 2 classes, such as "0"`}},
		"class numbers":      {taskSpec(models.TaskMulticlass), whole(0, 7, 3), nil},
		"floats as numbers":  {taskSpec(models.TaskMulticlass), floats(0, 7, 3), nil},
		"no class number":    {taskSpec(models.TaskMulticlass), floats(0, 1, 1.5, -1, 2), []string{`column "late": 2 labels are no class numbers (whole, from 0 on), such as "-1"`}},
		"one class number":   {taskSpec(models.TaskMulticlass), whole(3, 3, 3), []string{`every one of the 2 training rows has the class 3, at least two classes are needed`}},
		"regression":         {taskSpec(models.TaskRegression), floats(-1.5, 2, 2), nil},
		"whole numbers":      {taskSpec(models.TaskRegression), whole(5, 2, 2), nil},
		"infinite":           {taskSpec(models.TaskRegression), floats(1, 2, math.Inf(1), math.Inf(-1)), []string{`column "late": 2 labels are no finite numbers, such as "+Inf"`}},
		"not a number":       {taskSpec(models.TaskRegression), floats(1, 2, math.NaN(), 3), []string{`column "late": 1 of 4 values are null or NaN (a share of 0.25)`}},
		"all equal":          {taskSpec(models.TaskRegression), floats(2, 2, 2, 1), []string{`column "late": every one of the 3 training rows has the label 2, different ones are needed`}},
	} {
		t.Run(name, func(t *testing.T) {
			share := dataset.Split(test.spec, resolveLabel(t, test.spec, test.label.Type), labelled(test.label))
			_, err := dataset.Check(test.spec, share.Summary)
			if test.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, name, err, models.KindDataCheckFailed, "/: 1 of ", test.want[0])
		})
	}
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

func TestStringLabelsSurvive(t *testing.T) {
	s := taskSpec(models.TaskMulticlass, "cat", "dog", "eel")
	columns := resolveLabel(t, s, "string")
	share := dataset.Split(s, columns, labelled(dataset.Series{Type: "string", Strings: []string{"dog", "cat", "eel"}}))
	if got := share.Train.Column("late").Strings; !slices.Equal(got, []string{"dog", "cat"}) {
		t.Errorf("training labels %q", got)
	}
	if got := share.Test.Column("late").Strings; !slices.Equal(got, []string{"eel"}) {
		t.Errorf("held-out labels %q", got)
	}
	if c := share.Summary.Columns[2]; c != (models.Column{Name: "late", Type: "string", Role: "label"}) {
		t.Errorf("column %+v", c)
	}
	if v, ok := dataset.NewLabels(s).Number(share.Test.Column("late"), 0); !ok || v != 2 {
		t.Errorf("eel is class %v, %v; want 2", v, ok)
	}
}

// TestLabelsMerge: the verdict on labels does not depend on how rows are spread
// over partitions.
func TestLabelsMerge(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	words := []string{"cat", "dog", "eel", "fox", "", strings.Repeat("long ", 20)}
	s := taskSpec(models.TaskMulticlass, "cat", "dog")
	columns := resolveLabel(t, s, "string")
	for range 200 {
		labels := make([]string, 2+random.IntN(8))
		for i := range labels {
			labels[i] = words[random.IntN(len(words))]
		}
		in := labelled(dataset.Series{Type: "string", Strings: labels})
		whole := dataset.Split(s, columns, in).Summary
		var parts dataset.Summary
		for _, i := range random.Perm(len(labels)) {
			one := dataset.Table{Series: make([]dataset.Series, len(in.Series))}
			for c := range in.Series {
				one.Series[c] = in.Series[c].Pick([]int{i})
			}
			parts = dataset.Merge(parts, dataset.Split(s, columns, one).Summary)
		}
		want, wantErr := dataset.Check(s, whole)
		got, gotErr := dataset.Check(s, parts)
		if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("labels %q:\none by one %+v\nat once    %+v", labels, got, want)
		}
	}
}

// TestCheckNames: a spec can ask for every check that is made, and for no other.
func TestCheckNames(t *testing.T) {
	s := spec()
	low := 0.0
	s.Checks.Range = map[string]models.Range{"distance": {Min: &low}}
	results, err := dataset.Check(s, dataset.Split(s, resolve(t, s), table(many(4)...)).Summary)
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, r := range results {
		if !slices.Contains(made, r.Check) {
			made = append(made, r.Check)
		}
	}
	if !slices.Equal(made, models.DataCheckNames()) {
		t.Errorf("checks made %q, named in models %q", made, models.DataCheckNames())
	}
}
