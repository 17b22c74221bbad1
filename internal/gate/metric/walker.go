package metric

import "math"

// walker goes down the rows of one segment, from the highest score, and builds
// its grid.
type walker struct {
	grid
	most    int        // cells that there may be
	totals  [2]float64 // labels 0 and 1 of the segment
	fill    [2]float64 // how much of a cell a row with the label fills
	fillLog float64    // and the rows' growth by a proportion
	key     uint64     // of the present score
	passed  [2]float64 // labels so far
	above   [2]float64 // labels with a higher score than the present one
	before  [2]float64 // labels before the present cell
	sums    rank       // so far: wins and precisions
	inside  inside     // of the present cell, sums yet
}

func newWalker(most, blocks int) walker {
	w := walker{most: most, key: math.MaxUint64}
	w.stride = 2 * (most + 1)
	w.counts = make([]float32, blocks*w.stride)
	return w
}

// ready comes after the totals and before the first visit.
func (w *walker) ready() {
	rows, most := w.totals[0]+w.totals[1], float64(w.most)
	if rows <= most {
		w.fill = [2]float64{1, 1} // a cell for every score
		return
	}
	for label, total := range w.totals {
		if total > 0 {
			w.fill[label] = most / 4 / total
		}
	}
	w.fillLog = most / 2 / (1 + math.Log(rows))
}

func (w *walker) visit(row scored) {
	if row.key != w.key {
		w.endScore()
		w.key = row.key
	}
	label := row.tag & 1
	w.counts[int(row.tag>>1)*w.stride+2*w.cells+int(label)]++
	w.passed[label]++
}

// endScore takes stock after the last of the rows with equal scores.
func (w *walker) endScore() {
	zeros, ones := w.passed[0]-w.above[0], w.passed[1]-w.above[1]
	if zeros+ones == 0 {
		return // before the first row
	}
	w.sums.area += zeros * (w.above[1] + ones/2)
	w.sums.precision += ones * w.passed[1] / (w.passed[0] + w.passed[1])
	w.inside.wins += zeros * (w.above[1] - w.before[1] + ones/2)
	w.inside.ones += ones * (w.passed[1] - w.before[1])
	w.inside.zeros += ones * (w.passed[0] - w.before[0])
	w.above = w.passed
	if w.filled() >= 1 {
		w.endCell()
	}
}

// filled is how much of a cell the rows since the last one make. Half of the
// cells go by the shares of both labels, which is what the area needs; half by
// the logarithm of the number of rows, since precision changes with the
// proportion by which that grows.
func (w *walker) filled() float64 {
	zeros, ones := w.passed[0]-w.before[0], w.passed[1]-w.before[1]
	rows := w.passed[0] + w.passed[1]
	return zeros*w.fill[0] + ones*w.fill[1] + (zeros+ones)/rows*w.fillLog
}

func (w *walker) endCell() {
	zeros, ones := w.passed[0]-w.before[0], w.passed[1]-w.before[1]
	if ones > 0 {
		w.inside.ones /= ones * ones
	}
	if pairs := zeros * ones; pairs > 0 {
		w.inside.wins, w.inside.zeros = w.inside.wins/pairs, w.inside.zeros/pairs
	}
	w.insides = append(w.insides, w.inside)
	w.before, w.inside = w.passed, inside{}
	w.cells++
}

func (w *walker) finish() {
	w.endScore()
	if w.passed != w.before {
		w.endCell()
	}
	w.exact = rank{area: w.sums.area / (w.totals[0] * w.totals[1]), precision: w.sums.precision / w.totals[1]}
}
