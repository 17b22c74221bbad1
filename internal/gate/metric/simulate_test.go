package metric

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// world makes held-out rows of which the truth is known. Rows of one block
// share a shock to the outcome and one to each model, so they are correlated.
type world struct {
	task    models.Task
	outcome float64 // deviation of the block's shock to the outcome
	error   float64 // deviation of the block's shock to each model
	noise   float64 // deviation of each model's error by row
	slope   float64 // of the models' logits: 1 is calibrated but for the noise
}

func (w world) draw(r *rand.Rand, blocks, rowsPerBlock int) Sample {
	s := Sample{Task: w.task, Candidate: Answers{Classes: 1}, Champion: &Answers{Classes: 1}}
	if w.task == models.TaskMulticlass {
		s.Candidate.Classes, s.Champion.Classes = 3, 3
	}
	for b := range blocks {
		shock, errors := w.outcome*r.NormFloat64(), [2]float64{w.error * r.NormFloat64(), w.error * r.NormFloat64()}
		for range rowsPerBlock/2 + r.IntN(rowsPerBlock+1) {
			w.row(r, &s, shock, errors)
			s.Blocks = append(s.Blocks, int32(b))
		}
	}
	return s
}

func (w world) row(r *rand.Rand, s *Sample, shock float64, errors [2]float64) {
	sides := []*Answers{&s.Candidate, s.Champion}
	x := 1.2 * r.NormFloat64()
	switch w.task {
	case models.TaskRegression:
		s.Labels = append(s.Labels, x+shock+r.NormFloat64())
		for i, side := range sides {
			side.Values = append(side.Values, x+errors[i]+w.noise*r.NormFloat64())
		}
	case models.TaskMulticlass:
		z := 1.2 * r.NormFloat64()
		p, u, label := softmax(0, x+shock, z), r.Float64(), 0.0
		if u > p[0] {
			label++
		}
		if u > p[0]+p[1] {
			label++
		}
		s.Labels = append(s.Labels, label)
		for i, side := range sides {
			side.Values = append(side.Values, softmax(0, w.slope*(x+errors[i]+w.noise*r.NormFloat64()), w.slope*(z+w.noise*r.NormFloat64()))...)
		}
	case models.TaskBinary:
		label := 0.0
		if r.Float64() < sigmoid(x-0.5+shock) {
			label = 1
		}
		s.Labels = append(s.Labels, label)
		for i, side := range sides {
			side.Values = append(side.Values, sigmoid(w.slope*(x-0.5+errors[i]+w.noise*r.NormFloat64())))
		}
	}
}

func softmax(values ...float64) []float64 {
	sum := 0.0
	for i, v := range values {
		values[i] = math.Exp(v)
		sum += values[i]
	}
	for i := range values {
		values[i] /= sum
	}
	return values
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// TestCoverage: of intervals at level 0.1 on each side, four in five hold the
// truth, whatever the metric, with few blocks too.
func TestCoverage(t *testing.T) {
	const trials, level = 200, 0.1
	for _, w := range []world{
		{models.TaskBinary, 0.4, 0.2, 0.3, 1.8}, {models.TaskMulticlass, 0.4, 0.2, 0.3, 1.8}, {models.TaskRegression, 0.4, 0.2, 0.3, 1},
	} {
		truth := Measure(w.draw(rand.New(rand.NewPCG(1, 2)), 4000, 20), Settings{Level: level, Resamples: 1}).Candidate
		for _, blocks := range []int{7, 30} {
			r, held := rand.New(rand.NewPCG(3, 4)), map[models.Metric]int{}
			for i := range trials {
				for metric, e := range Measure(w.draw(r, blocks, 20), Settings{Level: level, Resamples: 150, Seed: uint64(i)}).Candidate {
					if e.Low <= truth[metric].Value && truth[metric].Value <= e.High {
						held[metric]++
					}
				}
			}
			for _, metric := range w.task.Metrics() {
				share := float64(held[metric]) / trials
				t.Logf("%s, %d blocks: %s %.4f held by %.3f", w.task, blocks, metric, truth[metric].Value, share)
				if share < 1-2*level-0.08 || share > 1-2*level+0.1 {
					t.Errorf("%s, %d blocks: %s: %.3f of the intervals hold the truth, want about %v", w.task, blocks, metric, share, 1-2*level)
				}
			}
		}
	}
}

// TestLevelOfGains: of two equally good models, the candidate is called better
// in about the share of cases that the level promises, and worse likewise.
func TestLevelOfGains(t *testing.T) {
	const trials, level = 400, 0.1
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		for _, blocks := range []int{5, 14} {
			w := world{task, 0.4, 0.3, 0.5, 1}
			r, better, worse := rand.New(rand.NewPCG(3, 4)), map[models.Metric]int{}, map[models.Metric]int{}
			for i := range trials {
				for metric, gain := range Measure(w.draw(r, blocks, 20), Settings{Level: level, Resamples: 150, Seed: uint64(i)}).Gains {
					if gain.Low > 0 {
						better[metric]++
					}
					if gain.High < 0 {
						worse[metric]++
					}
				}
			}
			for _, metric := range task.Metrics() {
				up, down := float64(better[metric])/trials, float64(worse[metric])/trials
				t.Logf("%s, %d blocks: %s: equal models better in %.3f, worse in %.3f", task, blocks, metric, up, down)
				// Both models are alike, so the directions may be taken together.
				if (up+down)/2 > level+0.035 || max(up, down) > level+0.06 {
					t.Errorf("%s, %d blocks: %s errs in %.3f and %.3f of cases, level %v", task, blocks, metric, up, down, level)
				}
			}
		}
	}
}
