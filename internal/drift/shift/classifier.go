package shift

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// Sample is rows of one side, before or now.
type Sample struct {
	Codes  []uint8 // as many per row as Coder.Width
	Blocks []int   // each row's block, numbered in the order of time
}

const (
	folds     = 5
	passes    = 4
	resamples = 500
	maxGroups = 100 // of blocks on one side: neighbours are put together
	tail      = 25  // thousandths of the draws beyond either end of the interval
)

// Distinguish says how well rows of now can be told from those before by their
// features alone: the AUC of a logistic regression on their bins, 0.5 not at
// all, 1 always. Every row is scored by a model that saw no row of its block,
// and the interval comes from drawing blocks, since rows of one block are alike:
// a model that may learn what one day looks like tells any two days apart. It
// is false without two blocks on each side, or without features.
func (c *Coder) Distinguish(before, now Sample, seed uint64) (models.Estimate, bool) {
	d := domains{coder: c, random: rand.New(rand.NewPCG(seed, 0))}
	if c.features == 0 || !d.add(before, false) || !d.add(now, true) {
		return models.Estimate{}, false
	}
	return d.area(d.scores()), true
}

// domains are the rows of both sides.
type domains struct {
	coder  *Coder
	random *rand.Rand
	codes  [][]uint8
	groups []int // number within the side
	now    []bool
	sizes  [2]int // groups of each side
	rows   [2]float64
}

func (d *domains) add(s Sample, now bool) bool {
	blocks := slices.Compact(slices.Sorted(slices.Values(s.Blocks)))
	groups := min(len(blocks), maxGroups)
	width := d.coder.Width()
	for row, b := range s.Blocks {
		number, _ := slices.BinarySearch(blocks, b)
		d.codes = append(d.codes, s.Codes[row*width:][:width])
		d.groups, d.now = append(d.groups, number*groups/len(blocks)), append(d.now, now)
	}
	d.sizes[side(now)], d.rows[side(now)] = groups, float64(len(s.Blocks))
	return groups >= 2
}

func side(now bool) int {
	if now {
		return 1
	}
	return 0
}

// scores are each row's, out of fold.
func (d *domains) scores() []float64 {
	scores := make([]float64, len(d.codes))
	offsets := d.offsets()
	for fold := range folds {
		var train []int
		for row := range d.codes {
			if d.groups[row]%folds != fold {
				train = append(train, row)
			}
		}
		model := d.fit(train, offsets)
		for row := range d.codes {
			if d.groups[row]%folds == fold {
				scores[row] = model.score(d.codes[row], offsets)
			}
		}
	}
	return scores
}

// offsets are where each feature's bins begin among the weights; the last is
// their number.
func (d *domains) offsets() []int {
	offsets := make([]int, d.coder.features+1)
	for i := range d.coder.features {
		offsets[i+1] = offsets[i] + d.coder.makes.Features[i].Bins()
	}
	return offsets
}

// logistic is a regression on bins.
type logistic struct {
	weights []float64
	bias    float64
}

func (m *logistic) score(codes []uint8, offsets []int) float64 {
	z := m.bias
	for i, offset := range offsets[:len(offsets)-1] {
		z += m.weights[offset+int(codes[i])]
	}
	return z
}

// fit goes over the rows a few times in random order, each weight with a step of
// its own (AdaGrad), and draws all weights a little to 0. Both sides count the
// same however many rows they have.
func (d *domains) fit(rows []int, offsets []int) *logistic {
	const rate, shrink = 0.1, 1e-3
	m := &logistic{weights: make([]float64, offsets[len(offsets)-1])}
	squares := make([]float64, len(m.weights))
	biasSquares := 1e-8
	share := [2]float64{(d.rows[0] + d.rows[1]) / (2 * d.rows[0]), (d.rows[0] + d.rows[1]) / (2 * d.rows[1])}
	for range passes {
		d.random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, row := range rows {
			codes, s := d.codes[row], side(d.now[row])
			p := 1 / (1 + math.Exp(-m.score(codes, offsets)))
			miss := (float64(s) - p) * share[s]
			biasSquares += miss * miss
			m.bias += rate * miss / math.Sqrt(biasSquares)
			for i := range d.coder.features {
				k := offsets[i] + int(codes[i])
				g := miss - shrink*m.weights[k]
				squares[k] += g * g
				m.weights[k] += rate * g / math.Sqrt(squares[k]+1e-8)
			}
		}
	}
	return m
}

// area is the AUC with its interval. Wins has, for each pair of a group before
// and one now, in how many pairs of rows the one of now has the higher score.
func (d *domains) area(scores []float64) models.Estimate {
	var by [2][][]float64
	for s := range by {
		by[s] = make([][]float64, d.sizes[s])
	}
	for row, score := range scores {
		s := side(d.now[row])
		by[s][d.groups[row]] = append(by[s][d.groups[row]], score)
	}
	for s := range by {
		for _, group := range by[s] {
			slices.Sort(group)
		}
	}
	wins := make([][]float64, len(by[0]))
	for i := range wins {
		wins[i] = make([]float64, len(by[1]))
		for j := range wins[i] {
			wins[i][j] = outscored(by[0][i], by[1][j])
		}
	}
	ones := func(n int) []float64 { return slices.Repeat([]float64{1}, n) }
	value := weightedArea(by, wins, ones(len(by[0])), ones(len(by[1])))
	draws := make([]float64, resamples)
	for k := range draws {
		draws[k] = weightedArea(by, wins, d.draw(len(by[0])), d.draw(len(by[1])))
	}
	slices.Sort(draws)
	beyond := tail * resamples / 1000
	return models.Estimate{Value: value, Low: min(value, draws[beyond]), High: max(value, draws[resamples-1-beyond])}
}

// draw says how often each of n groups is drawn when n are.
func (d *domains) draw(n int) []float64 {
	times := make([]float64, n)
	for range n {
		times[d.random.IntN(n)]++
	}
	return times
}

func weightedArea(by [2][][]float64, wins [][]float64, before, now []float64) float64 {
	won, pairs := 0.0, 0.0
	for i, a := range before {
		for j, b := range now {
			won += a * b * wins[i][j]
			pairs += a * b * float64(len(by[0][i])*len(by[1][j]))
		}
	}
	return won / pairs
}

// outscored counts the pairs where b is higher than a, ties as half; both are
// sorted.
func outscored(a, b []float64) float64 {
	won := 0.0
	for _, v := range b {
		below, _ := slices.BinarySearch(a, v)
		above, _ := slices.BinarySearchFunc(a, v, func(x, v float64) int {
			if x <= v {
				return -1
			}
			return cmp.Compare(x, v)
		})
		won += float64(below) + float64(above-below)/2
	}
	return won
}
