package metric

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// golden is one case of testdata/golden, see generate.py there.
type golden struct {
	Name     string
	Task     models.Task
	Setting  float64
	Labels   []float64
	Answers  []float64
	Blocks   []int32
	Groups   []int32
	All      map[models.Metric]*float64
	Slices   []map[models.Metric]*float64
	Weights  []float32
	Weighted map[models.Metric]*float64
}

func (g golden) sample() (Sample, Settings) {
	s := Sample{
		Task: g.Task, Labels: g.Labels, Candidate: Answers{Values: g.Answers, Classes: 1}, Blocks: g.Blocks,
		Slicings: []Slicing{{Column: "group", Names: []string{"0", "1", "2"}, Groups: g.Groups}},
	}
	set := Settings{Level: 0.1, Resamples: 60}
	switch g.Task {
	case models.TaskBinary:
		set.Threshold = g.Setting
	case models.TaskMulticlass:
		s.Candidate.Classes = int(g.Setting)
	case models.TaskRegression:
		set.Quantile = g.Setting
	}
	return s, set
}

func goldens(t *testing.T) []golden {
	t.Helper()
	var all []golden
	for file, cases := range map[string]int{"binary": 14, "multiclass": 7, "regression": 6} {
		data, err := os.ReadFile("testdata/golden/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var content struct{ Cases []golden }
		if err := json.Unmarshal(data, &content); err != nil || len(content.Cases) != cases {
			t.Fatalf("%s: %d cases, %v", file, len(content.Cases), err)
		}
		all = append(all, content.Cases...)
	}
	return all
}

func TestFiguresAgreeWithScikitLearn(t *testing.T) {
	compared := 0
	for _, g := range goldens(t) {
		t.Run(string(g.Task)+"/"+g.Name, func(t *testing.T) {
			s, set := g.sample()
			m := Measure(s, set)
			compared += agree(t, "all rows", m.Candidate, g.All)
			for i, slice := range m.Slices {
				if want := g.Slices[i]; want != nil {
					compared += agree(t, "slice "+slice.Slice, slice.Candidate, want)
				}
			}
		})
	}
	if compared < 500 {
		t.Errorf("only %d figures compared", compared)
	}
}

func agree(t *testing.T, what string, got map[models.Metric]models.Estimate, want map[models.Metric]*float64) int {
	t.Helper()
	compared := 0
	for metric, value := range want {
		estimate, measured := got[metric]
		switch {
		case value == nil && measured:
			t.Errorf("%s: %s is %v and should be absent", what, metric, estimate)
		case value != nil && !measured:
			t.Errorf("%s: %s is absent, want %v", what, metric, *value)
		case value != nil:
			compared++
			near(t, what+": "+string(metric), estimate.Value, *value, 1e-9)
			if estimate.Low > estimate.High {
				t.Errorf("%s: %s from %v to %v", what, metric, estimate.Low, estimate.High)
			}
		}
	}
	return compared
}

// TestResamplesAgreeWithScikitLearn: a resample is the same as weighted rows.
func TestResamplesAgreeWithScikitLearn(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(string(g.Task)+"/"+g.Name, func(t *testing.T) {
			s, set := g.sample()
			got := weighted(s, set, g.Weights)
			for metric, want := range g.Weighted {
				for at := range slots {
					switch value := got[at]; {
					case names[at] != metric:
					case want == nil && finite(value):
						t.Errorf("%s is %v and should not be known", metric, value)
					case want != nil:
						near(t, string(metric), value, *want, 1e-9)
					}
				}
			}
		})
	}
}

// weighted gives the candidate's figures of one resample.
func weighted(s Sample, set Settings, weights []float32) figures {
	p := arrange(s, set)
	draws := drawBlocks(p.blocks, 1, 0)
	copy(draws.of(1), weights)
	sides := []side{{answers: s.Candidate}}
	measureSides(s, p, draws, set, sides)
	return sides[0].figures[0][1]
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
		t.Errorf("%s: %.15g, want %.15g", what, got, want)
	}
}
