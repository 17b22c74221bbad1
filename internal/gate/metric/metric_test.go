package metric

import (
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestMeasure by hand. Half of the resamples of two blocks keep both.
func TestMeasure(t *testing.T) {
	s := Sample{
		Task: models.TaskBinary, Labels: []float64{1, 0, 1}, Blocks: []int32{0, 0, 1},
		Candidate: Answers{Values: []float64{0.5, 0.5, 1}}, Champion: &Answers{Values: []float64{0.5, 0.5, 0}},
	}
	m := Measure(s, Settings{Level: 0.4, Resamples: 4000, Seed: 1})
	wantBlocks := []BlockLoss{{2, math.Ln2, math.Ln2}, {1, 0, -math.Log(clip)}}
	for i, want := range wantBlocks {
		if m.Blocks[i].Rows != want.Rows {
			t.Errorf("block %d: %d rows, want %d", i, m.Blocks[i].Rows, want.Rows)
		}
		near(t, "candidate's block", m.Blocks[i].Candidate, want.Candidate, 1e-12)
		near(t, "champion's block", m.Blocks[i].Champion, want.Champion, 1e-12)
	}
	for metric, want := range map[models.Metric][3]float64{ // candidate, champion, gain
		models.LogLoss:          {2 * math.Ln2 / 3, (2*math.Ln2 - math.Log(clip)) / 3, -math.Log(clip) / 3},
		models.Brier:            {0.5 / 3, 0.5, 1.0 / 3},
		models.AUC:              {0.75, 0.25, 0.5},
		models.PRAUC:            {0.5 + 0.5*2/3, 0.5*0.5 + 0.5*2/3, 0.25},
		models.Accuracy:         {2.0 / 3, 1.0 / 3, 1.0 / 3},
		models.F1:               {0.8, 0.5, 0.3},
		models.CalibrationError: {0, 1.0 / 3, 1.0 / 3},
	} {
		near(t, string(metric)+" of the candidate", m.Candidate[metric].Value, want[0], 1e-12)
		near(t, string(metric)+" of the champion", m.Champion[metric].Value, want[1], 1e-12)
		near(t, string(metric)+" gained", m.Gains[metric].Value, want[2], 1e-12)
	}
	if m.Candidate[models.Brier] != (models.Estimate{Value: 0.5 / 3, Low: 0.5 / 3, High: 0.5 / 3}) {
		t.Errorf("Brier %+v: percentiles 0.32 and 0.68 keep both blocks", m.Candidate[models.Brier])
	}
	wide := Measure(s, Settings{Level: 0.1, Resamples: 4000, Seed: 1}).Candidate[models.Brier]
	if wide.Low != 0 || wide.High <= 0.25 {
		t.Errorf("Brier %+v: two blocks know next to nothing", wide)
	}
}

func TestGainsPointTheSameWay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		s := world{task, 0.2, 0, 0, 1}.draw(r, 20, 60) // equal models without noise
		s.Champion = &Answers{Values: slices.Clone(s.Champion.Values), Classes: s.Champion.Classes}
		for from := 0; from < len(s.Champion.Values); from += s.Champion.Classes {
			if r.Float64() < 0.5 { // half of the champion's answers are another row's
				other := r.IntN(len(s.Labels)) * s.Champion.Classes
				copy(s.Champion.Values[from:from+s.Champion.Classes], s.Candidate.Values[other:])
			}
		}
		m := Measure(s, Settings{Level: 0.1, Resamples: 200})
		for _, metric := range task.Metrics() {
			if gain := m.Gains[metric]; gain.Low <= 0 {
				t.Errorf("%s: gain in %s is %+v, and the champion guesses", task, metric, gain)
			}
			gap := math.Abs(m.Candidate[metric].Value - m.Champion[metric].Value)
			near(t, string(metric), m.Gains[metric].Value, gap, 1e-12)
		}
	}
}

func TestWhatRowsDoNotGive(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	all, none := models.TaskBinary.Metrics(), []models.Metric{}
	for name, test := range map[string]struct {
		labels, candidate, champion []float64
		want, gains                 []models.Metric
	}{
		"no rows":             {[]float64{}, []float64{}, []float64{}, none, none},
		"ones only":           {[]float64{1, 1}, []float64{0.2, 0.3}, []float64{0.2, 0.3}, without(all, models.AUC), without(all, models.AUC)},
		"zeros, none called":  {[]float64{0, 0}, []float64{0.2, 0.3}, []float64{0.2, 0.3}, without(all, models.AUC, models.PRAUC, models.F1), without(all, models.AUC, models.PRAUC, models.F1)},
		"no number":           {[]float64{1, 0}, []float64{nan, 0.3}, []float64{0.5, 0.5}, none, none},
		"champion: no number": {[]float64{1, 0, 1, 0}, []float64{0.6, 0.3, 0.6, 0.3}, []float64{nan, 0.5, 0.5, inf}, all, none},
		"no probability":      {[]float64{1, 0}, []float64{1.01, 0.3}, []float64{0.5, 0.5}, none, none},
		"label is no number":  {[]float64{1, nan}, []float64{0.2, 0.3}, []float64{0.5, 0.5}, none, none},
		"label is no label":   {[]float64{1, 0.5}, []float64{0.2, 0.3}, []float64{0.5, 0.5}, none, none},
	} {
		t.Run(name, func(t *testing.T) {
			s := Sample{Task: models.TaskBinary, Labels: test.labels, Candidate: Answers{Values: test.candidate}, Champion: &Answers{Values: test.champion}}
			s.Blocks = make([]int32, len(s.Labels))
			for i := range s.Blocks {
				s.Blocks[i] = int32(i / 2)
			}
			m := Measure(s, Settings{Level: 0.1, Resamples: 50})
			if got := measured(m.Candidate); !slices.Equal(got, sorted(test.want)) {
				t.Errorf("measured %v, want %v", got, test.want)
			}
			if got := measured(m.Gains); !slices.Equal(got, sorted(test.gains)) {
				t.Errorf("gains of %v, want %v", got, test.gains)
			}
			if _, err := json.Marshal(m); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNumbersTooLargeToSquare: no figure and no block's loss is infinite, which
// JSON could not carry.
func TestNumbersTooLargeToSquare(t *testing.T) {
	s := world{models.TaskRegression, 0.2, 0.2, 0.2, 1}.draw(rand.New(rand.NewPCG(1, 2)), 6, 10)
	s.Champion.Values[3], s.Champion.Values[4] = 1e200, -1e154
	m := Measure(s, Settings{Level: 0.1, Resamples: 50})
	if len(m.Champion) != 0 || len(m.Gains) != 0 || len(m.Candidate) != 4 {
		t.Errorf("candidate %v, champion %v, gains %v", m.Candidate, m.Champion, m.Gains)
	}
	if _, err := json.Marshal(m.Blocks); err != nil {
		t.Error(err)
	}
	for _, answer := range []float64{1e200, -1e154, math.Inf(1), math.NaN()} {
		if loss := Loss(models.TaskRegression, []float64{answer}, 1); !math.IsNaN(loss) {
			t.Errorf("the loss of %v is %v", answer, loss)
		}
	}
}

// TestEqualLabelsHaveNoR2, though their variance is a rounding error and not 0.
func TestEqualLabelsHaveNoR2(t *testing.T) {
	for _, equal := range []float64{0.1, 0.2, 0.3, 1e6 + 0.1} {
		s := Sample{Task: models.TaskRegression, Slicings: []Slicing{{Names: []string{"equal"}}}}
		for i := range 120 {
			group, label := int32(0), equal
			if i%4 == 0 {
				group, label = -1, 0.7+float64(i)
			}
			s.Labels, s.Blocks = append(s.Labels, label), append(s.Blocks, int32(i/10))
			s.Candidate.Values, s.Slicings[0].Groups = append(s.Candidate.Values, float64(i)), append(s.Slicings[0].Groups, group)
		}
		m := Measure(s, Settings{Level: 0.1, Resamples: 50})
		if r2, ok := m.Slices[0].Candidate[models.R2]; ok || len(m.Slices[0].Candidate) != 3 || len(m.Candidate) != 4 {
			t.Errorf("slice of equal labels %v: %v; all rows: %v", equal, r2, m.Candidate)
		}
	}
}

func measured(figures map[models.Metric]models.Estimate) []models.Metric {
	return slices.Sorted(maps.Keys(figures))
}

func sorted(metrics []models.Metric) []models.Metric { return slices.Sorted(slices.Values(metrics)) }

func without(metrics []models.Metric, out ...models.Metric) []models.Metric {
	return slices.DeleteFunc(slices.Clone(metrics), func(m models.Metric) bool { return slices.Contains(out, m) })
}

func TestOnly(t *testing.T) {
	s := world{models.TaskBinary, 0.2, 0.2, 0.2, 1}.draw(rand.New(rand.NewPCG(1, 2)), 10, 50)
	all := Measure(s, Settings{Level: 0.1, Resamples: 100})
	for _, metric := range models.TaskBinary.Metrics() {
		m := Measure(s, Settings{Level: 0.1, Resamples: 100, Only: []models.Metric{metric}})
		if len(m.Candidate) != 1 || m.Candidate[metric] != all.Candidate[metric] || m.Gains[metric] != all.Gains[metric] {
			t.Errorf("%s alone: %v, among others: %v", metric, m.Candidate, all.Candidate[metric])
		}
	}
}

// TestMeasureIsRepeatable: the seed decides, and the number of cores doesn't.
func TestMeasureIsRepeatable(t *testing.T) {
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		s := sliced(world{task, 0.2, 0.2, 0.2, 1}.draw(rand.New(rand.NewPCG(1, 2)), 9, 200), 5, 0)
		set := Settings{Level: 0.1, Resamples: 100, Seed: 9}
		cores := runtime.GOMAXPROCS(1)
		first := Measure(s, set)
		runtime.GOMAXPROCS(4)
		if !reflect.DeepEqual(first, Measure(s, set)) {
			t.Errorf("%s: more cores gave other figures", task)
		}
		runtime.GOMAXPROCS(cores)
		set.Seed = 10
		if reflect.DeepEqual(first.Gains, Measure(s, set).Gains) {
			t.Errorf("%s: another seed gave the same resamples", task)
		}
	}
}

// sliced adds a slicing with so many slices, row by row.
func sliced(s Sample, slices int, minRows int64) Sample {
	cut := Slicing{Column: "remainder", MinRows: minRows, Groups: make([]int32, len(s.Labels))}
	for g := range slices {
		cut.Names = append(cut.Names, string(rune('a'+g)))
	}
	for i := range cut.Groups {
		cut.Groups[i] = int32(i % slices)
	}
	s.Slicings = append(s.Slicings, cut)
	return s
}

func TestLengthsMustAgree(t *testing.T) {
	for name, s := range map[string]Sample{
		"answers":  {Task: models.TaskBinary, Labels: []float64{1, 0}, Candidate: Answers{Values: []float64{0.5}}, Blocks: []int32{0, 0}},
		"blocks":   {Task: models.TaskBinary, Labels: []float64{1}, Candidate: Answers{Values: []float64{0.5}}},
		"classes":  {Task: models.TaskMulticlass, Labels: []float64{1}, Candidate: Answers{Values: []float64{0.5}}, Blocks: []int32{0}},
		"champion": {Task: models.TaskBinary, Labels: []float64{1}, Candidate: Answers{Values: []float64{0.5}}, Champion: &Answers{}, Blocks: []int32{0}},
		"groups":   {Task: models.TaskBinary, Labels: []float64{1}, Candidate: Answers{Values: []float64{0.5}}, Blocks: []int32{0}, Slicings: []Slicing{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			Measure(s, Settings{Resamples: 1})
		})
	}
}

func TestLoss(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		task   models.Task
		answer []float64
		label  float64
		want   float64
	}{
		{models.TaskBinary, []float64{0.25}, 1, math.Log(4)},
		{models.TaskBinary, []float64{0.25}, 0, math.Log(4.0 / 3)},
		{models.TaskBinary, []float64{0}, 1, 52 * math.Ln2},
		{models.TaskBinary, []float64{1e-18}, 0, clip},
		{models.TaskBinary, []float64{0.25}, 2, nan},
		{models.TaskBinary, []float64{nan}, 1, nan},
		{models.TaskMulticlass, []float64{0.5, 0.25, 0.25}, 2, math.Log(4)},
		{models.TaskMulticlass, []float64{0.5, 0.25, 0.25}, 3, nan},
		{models.TaskMulticlass, []float64{0.5, 0.25, 0.25}, 0.5, nan},
		{models.TaskMulticlass, []float64{0.5, -0.25, 0.75}, 0, nan},
		{models.TaskRegression, []float64{3}, 1, 4},
		{models.TaskRegression, []float64{math.Inf(1)}, 1, nan},
	} {
		if got := Loss(test.task, test.answer, test.label); !(math.Abs(got-test.want) < 1e-12) && !(math.IsNaN(got) && math.IsNaN(test.want)) {
			t.Errorf("%s: %v of %v costs %v, want %v", test.task, test.answer, test.label, got, test.want)
		}
	}
}

// FuzzMeasure: whatever the answers, no figure is NaN, values lie in their
// range, and the mirrored answers have the complementary area.
func FuzzMeasure(f *testing.F) {
	f.Add([]byte{1, 200, 3, 200, 7, 9})
	f.Add([]byte{0, 255, 254, 1, 8, 8, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, mirrored := Sample{Task: models.TaskBinary, Champion: &Answers{}}, Sample{Task: models.TaskBinary}
		for i, b := range data {
			p := float64(b>>1) / 127
			s.Labels, s.Blocks = append(s.Labels, float64(b&1)), append(s.Blocks, int32(i/3))
			s.Candidate.Values, s.Champion.Values = append(s.Candidate.Values, p), append(s.Champion.Values, 0.5)
			mirrored.Candidate.Values = append(mirrored.Candidate.Values, 1-p)
		}
		mirrored.Labels, mirrored.Blocks = s.Labels, s.Blocks
		m := Measure(sliced(s, 2, 2), Settings{Level: 0.1, Resamples: 20})
		if _, err := json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		for metric, e := range m.Candidate {
			low, high := span(slot(slices.Index(names[:], metric)))
			if !(e.Value >= low && e.Value <= high+1e-12) {
				t.Errorf("%s is %v", metric, e.Value)
			}
		}
		if area, ok := m.Candidate[models.AUC]; ok {
			near(t, "mirrored area", Measure(mirrored, Settings{Level: 0.1, Resamples: 5}).Candidate[models.AUC].Value, 1-area.Value, 1e-12)
		}
	})
}
