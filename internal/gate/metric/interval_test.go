package metric

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestDeviations against tables: t(0.9; 4) is 1.5332, t(0.9995; 4) is 8.6103.
func TestDeviations(t *testing.T) {
	near(t, "5 blocks", deviations(0.1, 5), 1.5332*math.Sqrt(5.0/4), 1e-4)
	near(t, "5 blocks, 200 slices", deviations(0.1/200, 5), 8.6103*math.Sqrt(5.0/4), 1e-3)
	near(t, "14 blocks", deviations(0.1, 14), 1.3502*math.Sqrt(14.0/13), 1e-4)
	near(t, "many", deviations(0.1, 1_000_000), 1.2816, 1e-4)
	near(t, "one", deviations(0.1, 1), 1.2816, 1e-4)
}

// TestPercentiles: of a normal distribution, inside and where values run out.
func TestPercentiles(t *testing.T) {
	normal := make([]float64, 1000)
	for i := range normal {
		normal[i] = -math.Sqrt2 * math.Erfcinv(2*(float64(i)+0.5)/1000)
	}
	for deviations, want := range map[float64]float64{1.2816: 1.2816, 2.5758: 2.5758, 3.7190: 3.7190, 9.63: 9.63, 1e9: mostDeviations} {
		low, high := percentiles(normal, deviations)
		near(t, "low", low, -want, 0.01*want)
		near(t, "high", high, want, 0.01*want)
	}
	for _, few := range [][]float64{{1}, {1, 1, 1}, {1, 2}} {
		if low, high := percentiles(few, 2.3263); !(low <= high) || !finite(low) || !finite(high) {
			t.Errorf("%v: from %v to %v", few, low, high)
		}
	}
}

func TestDrawBlocks(t *testing.T) {
	draws := drawBlocks(8, 2000, 3)
	if draws.count() != 2001 {
		t.Fatalf("%d resamples", draws.count())
	}
	totals := make([]float64, 8)
	for i := range draws.count() {
		sum := float32(0)
		for b, w := range draws.of(i) {
			sum += w
			totals[b] += float64(w) / 2001
			if i == 0 && w != 1 {
				t.Errorf("block %d of the sample itself counts %v times", b, w)
			}
		}
		if sum != 8 {
			t.Errorf("resample %d has %v blocks", i, sum)
		}
	}
	for _, mean := range totals {
		near(t, "mean weight", mean, 1, 0.1)
	}
}

// TestRareLabelsHaveNoInterval: label 1 in one block of ten says nothing about
// how other blocks would rank, however many rows that block has.
func TestRareLabelsHaveNoInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(blocksWithOnes int) Measurement {
		s := Sample{Task: models.TaskBinary, Candidate: Answers{Classes: 1}, Champion: &Answers{Classes: 1}}
		for b := range 10 {
			for i := range 100 {
				label := 0.0
				if b < blocksWithOnes && i < 20 {
					label = 1
				}
				s.Labels, s.Blocks = append(s.Labels, label), append(s.Blocks, int32(b))
				s.Candidate.Values = append(s.Candidate.Values, (label+3*r.Float64())/4)
				s.Champion.Values = append(s.Champion.Values, (label+4*r.Float64())/5)
			}
		}
		return Measure(s, Settings{Level: 0.1, Resamples: 500, Seed: 1})
	}
	rare := draw(1)
	for _, metric := range []models.Metric{models.AUC, models.PRAUC} {
		if e, ok := rare.Candidate[metric]; !ok || e.Low != 0 || e.High != 1 || e.Value <= 0 || e.Value >= 1 {
			t.Errorf("%s %+v, want it from 0 to 1", metric, e)
		}
		if e, ok := rare.Gains[metric]; !ok || e.Low != -1 || e.High != 1 || e.Value == 0 {
			t.Errorf("gain in %s %+v, want it from -1 to 1", metric, e)
		}
	}
	if e := rare.Candidate[models.Brier]; e.High > 0.5 {
		t.Errorf("every resample has a Brier score, and it goes to %v", e.High)
	}
	for _, metric := range []models.Metric{models.AUC, models.PRAUC} {
		if e := draw(8).Candidate[metric]; e.Low < 0.4*e.Value || e.High >= 1 {
			t.Errorf("eight blocks: %s %+v", metric, e)
		}
	}
}

// TestRareSlicesKeepTheirFigures: that a slice is in few of the blocks is no lack
// of what a figure needs.
func TestRareSlicesKeepTheirFigures(t *testing.T) {
	s := world{models.TaskBinary, 0.2, 0.2, 0.5, 1}.draw(rand.New(rand.NewPCG(1, 2)), 14, 40)
	cut := Slicing{Column: "season", Names: []string{"first days", "rest"}, Groups: make([]int32, len(s.Labels)), MinRows: 1}
	for i, b := range s.Blocks {
		if b >= 3 {
			cut.Groups[i] = 1
		}
	}
	s.Slicings = []Slicing{cut}
	slice := Measure(s, Settings{Level: 0.1, Resamples: 500, Seed: 1}).Slices[0]
	if slice.Gain == nil || slice.StrictGain == nil || len(slice.Candidate) != 7 || slice.Candidate[models.AUC].High == 1 {
		t.Errorf("gain %v, figures %v", slice.Gain, slice.Candidate)
	}
}

// TestSlicesShareTheLevel: of two equally good models, the candidate is called
// worse in any of many slices in a share of cases that the level allows, with
// the fewest blocks too.
func TestSlicesShareTheLevel(t *testing.T) {
	const trials, number, level = 150, 100, 0.1
	r, worse := rand.New(rand.NewPCG(3, 4)), 0
	for i := range trials {
		s := sliced(world{models.TaskRegression, 0, 0, 1, 1}.draw(r, 5, 10*number), number, 0)
		for _, slice := range Measure(s, Settings{Level: level, Resamples: 300, Seed: uint64(i), Only: []models.Metric{models.RMSE}}).Slices {
			if slice.StrictGain.High < 0 {
				worse++
				break
			}
		}
	}
	if share := float64(worse) / trials; share > level+0.05 {
		t.Errorf("some slice was called worse in %.3f of cases, level %v", share, level)
	}
}
