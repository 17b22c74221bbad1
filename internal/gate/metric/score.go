package metric

import (
	"cmp"
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// scorer turns rows into sums and sums into figures. Every metric but auc and
// pr_auc is a function of sums over rows, so sums by block are all that a
// resample needs: they are weighted and added.
type scorer interface {
	// columns is how many sums there are. The first two are of 1 and of Loss.
	columns() int
	// row gives what a row adds; nothing when answer or label make no sense.
	row(i int, into []term) []term
	// bin gives what a row adds to the reliability diagram: the probability and
	// what came of it. Not ok: the task has none.
	bin(i int) (p, outcome float64, ok bool)
	// figures fills in the metrics from sums; NaN where there is no answer.
	figures(sums []float64, into *figures)
}

// term is what a row adds to a column.
type term struct {
	column int
	value  float64
}

// The columns that all tasks share.
const (
	rowColumn = iota
	lossColumn
	sharedColumns
)

func scorerOf(s Sample, a Answers, set Settings) scorer {
	switch s.Task {
	case models.TaskMulticlass:
		return multiclass{labels: s.Labels, answers: a}
	case models.TaskRegression:
		r := regression{labels: s.Labels, answers: a.Values, quantile: cmp.Or(set.Quantile, 0.5)}
		if len(s.Labels) > 0 {
			r.centre = s.Labels[0]
		}
		return r
	case models.TaskBinary:
	}
	return binary{labels: s.Labels, answers: a.Values, threshold: cmp.Or(set.Threshold, 0.5)}
}

type binary struct {
	labels, answers []float64
	threshold       float64
}

// The columns of binary; bins follow.
const (
	brierColumn = sharedColumns + iota
	onesColumn
	predictedColumn
	hitsColumn // label 1 and predicted
	binaryBins
)

func (binary) columns() int { return binaryBins + bins }

func (b binary) row(i int, into []term) []term {
	p, y := b.answers[i], b.labels[i]
	if !probability(p) || y != 0 && y != 1 {
		return nil
	}
	loss := 0.0
	if y == 1 {
		loss = surprise(p)
	} else {
		loss = complementSurprise(p)
	}
	into = append(into, term{rowColumn, 1}, term{lossColumn, loss},
		term{brierColumn, (p - y) * (p - y)}, term{binaryBins + binOf(p), p - y})
	predicted := p >= b.threshold
	if y == 1 {
		into = append(into, term{onesColumn, 1})
		if predicted {
			into = append(into, term{hitsColumn, 1})
		}
	}
	if predicted {
		into = append(into, term{predictedColumn, 1})
	}
	return into
}

func (b binary) bin(i int) (p, outcome float64, ok bool) { return b.answers[i], b.labels[i], true }

func (binary) figures(sums []float64, into *figures) {
	rows, ones, predicted, hits := sums[rowColumn], sums[onesColumn], sums[predictedColumn], sums[hitsColumn]
	into[logLoss], into[brier] = sums[lossColumn]/rows, sums[brierColumn]/rows
	into[accuracy] = (rows - ones - predicted + 2*hits) / rows
	into[f1] = 2 * hits / (ones + predicted)
	into[calibration] = distance(sums[binaryBins:]) / rows
}

type multiclass struct {
	labels  []float64
	answers Answers
}

// The columns of multiclass after brierColumn: rows that were right, bins, and
// three of each class: rows of its label, rows predicted, and both.
const (
	rightColumn = brierColumn + 1 + iota
	multiclassBins
	classColumns = multiclassBins + bins
)

func (m multiclass) columns() int { return classColumns + 3*m.answers.Classes }

func (m multiclass) row(i int, into []term) []term {
	answer := m.answers.Values[i*m.answers.Classes : (i+1)*m.answers.Classes]
	class, ok := classOf(m.labels[i], len(answer))
	if !ok || !probabilities(answer) {
		return nil
	}
	squares, top := 0.0, mostProbable(answer)
	for k, p := range answer {
		if k == class {
			squares += (p - 1) * (p - 1)
		} else {
			squares += p * p
		}
	}
	right := 0.0
	if top == class {
		right = 1
	}
	return append(into, term{rowColumn, 1}, term{lossColumn, surprise(answer[class])}, term{brierColumn, squares},
		term{rightColumn, right}, term{multiclassBins + binOf(answer[top]), answer[top] - right},
		term{classColumns + 3*class, 1}, term{classColumns + 3*top + 1, 1}, term{classColumns + 3*class + 2, right})
}

func (m multiclass) bin(i int) (p, outcome float64, ok bool) {
	answer := m.answers.Values[i*m.answers.Classes : (i+1)*m.answers.Classes]
	top := mostProbable(answer)
	if float64(top) == m.labels[i] {
		outcome = 1
	}
	return answer[top], outcome, true
}

// mostProbable is the class with the highest probability, the first of equals.
func mostProbable(answer []float64) int {
	top := 0
	for k, p := range answer {
		if p > answer[top] {
			top = k
		}
	}
	return top
}

func (multiclass) figures(sums []float64, into *figures) {
	rows := sums[rowColumn]
	into[logLoss], into[brier] = sums[lossColumn]/rows, sums[brierColumn]/rows
	into[accuracy] = sums[rightColumn] / rows
	into[calibration] = distance(sums[multiclassBins:classColumns]) / rows
	total, classes := 0.0, 0.0
	for at := classColumns; at < len(sums); at += 3 {
		if seen := sums[at] + sums[at+1]; seen > 0 {
			total, classes = total+2*sums[at+2]/seen, classes+1
		}
	}
	into[f1] = total / classes
}

type regression struct {
	labels, answers []float64
	quantile        float64
	// centre is a label: taking it off keeps r2's sums small, and equal labels
	// exactly 0.
	centre float64
}

const (
	absoluteColumn = sharedColumns + iota
	pinballColumn
	labelColumn
	squareColumn
	regressionColumns
)

func (regression) columns() int { return regressionColumns }

func (r regression) row(i int, into []term) []term {
	e, y := r.answers[i]-r.labels[i], r.labels[i]-r.centre
	if !countable(e) || !countable(y) {
		return nil
	}
	share := r.quantile
	if e > 0 {
		share = 1 - share
	}
	return append(into, term{rowColumn, 1}, term{lossColumn, e * e}, term{absoluteColumn, math.Abs(e)},
		term{pinballColumn, share * math.Abs(e)}, term{labelColumn, y}, term{squareColumn, y * y})
}

func (regression) bin(int) (p, outcome float64, ok bool) { return 0, 0, false }

// constant is the share of the labels' squares below which their variance is
// nothing but rounding.
const constant = 1e-12

func (regression) figures(sums []float64, into *figures) {
	rows := sums[rowColumn]
	into[rmse], into[mae] = math.Sqrt(sums[lossColumn]/rows), sums[absoluteColumn]/rows
	into[pinball] = sums[pinballColumn] / rows
	if variance := sums[squareColumn] - sums[labelColumn]*sums[labelColumn]/rows; variance > constant*sums[squareColumn] {
		into[r2] = 1 - sums[lossColumn]/variance
	}
}
