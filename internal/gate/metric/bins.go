package metric

import (
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// bins is the number of bins of the calibration error, as in Guo et al. (2017),
// "On Calibration of Modern Neural Networks".
const bins = 15

// binOf is the bin of a probability: k for (k/15, (k+1)/15], 0 for 0. Edges are
// multiples of 1/15 as numpy's linspace rounds them.
func binOf(p float64) int {
	k := min(int(p*bins), bins-1)
	if p <= edge(k) && k > 0 {
		return k - 1
	}
	return k
}

func edge(k int) float64 {
	if k == bins {
		return 1
	}
	return float64(k) * (1.0 / bins)
}

// distance adds up how far predictions and outcomes lie apart in each bin.
func distance(differences []float64) float64 {
	sum := 0.0
	for _, d := range differences {
		sum += math.Abs(d)
	}
	return sum
}

// reliability collects a reliability diagram.
type reliability [bins]struct{ rows, predicted, observed float64 }

func (r *reliability) add(p, outcome float64) {
	bin := &r[binOf(p)]
	bin.rows++
	bin.predicted += p
	bin.observed += outcome
}

// list has the bins that hold rows.
func (r *reliability) list() []models.ReliabilityBin {
	var list []models.ReliabilityBin
	for k, bin := range r {
		if bin.rows > 0 {
			list = append(list, models.ReliabilityBin{
				Low: edge(k), High: edge(k + 1), Rows: int64(bin.rows), Predicted: bin.predicted / bin.rows, Observed: bin.observed / bin.rows,
			})
		}
	}
	return list
}
