package profile_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

func TestExplained(t *testing.T) {
	const rows = 4000
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		random := rand.New(rand.NewPCG(1, 4))
		label := dataset.Series{Name: "y", Type: dataset.TypeInt64}
		copied := dataset.Series{Name: "copied", Type: dataset.TypeFloat64}
		named := dataset.Series{Name: "named", Type: dataset.TypeString}
		noise := dataset.Series{Name: "noise", Type: dataset.TypeFloat64}
		words := dataset.Series{Name: "words", Type: dataset.TypeString}
		half := dataset.Series{Name: "half", Type: dataset.TypeInt64}
		own := dataset.Series{Name: "own", Type: dataset.TypeFloat64} // all but a value for each row
		crowd := dataset.Series{Name: "crowd", Type: dataset.TypeString}
		for i := range rows {
			y := int64(random.IntN(2))
			if task != models.TaskBinary {
				y = int64(random.IntN(5))
			}
			label.Ints = append(label.Ints, y)
			copied.Floats = append(copied.Floats, 10*float64(y)+random.Float64())
			named.Strings = append(named.Strings, fmt.Sprint("class ", y))
			noise.Floats = append(noise.Floats, random.NormFloat64())
			words.Strings = append(words.Strings, fmt.Sprint(random.IntN(500)))
			if random.IntN(2) == 0 {
				y = 9
			}
			half.Ints = append(half.Ints, y)
			own.Floats = append(own.Floats, math.Exp(100*random.NormFloat64()))
			crowd.Strings = append(crowd.Strings, fmt.Sprint(i))
		}
		for i := range 1000 {
			crowd.Strings[i] = fmt.Sprint("more ", i)
		}
		table := dataset.Table{Series: []dataset.Series{label, copied, named, noise, words, half, own, crowd}}
		plan := profile.Plan{Spec: models.DataSpec{Label: "y", Task: task}, Columns: []models.Column{{Name: "y", Type: "int64", Role: "label"}}}
		for _, s := range table.Series[1:] {
			plan.Columns = append(plan.Columns, models.Column{Name: s.Name, Type: s.Type, Role: "feature"})
		}
		var evidence profile.Evidence
		appended := pass(t, plan, nil)
		for i := range 4 {
			chunk := part(table, i*rows/4, (i+1)*rows/4)
			if i%2 == 0 {
				chunk = code(chunk)
			}
			evidence = profile.MergeEvidence(evidence, pass(t, plan, nil, chunk).Finish().Evidence)
			appended.Append(pass(t, plan, nil, chunk))
		}
		for i, a := range appended.Finish().Evidence.Associations {
			got, ok := a.Explained(task)
			want, known := evidence.Associations[i].Explained(task)
			if ok != known || math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: %s explains %v in appended passes, %v in merged evidence", task, a.Column, got, want)
			}
		}
		limits := map[string][2]float64{"copied": {0.98, 1}, "named": {1 - 1e-2, 1}, "noise": {0, 0.1}, "words": {0, 0.1}, "half": {0.2, 0.6}, "own": {0, 0.1}}
		for _, a := range evidence.Associations {
			got, ok := a.Explained(task)
			limit, known := limits[a.Column]
			if !known {
				continue // crowd: each value has one row
			}
			if !ok || got < limit[0] || got > limit[1] {
				t.Errorf("%s: %s explains %.4f (%v)", task, a.Column, got, ok)
			}
		}
	}
}

// What Explained says of a table is what its definition says, chance aside.
// A feature that is the label where it has a value explains it, as far as it
// goes: rows without a value are in no cell.
func TestRowsWithoutAValueDoNotHideTheAnswer(t *testing.T) {
	const rows = 2000
	random := rand.New(rand.NewPCG(1, 5))
	label := dataset.Series{Name: "y", Type: dataset.TypeFloat64}
	number := dataset.Series{Name: "number", Type: dataset.TypeFloat64, Nulls: make([]bool, rows)}
	text := dataset.Series{Name: "text", Type: dataset.TypeString, Nulls: number.Nulls}
	for i := range rows {
		y := float64(random.IntN(5))
		number.Nulls[i] = random.IntN(2) == 0
		label.Floats, number.Floats, text.Strings = append(label.Floats, y), append(number.Floats, y), append(text.Strings, fmt.Sprint(y))
	}
	table := dataset.Table{Series: []dataset.Series{label, number, text}}
	plan := profile.Plan{Spec: models.DataSpec{Label: "y", Task: models.TaskRegression}, Columns: []models.Column{
		{Name: "y", Type: "float64", Role: "label"}, {Name: "number", Type: "float64", Role: "feature"}, {Name: "text", Type: "string", Role: "feature"}}}
	whole := part(table, 0, rows)
	for name, chunks := range map[string][]dataset.Chunk{"plain": {whole}, "coded": {code(whole)}} {
		found := pass(t, plan, nil)
		found.Append(pass(t, plan, nil, chunks...))
		for _, a := range found.Finish().Evidence.Associations {
			if got, ok := a.Explained(models.TaskRegression); !ok || got < 0.999 {
				t.Errorf("%s: %s explains %v of the label", name, a.Column, got)
			}
		}
	}
}

func TestExplainedByHand(t *testing.T) {
	a := profile.Association{Cells: []profile.Cell{{Key: 1, Labels: []int64{300, 100, 0}}, {Key: 2, Labels: []int64{100, 300, 7}}}}
	entropy := func(p float64) float64 { return -p*math.Log(p) - (1-p)*math.Log(1-p) }
	chance := 2 * 0.5 / 800 / entropy(0.5)
	want := (1 - entropy(0.25)/entropy(0.5) - chance) / (1 - chance)
	if got, ok := a.Explained(models.TaskBinary); !ok || math.Abs(got-want) > 1e-12 {
		t.Errorf("explained %v, want %v", got, want)
	}
	// Labels 1, 3 in one cell and 5, 7 in another: the variance is 5, 1 inside.
	r := profile.Association{Squares: 84, Cells: []profile.Cell{{Labels: []int64{2}, Sum: 4}, {Key: 1, Labels: []int64{2}, Sum: 12}}}
	if got, ok := r.Explained(models.TaskRegression); !ok || math.Abs(got-(1-1.0/5*3/2)) > 1e-12 {
		t.Errorf("explained %v", got)
	}
	for name, a := range map[string]profile.Association{
		"nothing": {}, "one label": {Cells: []profile.Cell{{Labels: []int64{5, 0, 0}}}}, "crowded": {Crowded: true},
	} {
		for _, task := range []models.Task{models.TaskBinary, models.TaskRegression} {
			if task == models.TaskRegression && name == "one label" {
				continue
			}
			if got, ok := a.Explained(task); ok {
				t.Errorf("%s, %s: explained %v", name, task, got)
			}
		}
	}
}

func TestTooManyStringsAreCrowded(t *testing.T) {
	s := dataset.Series{Name: "x", Type: dataset.TypeString}
	y := dataset.Series{Name: "y", Type: dataset.TypeInt64}
	for i := range 2 * profile.MaxValues {
		s.Strings, y.Ints = append(s.Strings, fmt.Sprint(i)), append(y.Ints, int64(i%2))
	}
	plan := profile.Plan{Spec: models.DataSpec{Label: "y"}, Columns: []models.Column{
		{Name: "x", Type: s.Type, Role: "feature"}, {Name: "y", Type: y.Type, Role: "label"},
	}}
	table := dataset.Table{Series: []dataset.Series{s, y}}
	// Each half alone is not crowded, which only their merging shows.
	for name, chunks := range map[string][]dataset.Chunk{"plain": {part(table, 0, 8192)}, "coded": {code(part(table, 0, 8192))}} {
		e := pass(t, plan, nil, chunks...).Finish().Evidence
		if _, ok := e.Associations[0].Explained(models.TaskBinary); ok || !e.Associations[0].Crowded || len(e.Associations[0].Cells) > 0 {
			t.Errorf("%s: %d cells", name, len(e.Associations[0].Cells))
		}
	}
	first := pass(t, plan, nil, part(table, 0, 4096)).Finish().Evidence
	second := pass(t, plan, nil, part(table, 4096, 8192)).Finish().Evidence
	if merged := profile.MergeEvidence(first, second); !merged.Associations[0].Crowded {
		t.Errorf("merged: %d cells", len(merged.Associations[0].Cells))
	}
}
