package drift

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/mainspring-ml/mainspring/models"
)

// The bets of kind level. Its null hypothesis is that the expected loss of a
// block, whatever happened before, is at most the level m. A bettor who thinks
// that it is m + Δ, with a deviation of σ, puts the share λ = Δ/(σ²+Δ²) of his
// capital on it: a loss x multiplies the capital by 1 + λ(x-m), which averages
// at most 1 under the hypothesis, and is never negative as long as λ ≤ 1/m and
// losses are not. That bound makes the detector slow where losses vary by little
// in proportion to the level; the conformal one is not.
const (
	// clip is how many deviations above the level a loss counts at most. A lower
	// loss has no higher expectation, so this keeps the null hypothesis, and one
	// wild block, as squared errors have them, can neither raise an alarm alone
	// nor spoil the deviation.
	clip = 3
	// confidence is that of the limit which a level is made of.
	confidence = 0.95
)

// levelOf is the promised mean loss: the spec's level. Otherwise it is the upper
// end of the interval that evaluation found for the mean loss, but not less than
// the upper 95 % limit of the mean of the reference blocks, mean + t·s/√n with
// Student's t: a holdout that happened to be easy is no promise. What evaluation
// found for all of the traffic says nothing about a slice, which has the latter
// limit only. Zero: nobody promised anything, and the detector stays silent.
func levelOf(d models.Detector, promised models.Estimate) float64 {
	if d.Spec.Level != nil {
		return *d.Spec.Level
	}
	m := 0.0
	if d.Spec.Column == "" && !math.IsNaN(promised.High) {
		m = max(m, promised.High)
	}
	return store(max(m, limitOf(d)))
}

// limitOf is the upper 95 % limit of the mean of the losses so far; 0: they are
// too few to know.
func limitOf(d models.Detector) float64 {
	sigma := deviation(d)
	if sigma <= 0 {
		return 0
	}
	t := distuv.StudentsT{Sigma: 1, Nu: d.Sums[0] - 1}.Quantile(confidence)
	return store(d.Sums[1] + t*sigma/math.Sqrt(d.Sums[0]))
}

// deviation is the standard deviation of the losses so far; 0: not known.
func deviation(d models.Detector) float64 {
	if len(d.Sums) == 0 || d.Sums[0] < 2 {
		return 0
	}
	return math.Sqrt(d.Sums[2] / (d.Sums[0] - 1))
}

// learnSums adds a loss to number, mean and sum of squared deviations.
func learnSums(d *models.Detector, loss float64) {
	sums := []float64{0, 0, 0}
	copy(sums, d.Sums)
	sums[0]++
	step := loss - sums[1]
	sums[1] = short(sums[1]+step/sums[0], 12)
	sums[2] = short(min(sums[2]+step*(loss-sums[1]), most), 12)
	d.Sums = sums
}

// clipped is what a loss counts.
func clipped(d models.Detector, loss float64) float64 {
	return min(max(loss, 0), d.Level+clip*scale(d))
}

// scale is the deviation, or the level while that is not known.
func scale(d models.Detector) float64 {
	if sigma := deviation(d); sigma > 0 {
		return sigma
	}
	return d.Level
}

// betOnLevel plays the stake on a clipped loss. The detector does not know it yet.
func betOnLevel(s *models.Stake, d models.Detector, loss float64) {
	for i, shift := range bettors() {
		delta := float64(shift) / perSigma
		lambda := min(delta/(1+delta*delta)/scale(d), 1/d.Level)
		s.Capitals[i] *= max(0, 1+lambda*(loss-d.Level))
	}
}
