package metric

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestSlicesAreSamples: a slice has the figures of its rows measured alone.
func TestSlicesAreSamples(t *testing.T) {
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		whole := sliced(world{task, 0.2, 0.2, 0.2, 1}.draw(rand.New(rand.NewPCG(1, 2)), 9, 90), 3, 0)
		set := Settings{Level: 0.1, Resamples: 100, Seed: 4}
		m := Measure(whole, set)
		for g, slice := range m.Slices {
			alone := Measure(part(whole, g), set)
			if !slice.Judged || slice.Blocks != 9 || slice.Column != "remainder" || slice.Slice != string(rune('a'+g)) {
				t.Errorf("%s: slice %+v", task, slice)
			}
			sameFigures(t, "candidate", slice.Candidate, alone.Candidate)
			sameFigures(t, "champion", slice.Champion, alone.Champion)
			metric := task.DefaultMetric()
			sameFigures(t, "gain", map[models.Metric]models.Estimate{metric: *slice.Gain}, map[models.Metric]models.Estimate{metric: alone.Gains[metric]})
			set := set
			set.Level /= 3
			strict := Measure(part(whole, g), set)
			sameFigures(t, "strict", slice.Strict, strict.Candidate)
			sameFigures(t, "strict gain", map[models.Metric]models.Estimate{metric: *slice.StrictGain}, map[models.Metric]models.Estimate{metric: strict.Gains[metric]})
		}
	}
}

func part(s Sample, group int) Sample {
	p := Sample{Task: s.Task, Candidate: Answers{Classes: s.Candidate.Classes}, Champion: &Answers{Classes: s.Champion.Classes}}
	for i, g := range s.Slicings[0].Groups {
		if int(g) == group {
			k := s.Candidate.Classes
			p.Labels, p.Blocks = append(p.Labels, s.Labels[i]), append(p.Blocks, s.Blocks[i])
			p.Candidate.Values = append(p.Candidate.Values, s.Candidate.Values[i*k:(i+1)*k]...)
			p.Champion.Values = append(p.Champion.Values, s.Champion.Values[i*k:(i+1)*k]...)
		}
	}
	return p
}

func sameFigures(t *testing.T, what string, got, want map[models.Metric]models.Estimate) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Errorf("%s: %d figures, want %d", what, len(got), len(want))
	}
	for metric, e := range want {
		near(t, what+" "+string(metric), got[metric].Value, e.Value, 1e-9)
		near(t, what+" "+string(metric)+" low", got[metric].Low, e.Low, 1e-9)
		near(t, what+" "+string(metric)+" high", got[metric].High, e.High, 1e-9)
	}
}

func TestSlicesThatAreNotJudged(t *testing.T) {
	s := world{models.TaskBinary, 0.2, 0.2, 0.2, 1}.draw(rand.New(rand.NewPCG(1, 2)), 4, 40)
	s.Champion = nil
	rows := len(s.Labels)
	cut := Slicing{Column: "kind", Names: []string{"large", "one block", "small", "empty"}, Groups: make([]int32, rows), MinRows: 20}
	want := []models.SliceEvidence{
		{Column: "kind", Slice: "large", Blocks: 4}, {Column: "kind", Slice: "one block", Blocks: 1},
		{Column: "kind", Slice: "small", Rows: 8, Blocks: 2}, {Column: "kind", Slice: "empty"},
	}
	small := map[int32]int{}
	for i, b := range s.Blocks {
		switch {
		case b >= 2 && small[b] < 4:
			cut.Groups[i] = 2
			small[b]++
		case b == 0 && i%2 == 0:
			cut.Groups[i] = 1
			want[1].Rows++
		case i == rows-1:
			cut.Groups[i] = -1
		default:
			want[0].Rows++
		}
	}
	s.Slicings = []Slicing{cut}
	got := Measure(s, Settings{Level: 0.1, Resamples: 50}).Slices
	if large := got[0]; !large.Judged || len(large.Candidate) != 7 || len(large.Strict) != 7 || large.Gain != nil || large.StrictGain != nil || large.Champion != nil {
		t.Errorf("large: %+v", large)
	}
	if !reflect.DeepEqual(got[0].Candidate, got[0].Strict) {
		t.Error("the only judged slice shares its level with none")
	}
	got[0].Judged, got[0].Candidate, got[0].Strict = false, nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestOnlyTheBrokenSliceLacksFigures: one row without a number spoils the whole
// and its own slice.
func TestOnlyTheBrokenSliceLacksFigures(t *testing.T) {
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		s := sliced(world{task, 0.2, 0.2, 0.2, 1}.draw(rand.New(rand.NewPCG(1, 2)), 6, 60), 3, 0)
		s.Candidate.Values[4*s.Candidate.Classes] = math.NaN() // row 4, slice 1
		m := Measure(s, Settings{Level: 0.1, Resamples: 50})
		all := len(task.Metrics())
		if len(m.Candidate) != 0 || len(m.Gains) != 0 || len(m.Champion) != all {
			t.Errorf("%s: %d figures, %d gains, %d of the champion", task, len(m.Candidate), len(m.Gains), len(m.Champion))
		}
		if m.Curves.ROC != nil || m.Curves.PR != nil || m.Curves.Reliability != nil {
			t.Errorf("%s: curves of part of the rows", task)
		}
		for g, slice := range m.Slices {
			if broken := g == 1; broken != (len(slice.Candidate) == 0) || broken != (slice.Gain == nil) || len(slice.Champion) != all || !slice.Judged {
				t.Errorf("%s: slice %d: %+v", task, g, slice)
			}
		}
	}
}
