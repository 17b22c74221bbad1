// Package gate scores predictions of a binary outcome and decides whether a
// candidate may be registered. It is arithmetic on plain slices without clock,
// I/O or hidden randomness.
//
// # Vocabulary
//
//   - A score is a predicted probability of label 1. A loss is what one score
//     costs, lower is better. A metric is a figure over many rows: the mean of a
//     loss, or AUC.
//   - A block is a span of event time. Rows of one block resemble each other, so
//     blocks, not rows, are resampled.
//   - The gain is the champion's metric minus the candidate's on the same rows;
//     above 0 the candidate is better.
//   - A verdict is pass, fail or inconclusive; missing evidence is inconclusive.
//   - A check holds one figure against one limit. A ruling is a check of a slice.
package gate

import (
	"cmp"
	"math"
	"slices"
)

// clip keeps log-loss finite: scores nearer to 0 or 1 count as this far away,
// so one row costs at most 36. It is the machine epsilon, as in scikit-learn.
const clip = 1.0 / (1 << 52)

// LogLoss is the negative log-likelihood of one row, in nats.
func LogLoss(score, label float64) float64 {
	score = min(max(score, clip), 1-clip)
	if isOne(label) {
		return -math.Log(score)
	}
	return -math.Log1p(-score)
}

// Brier is the squared error of one row.
func Brier(score, label float64) float64 {
	if isOne(label) {
		return (1 - score) * (1 - score)
	}
	return score * score
}

func isOne(label float64) bool { return label > 0.5 }

// ranking is what AUC needs to know of the rows, summed by block: a resample of
// blocks then costs no more than their number squared, whatever the rows.
type ranking struct {
	ones, zeros []float64 // rows by block
	// wins[a][b] counts the pairs of a label 1 in block a and a label 0 in block
	// b of which the former scores higher; ties count half.
	wins [][]float64
}

func rankRows(scores, labels []float64, blocks []int) ranking {
	n := blockCount(blocks)
	r := ranking{ones: make([]float64, n), zeros: make([]float64, n), wins: make([][]float64, n)}
	for b := range r.wins {
		r.wins[b] = make([]float64, n)
	}
	order := make([]int, len(scores))
	for i, score := range scores {
		order[i] = i
		if math.IsNaN(score) {
			r.ones[blocks[i]] = math.NaN() // a row without a score leaves no area
		}
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(scores[i], scores[j]) })
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && scores[order[to]] == scores[order[from]] {
			to++
		}
		r.add(order[from:to], labels, blocks)
		from = to
	}
	return r
}

// add takes the next rows in rising order of score, all of them tied. Giving
// half a win before and half a win after the tied zeros are counted makes a
// whole one of those below, and a half of those tied.
func (r ranking) add(tied []int, labels []float64, blocks []int) {
	r.halfWins(tied, labels, blocks)
	for _, i := range tied {
		if isOne(labels[i]) {
			r.ones[blocks[i]]++
		} else {
			r.zeros[blocks[i]]++
		}
	}
	r.halfWins(tied, labels, blocks)
}

func (r ranking) halfWins(rows []int, labels []float64, blocks []int) {
	for _, i := range rows {
		if isOne(labels[i]) {
			wins := r.wins[blocks[i]]
			for b, zeros := range r.zeros {
				wins[b] += zeros / 2
			}
		}
	}
}

// auc is the area under the ROC curve with each block taken as often as weights
// says; NaN when a label is missing.
func (r ranking) auc(weights []float64) float64 {
	var wins, ones, zeros float64
	for a, weight := range weights {
		ones += weight * r.ones[a]
		zeros += weight * r.zeros[a]
		if weight == 0 {
			continue
		}
		for b, won := range r.wins[a] {
			wins += weight * weights[b] * won
		}
	}
	return wins / (ones * zeros)
}
