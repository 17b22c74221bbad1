package metric

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/gonum"

	"github.com/mainspring-ml/mainspring/models"
)

// Ranking metrics don't follow from sums over rows. One walk down the rows,
// sorted by score, gives them exactly for the sample, and cuts each segment into
// cells of neighbouring scores (see filled). Counts by block and cell are then
// all that a resample needs.
//
// A segment with no more rows than cells has a cell for every distinct score
// and exact resamples. Otherwise the rows within a cell count as arranged as the
// sample's are, whatever blocks they come from: a resample errs by what its own
// arrangement inside cells deviates from that. What is left of the error on the
// sample itself is taken off every resample.

// Bounds of the number of cells. The budget is of cells × blocks, and keeps the
// counts of one segment in the processor's cache.
const (
	mostCells   = 1024
	leastCells  = 32
	wholeBudget = 1 << 17
	sliceBudget = 1 << 15
)

// cellsOf is how many cells a segment may have.
func cellsOf(segment, blocks int) int {
	budget := sliceBudget
	if segment == 0 {
		budget = wholeBudget
	}
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
	grids := m.walk(class, s, p)
	found := make(ranks, len(grids))
	each(len(grids), func(i int) { found[i] = grids[i].resample(p, draws) })
	m.ranks[class] = found
	if s.Task != models.TaskMulticlass {
		m.curves = grids[0].curves(p)
	}
}

// gathered is how many rows' places are fetched at once, so that the processor
// waits for many of them at the same time.
const gathered = 512

// walk goes down the rows and builds the grids of all segments.
func (m *side) walk(class int, s Sample, p plan) []walker {
	walkers := make([]walker, len(p.segments))
	for i := range walkers {
		walkers[i] = newWalker(cellsOf(i, p.blocks), p.blocks)
	}
	rows := m.rankable(class, s)
	for _, row := range rows { // in their own order yet, which is kind to the cache
		walkers[0].totals[row.tag&1]++
		for _, segment := range p.of(int(row.row)) {
			if segment >= 0 {
				walkers[segment].totals[row.tag&1]++
			}
		}
	}
	for i := range walkers {
		walkers[i].ready()
	}
	rows = sortByKey(rows, make([]scored, len(rows)))
	places := make([]int32, 0, gathered*p.cuts)
	for to := len(rows); to > 0; to -= gathered {
		places = places[:0]
		part := rows[max(to-gathered, 0):to]
		for _, row := range slices.Backward(part) {
			places = append(places, p.of(int(row.row))...)
		}
		for i, row := range slices.Backward(part) {
			walkers[0].visit(row)
			from := (len(part) - 1 - i) * p.cuts
			for _, segment := range places[from : from+p.cuts] {
				if segment >= 0 {
					walkers[segment].visit(row)
				}
			}
		}
	}
	for i := range walkers {
		walkers[i].finish()
	}
	return walkers
}

// rankable has the rows whose answers are probabilities.
func (m *side) rankable(class int, s Sample) []scored {
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
	return rows
}

// grid is one segment's rows by block and cell.
type grid struct {
	cells int
	// counts has, by block, the labels 0 and 1 of each cell, highest scores
	// first. A float32 counts exactly to 2²⁴.
	counts  []float32
	stride  int
	insides []inside // by cell
	exact   rank
}

// inside is how the sample's rows lie within a cell, as shares. In a cell of
// one score all are 1, but for wins, which are half.
type inside struct {
	wins  float64 // of pairs of a label 1 and a label 0: the former scores higher
	ones  float64 // of labels 1 at or above a label 1, on average
	zeros float64 // of labels 0 at or above a label 1, on average
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
	for c, in := range g.insides {
		zero, one := float64(counts[2*c]), float64(counts[2*c+1])
		wins += zero * (ones + in.wins*one)
		if one > 0 {
			hits := ones + in.ones*one
			precision += one * hits / (hits + zeros + in.zeros*zero)
		}
		ones, zeros = ones+one, zeros+zero
	}
	return rank{area: wins / (ones * zeros), precision: precision / ones}
}
