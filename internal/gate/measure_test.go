package gate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestMetricsAgreeWithScikitLearn(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name           string
		Labels, Scores []float64
		LogLoss        float64 `json:"log_loss"`
		Brier, AUC     float64
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) != 8 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		blocks := make([]int, len(c.Labels))
		for i := range blocks {
			blocks[i] = i % 3 // metrics do not depend on blocks
		}
		m := Measure(Sample{Labels: c.Labels, Candidate: c.Scores, Blocks: blocks}, Settings{Level: 0.1, Resamples: 50})
		near(t, c.Name+": log-loss", m.Candidate[models.LogLoss].Value, c.LogLoss, 1e-9)
		near(t, c.Name+": Brier", m.Candidate[models.Brier].Value, c.Brier, 1e-9)
		near(t, c.Name+": AUC", m.Candidate[models.AUC].Value, c.AUC, 1e-9)
	}
}

// TestAgainstDumbOracle: each resample written out row by row, each pair of
// rows compared.
func TestAgainstDumbOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		s := draw(r, 60, 4, 0.3)
		for i := range s.Candidate {
			s.Candidate[i] = math.Round(s.Candidate[i]*5) / 5 // many ties
		}
		weights := []float64{0, 2, 1, 3}
		var scores, labels []float64
		for i, b := range s.Blocks {
			for range int(weights[b]) {
				scores, labels = append(scores, s.Candidate[i]), append(labels, s.Labels[i])
			}
		}
		loss, brier, wins, pairs := 0.0, 0.0, 0.0, 0.0
		for i, p := range scores {
			loss -= math.Log(math.Abs(1 - labels[i] - min(max(p, clip), 1-clip)))
			brier += (p - labels[i]) * (p - labels[i])
			for j, q := range scores {
				if labels[i] == 1 && labels[j] == 0 {
					pairs++
					switch {
					case p > q:
						wins++
					case p == q:
						wins += 0.5
					}
				}
			}
		}
		n := float64(len(scores))
		near(t, "log-loss", meanOver(byBlock(s.Candidate, s, LogLoss))(weights), loss/n, 1e-9)
		near(t, "Brier", meanOver(byBlock(s.Candidate, s, Brier))(weights), brier/n, 1e-12)
		near(t, "AUC", rankRows(s.Candidate, s.Labels, s.Blocks).auc(weights), wins/pairs, 1e-12)
	}
}

// TestMeasure by hand: two blocks, so that a resample is one of three.
func TestMeasure(t *testing.T) {
	s := Sample{
		Labels:    []float64{1, 0, 1},
		Candidate: []float64{0.5, 0.5, 1},
		Champion:  []float64{0.5, 0.5, 0},
		Blocks:    []int{0, 0, 1},
	}
	m := Measure(s, Settings{Metric: models.Brier, Level: 0.0001, Resamples: 4000, Seed: 1})
	want := []BlockLoss{{Rows: 2, Candidate: 0.25, Champion: 0.25}, {Rows: 1, Candidate: 0, Champion: 1}}
	if !reflect.DeepEqual(m.Blocks, want) {
		t.Errorf("blocks %+v, want %+v", m.Blocks, want)
	}
	for name, figure := range map[string]struct{ got, want models.Estimate }{
		"candidate": {m.Candidate[models.Brier], models.Estimate{Value: 0.5 / 3, Low: 0, High: 0.25}},
		"champion":  {m.Champion[models.Brier], models.Estimate{Value: 0.5, Low: 0.25, High: 1}},
		"gain":      {*m.Gain, models.Estimate{Value: 1.0 / 3, Low: 0, High: 1}},
		"AUC":       {m.Candidate[models.AUC], models.Estimate{Value: 0.75, Low: 0.5, High: 0.75}},
	} {
		near(t, name, figure.got.Value, figure.want.Value, 1e-12)
		near(t, name+" low", figure.got.Low, figure.want.Low, 1e-12)
		near(t, name+" high", figure.got.High, figure.want.High, 1e-12)
	}
}

func TestWhatRowsDoNotGive(t *testing.T) {
	set := Settings{Level: 0.1, Resamples: 100}
	for name, test := range map[string]struct {
		sample Sample
		want   []models.Metric
	}{
		"no rows":   {Sample{Champion: []float64{}}, nil},
		"one label": {Sample{Labels: []float64{1, 1}, Candidate: []float64{0.2, 0.3}, Blocks: []int{0, 1}}, []models.Metric{models.Brier, models.LogLoss}},
		"not a number": {Sample{Labels: []float64{1, 0}, Candidate: []float64{math.NaN(), 0.3}, Blocks: []int{0, 1},
			Champion: []float64{0.5, 0.5}}, nil},
	} {
		m := Measure(test.sample, set)
		var got []models.Metric
		for metric := range m.Candidate {
			got = append(got, metric)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) || m.Gain != nil {
			t.Errorf("%s: measured %v, gain %v; want %v and no gain", name, got, m.Gain, test.want)
		}
	}
}

func TestLengthsMustAgree(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Measure(Sample{Labels: []float64{1, 0}, Candidate: []float64{0.5}, Blocks: []int{0, 0}}, Settings{Resamples: 1})
}

func TestMeasureIsRepeatable(t *testing.T) {
	s := draw(rand.New(rand.NewPCG(5, 6)), 700, 7, 1)
	set := Settings{Metric: models.LogLoss, Level: 0.1, Resamples: 100, Seed: 9}
	first := Measure(s, set)
	if !reflect.DeepEqual(first, Measure(s, set)) {
		t.Error("the same seed gave other figures")
	}
	set.Seed = 10
	if reflect.DeepEqual(first.Gain, Measure(s, set).Gain) {
		t.Error("another seed gave the same resamples")
	}
}

// TestExpand against tables: t(0.9; 4) = 1.5332 times √(5/4) is the normal
// quantile of 0.0433.
func TestExpand(t *testing.T) {
	near(t, "5 blocks", expand(0.1, 5), 0.0433, 1e-4)
	near(t, "14 blocks", expand(0.1, 14), 0.0805, 1e-4)
	near(t, "many", expand(0.1, 1_000_000), 0.1, 1e-5)
	near(t, "one", expand(0.1, 1), 0.1, 0)
	near(t, "no level", expand(0.7, 10), 0.7, 0)
}

// TestLevel: two equally good models on days with common shocks. Each bound
// is wrong in about the share of cases that the level promises, for few blocks
// too.
func TestLevel(t *testing.T) {
	const trials, level = 600, 0.1
	for _, blocks := range []int{5, 14} {
		r := rand.New(rand.NewPCG(3, 4))
		passed, failed := 0, 0
		for i := range trials {
			s := twins(r, 20*blocks, blocks)
			switch m := Measure(s, Settings{Level: level, Resamples: 300, Seed: uint64(i)}); side(*m.Gain, 0) {
			case models.VerdictPass:
				passed++
			case models.VerdictFail:
				failed++
			case models.VerdictInconclusive:
			}
		}
		t.Logf("%d blocks: equal models pass in %.3f and fail in %.3f of the trials", blocks, float64(passed)/trials, float64(failed)/trials)
		for _, wrong := range []int{passed, failed} {
			if share := float64(wrong) / trials; share > level+0.04 || share < level-0.06 {
				t.Errorf("%d blocks: %.3f, level %v", blocks, share, level)
			}
		}
	}
}

// twins are two models whose losses differ by a common shock of the day.
func twins(r *rand.Rand, rows, blocks int) Sample {
	s := draw(r, rows, blocks, 0)
	shocks := make([]float64, blocks)
	for b := range shocks {
		shocks[b] = 0.3 * r.NormFloat64()
	}
	for i, p := range s.Candidate {
		logit := math.Log(p / (1 - p))
		s.Candidate[i], s.Champion[i] = sigmoid(logit+shocks[s.Blocks[i]]), sigmoid(logit-shocks[s.Blocks[i]])
		s.Labels[i] = 0
		if r.Float64() < p {
			s.Labels[i] = 1
		}
	}
	return s
}

// draw makes rows in blocks with a common shock each; the champion's scores
// have noise of deviation gap, in logits.
func draw(r *rand.Rand, rows, blocks int, gap float64) Sample {
	s := Sample{}
	shocks := make([]float64, blocks)
	for b := range shocks {
		shocks[b] = 0.5 * r.NormFloat64()
	}
	for i := range rows {
		b := i * blocks / rows
		logit := -1 + r.NormFloat64()
		label := 0.0
		if r.Float64() < sigmoid(logit+shocks[b]) {
			label = 1
		}
		s.Labels, s.Blocks = append(s.Labels, label), append(s.Blocks, b)
		s.Candidate = append(s.Candidate, sigmoid(logit))
		s.Champion = append(s.Champion, sigmoid(logit+gap*r.NormFloat64()))
	}
	return s
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %.12g, want %.12g", what, got, want)
	}
}

// FuzzAUC: never outside [0, 1], and its complement when the scores are mirrored.
func FuzzAUC(f *testing.F) {
	f.Add([]byte{1, 200, 3, 200, 7, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		var scores, mirrored, labels []float64
		for _, b := range data {
			scores = append(scores, float64(b>>3)/32)
			mirrored = append(mirrored, 1-float64(b>>3)/32)
			labels = append(labels, float64(b&1))
		}
		if !slices.Contains(labels, 1) || !slices.Contains(labels, 0) {
			t.Skip("one label only")
		}
		blocks := make([]int, len(data))
		area := rankRows(scores, labels, blocks).auc([]float64{1})
		if other := rankRows(mirrored, labels, blocks).auc([]float64{1}); !(area >= 0 && area <= 1) || math.Abs(area+other-1) > 1e-12 {
			t.Fatalf("area %v, mirrored %v", area, other)
		}
	})
}

// BenchmarkMeasureFortnight: 14 days of 900 rows, 2000 resamples.
func BenchmarkMeasureFortnight(b *testing.B) {
	s := draw(rand.New(rand.NewPCG(1, 1)), 14*900, 14, 0.5)
	for b.Loop() {
		Measure(s, Settings{Metric: models.LogLoss, Level: 0.1, Resamples: 2000, Seed: 1})
	}
}
