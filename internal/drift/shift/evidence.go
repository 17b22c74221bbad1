package shift

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/drift"
)

const (
	// maxThinned bounds the rows to which blocks are thinned: beyond it, blocks
	// differ by what they are, not by how many rows they have.
	maxThinned = 2000
	// minThinned is the least rows of a block whose inputs are compared.
	minThinned = 20
)

// thin is how many rows of each block are compared. A histogram of few rows is
// farther from the reference than one of many, by chance alone; and live blocks
// may be smaller than the reference's for no other reason than that a canary
// takes its share or that the log is a sample. Therefore all blocks are thinned
// to one size, which nine of ten blocks on either side have; those that have
// not are left out.
func (c *Comparison) thin() int {
	tenth := func(rows []float64) float64 {
		if len(rows) == 0 {
			return maxThinned
		}
		slices.Sort(rows)
		return rows[len(rows)/10]
	}
	var before, live []float64
	for i := range c.Reference.Blocks {
		before = append(before, float64(c.Reference.Blocks[i].Rows))
	}
	for _, b := range c.Live {
		if b.Rows >= minThinned {
			live = append(live, float64(b.Rows))
		}
	}
	return int(max(minThinned, min(maxThinned, tenth(before), tenth(live))))
}

// featureEvidence is the e-value of a feature: the mean of those of its series,
// which is an e-value since each is.
func (c *Comparison) featureEvidence(feature, size int) float64 {
	f := &c.Reference.Features[feature]
	before, live := c.featureSeries(feature, size)
	seed := c.seed("feature", f.Name)
	e := evidence(before.distance, live.distance, drift.Rise, seed)
	if f.Type == TypeCategory {
		return e
	}
	return (e + evidence(before.place, live.place, drift.Either, seed+1)) / 2
}

// evidence is 1, no evidence, where there is nothing to compare.
func evidence(before, live []float64, side drift.Side, seed uint64) float64 {
	if !slices.ContainsFunc(before, number) || !slices.ContainsFunc(live, number) {
		return 1
	}
	e := drift.Lift(drift.Process(before, live, side, seed).Highest)
	return min(e, 1e100) // infinity has no JSON
}

func number(v float64) bool { return !math.IsNaN(v) }

// series are the values of one feature, one per block; NaN: too few rows.
type series struct {
	distance []float64 // of the block's histogram from the reference's
	place    []float64 // mean rank of its numbers in the reference
}

// featureSeries are the values of the reference's blocks and of the live ones.
// A block of the reference is held against the rest of the reference, a live one
// against all of it. The rest is a little smaller, so that the reference's own
// distances are a little longer than they would be if the two were treated
// alike, by about half a block in all blocks: this makes alarms rarer, not
// more frequent. Everything else is exchangeable if the blocks are.
func (c *Comparison) featureSeries(feature, size int) (before, live series) {
	r := c.Reference
	all := r.All.Features[feature]
	missing := r.Features[feature].Missing()
	rest := make([]float64, len(all))
	add := func(to *series, b *Block, against []float64) {
		rows := c.thinned(b, feature, size)
		if rows == nil || sum(against) == 0 {
			to.distance, to.place = append(to.distance, math.NaN()), append(to.place, math.NaN())
			return
		}
		to.distance = append(to.distance, JensenShannon(against, rows))
		to.place = append(to.place, place(against[:missing], rows[:missing]))
	}
	for i := range r.Blocks {
		for k, own := range r.Blocks[i].Features[feature] {
			rest[k] = all[k] - own
		}
		add(&before, &r.Blocks[i], rest)
	}
	for _, b := range c.Live {
		add(&live, b, all)
	}
	return before, live
}

// place is the mean place of rows among the reference's, from 0 (below all) to 1;
// a row's place is the middle of its bin. NaN: there is no number.
func place(against, rows []float64) float64 {
	total, n := sum(against), sum(rows)
	if total == 0 || n == 0 {
		return math.NaN()
	}
	below, mean := 0.0, 0.0
	for k := range against {
		mean += rows[k] / n * (below + against[k]/2) / total
		below += against[k]
	}
	return mean
}

// thinned draws so many of a block's rows without replacement; nil: it does not
// have them.
func (c *Comparison) thinned(b *Block, feature, size int) []float64 {
	left := unweighted(b, b.Features[feature])
	n := 0.0
	for k := range left {
		left[k] = math.Round(left[k])
		n += left[k]
	}
	if n < float64(size) {
		return nil
	}
	if n == float64(size) {
		return left
	}
	name := c.Reference.Features[feature].Name
	random := rand.New(rand.NewPCG(c.seed("rows", name), uint64(b.Start.UnixMicro())))
	drawn := make([]float64, len(left))
	for range size {
		at := random.Float64() * n
		k := 0
		for k < len(left)-1 && at >= left[k] {
			at -= left[k]
			k++
		}
		for left[k] == 0 { // rounding led past the last row
			k--
		}
		left[k]--
		n--
		drawn[k]++
	}
	return drawn
}

// sliceEvidence is the e-value of a slice's mean loss. Blocks where it has too
// few labelled rows are left out. The mean of few rows scatters more than that
// of many: the evidence takes blocks to have about as many rows of the slice as
// the reference's.
func (c *Comparison) sliceEvidence(slicing, k int) float64 {
	least := max(10, c.MinLabels/10)
	loss := func(b *Block) float64 {
		if s := &b.Slicings[slicing]; s.Labelled[k] >= least {
			return s.Loss[k] / s.Weight[k]
		}
		return math.NaN()
	}
	before, live := make([]float64, len(c.Reference.Blocks)), make([]float64, len(c.Live))
	for i := range c.Reference.Blocks {
		before[i] = loss(&c.Reference.Blocks[i])
	}
	for i, b := range c.Live {
		live[i] = loss(b)
	}
	cut := &c.Reference.Slicings[slicing]
	return evidence(before, live, drift.Rise, c.seed("slice", cut.Column+"\x00"+cut.Names[k]))
}

// seed is the same whenever the same is compared.
func (c *Comparison) seed(kind, name string) uint64 {
	h := fnv.New64a()
	for _, text := range []string{c.Name, kind, name} {
		var size [8]byte
		h.Write(binary.LittleEndian.AppendUint64(size[:0], uint64(len(text)))) // never fails
		h.Write([]byte(text))
	}
	return h.Sum64()
}
