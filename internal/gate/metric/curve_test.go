package metric

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestCurvesByHand(t *testing.T) {
	s := Sample{
		Task: models.TaskBinary, Labels: []float64{1, 0, 1, 0, 0}, Blocks: []int32{0, 0, 0, 0, 0},
		Candidate: Answers{Values: []float64{0.9, 0.8, 0.8, 0.05, 0}},
	}
	c := Measure(s, Settings{Level: 0.1, Resamples: 5}).Curves
	sameCurve(t, "ROC", c.ROC, [][2]float64{{0, 0}, {0, 0.5}, {1.0 / 3, 1}, {2.0 / 3, 1}, {1, 1}})
	sameCurve(t, "PR", c.PR, [][2]float64{{0, 1}, {0.5, 1}, {1, 2.0 / 3}, {1, 0.5}, {1, 0.4}})
	want := []models.ReliabilityBin{
		{Low: 0, High: edge(1), Rows: 2, Predicted: 0.025}, {Low: edge(11), High: edge(12), Rows: 2, Predicted: 0.8, Observed: 0.5},
		{Low: edge(13), High: edge(14), Rows: 1, Predicted: 0.9, Observed: 1},
	}
	for i, bin := range c.Reliability {
		if bin != want[i] {
			t.Errorf("bin %+v, want %+v", bin, want[i])
		}
	}
	if len(c.Reliability) != len(want) || c.ChampionROC != nil || c.ChampionReliability != nil {
		t.Errorf("curves %+v", c)
	}
}

func sameCurve(t *testing.T, what string, got, want [][2]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range want {
		near(t, what, got[i][0], want[i][0], 1e-12)
		near(t, what, got[i][1], want[i][1], 1e-12)
	}
}

// TestCurvesOfManyRows: thinned, rising, and with about the area of the figure.
func TestCurvesOfManyRows(t *testing.T) {
	s := world{models.TaskBinary, 0.2, 0.2, 0.2, 1}.draw(rand.New(rand.NewPCG(1, 2)), 14, 1000)
	m := Measure(s, Settings{Level: 0.1, Resamples: 5})
	for _, curve := range [][][2]float64{m.Curves.ROC, m.Curves.ChampionROC, m.Curves.PR, m.Curves.ChampionPR} {
		if len(curve) != points {
			t.Errorf("%d points", len(curve))
		}
	}
	area, roc := 0.0, m.Curves.ROC
	for i := 1; i < len(roc); i++ {
		if roc[i][0] < roc[i-1][0] || roc[i][1] < roc[i-1][1] {
			t.Errorf("ROC falls at point %d", i)
		}
		area += (roc[i][0] - roc[i-1][0]) * (roc[i][1] + roc[i-1][1]) / 2
	}
	near(t, "area", area, m.Candidate[models.AUC].Value, 1e-3)
	if roc[0] != [2]float64{0, 0} || roc[points-1] != [2]float64{1, 1} || m.Curves.PR[0] != [2]float64{0, 1} || m.Curves.PR[points-1][0] != 1 {
		t.Errorf("ends: ROC %v to %v, PR %v to %v", roc[0], roc[points-1], m.Curves.PR[0], m.Curves.PR[points-1])
	}
}

func TestReliabilityAddsUpToTheCalibrationError(t *testing.T) {
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass} {
		s := world{task, 0.2, 0.2, 0.2, 2}.draw(rand.New(rand.NewPCG(1, 2)), 14, 100)
		m := Measure(s, Settings{Level: 0.1, Resamples: 5})
		sum, rows := 0.0, int64(0)
		for _, bin := range m.Curves.Reliability {
			sum += float64(bin.Rows) * max(bin.Predicted-bin.Observed, bin.Observed-bin.Predicted)
			rows += bin.Rows
		}
		near(t, string(task), sum/float64(rows), m.Candidate[models.CalibrationError].Value, 1e-12)
	}
}

// TestBinOf against its definition, around every edge.
func TestBinOf(t *testing.T) {
	for k := range bins + 1 {
		for _, p := range []float64{math.Nextafter(edge(k), 0), edge(k), math.Nextafter(edge(k), 1)} {
			want := 0
			for want < bins-1 && p > edge(want+1) {
				want++
			}
			if got := binOf(p); got != want {
				t.Errorf("%.17g lies in bin %d, want %d", p, got, want)
			}
		}
	}
}
