package shift

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/mainspring-ml/mainspring/models"
)

// Sample is rows of one side, before or now.
type Sample struct {
	Codes  []uint8 // as many per row as Coder.Width
	Blocks []int   // each row's block, numbered in the order of time
}

const (
	folds     = 5 // of either side
	passes    = 4
	maxGroups = 100 // of blocks on one side: neighbours are put together
)

// Distinguish says how well rows of now can be told from those before by their
// features alone: the AUC of a logistic regression on their bins, 0.5 not at
// all, 1 always. A row before and one of now are compared by a model that saw no
// row of either's block, and the interval counts blocks, since rows
// of one block are alike: a model that may learn what one day looks like tells
// any two days apart. It averages 0.5 if nothing changed; an AUC below is chance,
// the more so the fewer blocks there are. It is false without two blocks on each
// side, or without features.
func (c *Coder) Distinguish(before, now Sample, seed uint64) (models.Estimate, bool) {
	d := domains{coder: c, random: rand.New(rand.NewPCG(seed, 0))}
	if c.features == 0 || !d.add(before, false) || !d.add(now, true) {
		return models.Estimate{}, false
	}
	return d.area(d.wins()), true
}

// domains are the rows of both sides.
type domains struct {
	coder  *Coder
	random *rand.Rand
	codes  [][]uint8
	groups []int // number within the side
	now    []bool
	sizes  [2][]int // rows of each side's groups
}

func (d *domains) add(s Sample, now bool) bool {
	blocks := slices.Compact(slices.Sorted(slices.Values(s.Blocks)))
	groups := min(len(blocks), maxGroups)
	width := d.coder.Width()
	sizes := make([]int, groups)
	for row, b := range s.Blocks {
		number, _ := slices.BinarySearch(blocks, b)
		d.codes = append(d.codes, s.Codes[row*width:][:width])
		group := number * groups / len(blocks)
		d.groups, d.now = append(d.groups, group), append(d.now, now)
		sizes[group]++
	}
	d.sizes[side(now)] = sizes
	return groups >= 2
}

func side(now bool) int {
	if now {
		return 1
	}
	return 0
}

// wins says, for each pair of a group before and one of now, in how many pairs of
// rows the one of now has the higher score. Each pair of folds, one of either
// side, has its own model, which saw neither. Scores of two models are never
// compared: each leans to the side of which it saw more, away from the rows that
// it was not shown, and would make the AUC of small sides too low.
func (d *domains) wins() [][]float64 {
	wins := make([][]float64, len(d.sizes[0]))
	for i := range wins {
		wins[i] = make([]float64, len(d.sizes[1]))
	}
	offsets := d.offsets()
	for before := range min(folds, len(d.sizes[0])) {
		for now := range min(folds, len(d.sizes[1])) {
			d.compare([2]int{before, now}, offsets, wins)
		}
	}
	return wins
}

// compare fills in the wins of the groups of two folds.
func (d *domains) compare(held [2]int, offsets []int, wins [][]float64) {
	var train, apart []int
	for row, group := range d.groups {
		if group%folds == held[side(d.now[row])] {
			apart = append(apart, row)
		} else {
			train = append(train, row)
		}
	}
	model := d.fit(train, offsets)
	var scores [2][][]float64
	for s := range scores {
		scores[s] = make([][]float64, len(d.sizes[s]))
	}
	for _, row := range apart {
		of := scores[side(d.now[row])]
		of[d.groups[row]] = append(of[d.groups[row]], model.score(d.codes[row], offsets))
	}
	for s := range scores {
		for _, group := range scores[s] {
			slices.Sort(group)
		}
	}
	for i := held[0]; i < len(wins); i += folds {
		for j := held[1]; j < len(wins[i]); j += folds {
			wins[i][j] = outscored(scores[0][i], scores[1][j])
		}
	}
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
	var share [2]float64
	for _, row := range rows {
		share[side(d.now[row])]++
	}
	for s, n := range share {
		share[s] = float64(len(rows)) / (2 * n)
	}
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

// area is the AUC with its 95 % interval. The variance is that of a mean over
// the groups of either side, in each of which a group counts as one, and the
// interval is Student's with Welch's degrees of freedom: among two or three
// groups it says that nearly nothing is known.
func (d *domains) area(wins [][]float64) models.Estimate {
	won, pairs := 0.0, 0.0
	for i, a := range d.sizes[0] {
		for j, b := range d.sizes[1] {
			won += wins[i][j]
			pairs += float64(a * b)
		}
	}
	value := won / pairs
	var of [2][]float64 // what each group adds to the AUC, less its mean
	for s := range of {
		of[s] = make([]float64, len(d.sizes[s]))
	}
	for i, a := range d.sizes[0] {
		for j, b := range d.sizes[1] {
			beyond := (wins[i][j] - value*float64(a*b)) / pairs
			of[0][i] += beyond
			of[1][j] += beyond
		}
	}
	variance, spread := 0.0, 0.0
	for s := range of {
		n, one := float64(len(of[s])), 0.0
		for _, v := range of[s] {
			one += v * v * n / (n - 1)
		}
		variance += one
		spread += one * one / (n - 1)
	}
	if variance == 0 {
		return models.Estimate{Value: value, Low: value, High: value}
	}
	half := distuv.StudentsT{Sigma: 1, Nu: variance * variance / spread}.Quantile(0.975) * math.Sqrt(variance)
	return models.Estimate{Value: value, Low: max(0, value-half), High: min(1, value+half)}
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
