package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// simulate makes held-out rows in order of time: the outcome depends on a
// logit, on a shock of the day and on chance; both models see the logit with
// noise of their own. Slices come from -columns columns of equal size.
func simulate(o options, rows int) metric.Sample {
	random := rand.New(rand.NewPCG(o.seed, 1))
	s := metric.Sample{
		Task: models.TaskBinary, Labels: make([]float64, rows), Blocks: make([]int32, rows),
		Candidate: metric.Answers{Values: make([]float64, rows), Classes: 1},
		Champion:  &metric.Answers{Values: make([]float64, rows), Classes: 1},
	}
	shocks := make([]float64, o.blocks)
	for b := range shocks {
		shocks[b] = 0.3 * random.NormFloat64()
	}
	for i := range s.Labels {
		block := i * o.blocks / rows
		logit := -1 + 1.2*random.NormFloat64()
		s.Blocks[i] = int32(block)
		if random.Float64() < sigmoid(logit+shocks[block]) {
			s.Labels[i] = 1
		}
		s.Candidate.Values[i] = sigmoid(logit + 0.4*random.NormFloat64())
		s.Champion.Values[i] = sigmoid(logit + 0.6*random.NormFloat64())
	}
	for c := range o.columns {
		s.Slicings = append(s.Slicings, slicing(c, rows, o, random))
	}
	return s
}

func slicing(column, rows int, o options, random *rand.Rand) metric.Slicing {
	values := o.slices / o.columns
	if column < o.slices%o.columns {
		values++
	}
	cut := metric.Slicing{Column: fmt.Sprintf("column %d", column+1), Groups: make([]int32, rows), MinRows: 200}
	for v := range values {
		cut.Names = append(cut.Names, fmt.Sprintf("value %d", v+1))
	}
	for i := range cut.Groups {
		cut.Groups[i] = random.Int32N(int32(values))
	}
	return cut
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
