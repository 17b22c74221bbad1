package exhibit

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// TestMeasured draws what is really measured, for every task; where LOOK says,
// it leaves the files for eyes.
func TestMeasured(t *testing.T) {
	look := os.Getenv("LOOK")
	for name, e := range map[string]Evidence{
		"comparison": comparison(), "first": first(), "binary": measured(models.TaskBinary, 1),
		"multiclass": measured(models.TaskMulticlass, 3), "regression": measured(models.TaskRegression, 1),
	} {
		files := Files(e)
		checkFiles(t, name, files)
		if len(files) < 4 {
			t.Errorf("%s: only %q", name, names(files))
		}
		if look == "" {
			continue
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(look, name+"_"+filepath.Base(f.Name)), f.Content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// measured is a champion with more noise than the candidate, on 14 days.
func measured(task models.Task, classes int) Evidence {
	const rows, days = 14 * 300, 14
	random := rand.New(rand.NewPCG(7, uint64(classes)))
	s := metric.Sample{
		Task: task, Candidate: metric.Answers{Classes: classes}, Champion: &metric.Answers{Classes: classes},
		Slicings: []metric.Slicing{{Column: "origin", Names: []string{"EWR", "JFK", "LGA", "other"}, MinRows: 200}},
	}
	for i := range rows {
		s.Blocks = append(s.Blocks, int32(i*days/rows))
		s.Slicings[0].Groups = append(s.Slicings[0].Groups, int32(min(i%7, 3)))
		truth := 2 * random.NormFloat64()
		s.Candidate.Values = append(s.Candidate.Values, answer(task, classes, truth+0.3*random.NormFloat64())...)
		s.Champion.Values = append(s.Champion.Values, answer(task, classes, truth+0.8*random.NormFloat64())...)
		s.Labels = append(s.Labels, outcome(task, classes, truth, random))
	}
	spec := models.EvaluateSpec{Slices: []models.SliceSpec{{Column: "origin"}}, SliceMargin: ptr(0.0)}.WithDefaultsFor(task)
	m := metric.Measure(s, metric.Settings{Metric: task.DefaultMetric(), Level: 0.1, Resamples: 200, Seed: 1, Threshold: 0.5, Quantile: 0.5})
	e := Evidence{Model: "m", Champion: "1", Task: task, Spec: spec, Curves: m.Curves, Evaluation: models.Evaluation{
		Rows: rows, Blocks: days, Candidate: m.Candidate, Champion: m.Champion, Gains: m.Gains,
		Gain: ptr(m.Gains[task.DefaultMetric()]), Slices: m.Slices,
	}}
	for i, b := range m.Blocks {
		start := time.Date(2013, 7, 20, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i)
		e.Evaluation.Days = append(e.Evaluation.Days, models.BlockComparison{Start: start, Rows: b.Rows, Candidate: b.Candidate, Champion: b.Champion})
	}
	e.Gate = gate.Decide(spec, task, e.Evaluation)
	return e
}

func answer(task models.Task, classes int, score float64) []float64 {
	switch task {
	case models.TaskRegression:
		return []float64{10 + 3*score}
	case models.TaskMulticlass:
		p := make([]float64, classes)
		total := 0.0
		for k := range p {
			p[k] = math.Exp(-(score - float64(2*k-2)) * (score - float64(2*k-2)) / 4)
			total += p[k]
		}
		for k := range p {
			p[k] /= total
		}
		return p
	default:
		return []float64{1 / (1 + math.Exp(1-score))}
	}
}

func outcome(task models.Task, classes int, truth float64, random *rand.Rand) float64 {
	if task == models.TaskRegression {
		return 10 + 3*truth + random.NormFloat64()
	}
	p, u := answer(task, classes, truth), random.Float64()
	if task == models.TaskBinary {
		if u < p[0] {
			return 1
		}
		return 0
	}
	for k, share := range p {
		if u -= share; u < 0 {
			return float64(k)
		}
	}
	return float64(classes - 1)
}
