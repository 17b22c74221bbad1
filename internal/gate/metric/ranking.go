package metric

import (
	"math"

	"gonum.org/v1/gonum/blas/gonum"

	"github.com/mainspring-ml/mainspring/models"
)

// Ranking metrics don't follow from sums over rows. One walk down the rows,
// sorted by score, gives them exactly for the sample, and cuts each segment
// into cells of neighbouring scores, each with about the same share of labels 1
// and of labels 0. Counts by block and cell are then all that a resample needs.
//
// A segment with no more rows than cells has a cell for every distinct score
// and exact resamples. Otherwise the rows within a cell count as evenly mixed: a
// resample's area errs by what it deviates from that inside cells, which hold
// one pair in as many as there are cells, and the sample's own error is taken
// off every resample.

// Bounds of the number of cells. The budget is of cells × blocks, and keeps the
// counts of one segment in the processor's cache.
const (
	mostCells   = 1024
	leastCells  = 32
	wholeBudget = 1 << 17
	sliceBudget = 1 << 15
)

func cellsFor(blocks, budget int) int {
	return min(max(budget/max(blocks, 1), leastCells), mostCells)
}

// rank is the ranking metrics on the sample or one resample; NaN without an
// answer.
type rank struct{ area, precision float64 }

// ranks are by segment; then the sample's, and those of the resamples.
type ranks [][]rank

// rankCurves are the curves of all rows.
type rankCurves struct{ roc, pr [][2]float64 }

// rank ranks the rows by the probability of one class, or of label 1.
func (m *side) rank(class int, s Sample, p plan, draws resamples) {
	rows := m.sorted(class, s)
	found := make(ranks, len(p.segments))
	for i, cut := range p.partitions {
		budget := sliceBudget
		if i == 0 {
			budget = wholeBudget
		}
		for _, g := range gridsOf(rows, cut, p, cellsFor(p.blocks, budget)) {
			found[g.segment] = g.resample(p, draws)
			if i == 0 && s.Task != models.TaskMulticlass {
				m.curves = g.curves(p)
			}
		}
	}
	m.ranks[class] = found
}

// sorted has the rows that can be ranked, lowest score first.
func (m *side) sorted(class int, s Sample) []scored {
	values, stride, one := m.answers.Values, 1, 1.0
	if s.Task == models.TaskMulticlass {
		stride, one = m.answers.Classes, float64(class)
	} else {
		class = 0
	}
	rows := make([]scored, 0, len(s.Labels))
	for i, label := range s.Labels {
		score := values[i*stride+class]
		if !probability(score) {
			continue
		}
		tag := uint32(s.Blocks[i]) << 1
		if label == one {
			tag |= 1
		}
		rows = append(rows, scored{key: math.Float64bits(score + 0), row: int32(i), tag: tag}) // + 0 turns -0 into 0
	}
	return sortByKey(rows, make([]scored, len(rows)))
}

// grid is one segment's rows by block and cell.
type grid struct {
	segment int
	cells   int
	// counts has, by block, the labels 0 and 1 of each cell, highest scores
	// first. A float32 counts exactly to 2²⁴.
	counts []float32
	stride int
	// last is how much of a cell's own rows counts into its precision: all in a
	// cell of one score, half where rows are mixed.
	last  []float64
	exact rank
}

// gridsOf builds the grids of one partition's segments.
func gridsOf(rows []scored, cut partition, p plan, cells int) []*grid {
	walkers := make([]*walker, len(p.segments))
	var grids []*grid
	for _, segment := range cut.segments {
		if segment >= 0 {
			w := newWalker(int(segment), p, cells)
			walkers[segment], grids = w, append(grids, &w.grid)
		}
	}
	for _, row := range rows {
		if segment := cut.segment(int(row.row)); segment >= 0 {
			walkers[segment].totals[row.tag&1]++
		}
	}
	for i := len(rows) - 1; i >= 0; i-- {
		if segment := cut.segment(int(rows[i].row)); segment >= 0 {
			walkers[segment].visit(rows[i])
		}
	}
	for _, segment := range cut.segments {
		if segment >= 0 {
			walkers[segment].finish()
		}
	}
	return grids
}

// resample evaluates the grid on each resample.
func (g *grid) resample(p plan, draws resamples) []rank {
	found := make([]rank, draws.count())
	total := make([]float32, 2*g.cells)
	var blas gonum.Implementation
	for i := range found {
		if p.blocks == 0 {
			found[i] = rank{math.NaN(), math.NaN()}
			continue
		}
		clear(total)
		for b, w := range draws.of(i) {
			if w != 0 {
				blas.Saxpy(len(total), w, g.counts[b*g.stride:], 1, total, 1)
			}
		}
		found[i] = g.evaluate(total)
	}
	area, precision := g.exact.area-found[0].area, g.exact.precision-found[0].precision
	found[0] = g.exact
	for i := range found[1:] {
		r := &found[i+1]
		r.area, r.precision = within(r.area+area), within(r.precision+precision)
	}
	return found
}

// within keeps a share between 0 and 1, and NaN what it is.
func within(share float64) float64 { return math.Min(math.Max(share, 0), 1) }

// evaluate goes down the cells with the labels counted in each.
func (g *grid) evaluate(counts []float32) rank {
	var ones, zeros, wins, precision float64
	for c, last := range g.last {
		zero, one := float64(counts[2*c]), float64(counts[2*c+1])
		wins += zero * (ones + one/2)
		if one > 0 {
			hits := ones + last*one
			precision += one * hits / (hits + zeros + last*zero)
		}
		ones, zeros = ones+one, zeros+zero
	}
	return rank{area: wins / (ones * zeros), precision: precision / ones}
}
