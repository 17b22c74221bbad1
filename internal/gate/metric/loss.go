package metric

import (
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// clip keeps log-loss finite: probabilities nearer to 0 or 1 count as this far
// away. It is the machine epsilon, as in scikit-learn.
const clip = 1.0 / (1 << 52)

// Loss is the loss of one row: log-loss, or squared error for task regression.
// It is NaN when the answer is no probability (or no number, or one beyond
// counting) or the label is none of the task's.
func Loss(task models.Task, answer []float64, label float64) float64 {
	switch {
	case task == models.TaskRegression:
		if e := answer[0] - label; countable(e) {
			return e * e
		}
	case task == models.TaskMulticlass:
		if class, ok := classOf(label, len(answer)); ok && probabilities(answer) {
			return surprise(answer[class])
		}
	case probability(answer[0]) && label == 1:
		return surprise(answer[0])
	case probability(answer[0]) && label == 0:
		return complementSurprise(answer[0])
	}
	return math.NaN()
}

// surprise is the log-loss of an outcome of probability p.
func surprise(p float64) float64 { return -math.Log(min(max(p, clip), 1-clip)) }

// complementSurprise is that of an outcome of probability 1-p, without losing
// what is small in p.
func complementSurprise(p float64) float64 { return -math.Log1p(-min(max(p, clip), 1-clip)) }

func probability(p float64) bool { return p >= 0 && p <= 1 }

func probabilities(answer []float64) bool {
	for _, p := range answer {
		if !probability(p) {
			return false
		}
	}
	return true
}

func classOf(label float64, classes int) (int, bool) {
	class := int(label)
	return class, float64(class) == label && class >= 0 && class < classes
}

// largest bounds what is squared, so that the squares of 1e8 rows add up to a
// number.
const largest = 1e150

// countable tells numbers from NaN, and from those too large to be squared.
func countable(v float64) bool { return math.Abs(v) <= largest }
