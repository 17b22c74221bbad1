package metric

import "math"

// walker goes down the rows of one segment, from the highest score, and builds
// its grid.
type walker struct {
	grid
	totals [2]float64 // labels 0 and 1 of the segment
	share  float64    // of both labels together that fills a cell; 0: one score does
	key    uint64
	passed [2]float64 // labels so far
	above  [2]float64 // labels with a higher score than the present one
	before [2]float64 // labels before the present cell
	scores int        // distinct ones in the cell
	sums   rank       // so far: wins and precisions
}

func newWalker(segment int, p plan, cells int) *walker {
	w := &walker{key: math.MaxUint64}
	w.segment, w.stride = segment, 2*(cells+1)
	w.counts = make([]float32, p.blocks*w.stride)
	if p.segments[segment].rows > int64(cells) {
		w.share = 2 / float64(cells)
	}
	return w
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
	w.scores++
	w.sums.area += zeros * (w.above[1] + ones/2)
	w.sums.precision += ones * w.passed[1] / (w.passed[0] + w.passed[1])
	w.above = w.passed
	if w.filled() >= w.share {
		w.endCell()
	}
}

// filled is the cell's share of the labels, a label that the segment lacks not
// counted.
func (w *walker) filled() float64 {
	share := 0.0
	for label, total := range w.totals {
		if total > 0 {
			share += (w.passed[label] - w.before[label]) / total
		}
	}
	return share
}

func (w *walker) endCell() {
	last := 0.5
	if w.scores == 1 {
		last = 1
	}
	w.last = append(w.last, last)
	w.before, w.scores = w.passed, 0
	w.cells++
}

func (w *walker) finish() {
	w.endScore()
	if w.scores > 0 {
		w.endCell()
	}
	w.exact = rank{area: w.sums.area / (w.totals[0] * w.totals[1]), precision: w.sums.precision / w.totals[1]}
}
