package shift

import (
	"cmp"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/models"
)

// Comparison is live blocks held against the reference.
type Comparison struct {
	Reference *Reference
	Live      []*Block // since the champion is watched, oldest first
	Recent    int      // how many of the last are "now"
	Level     float64  // share of wrong names among those that moved
	MinLabels int64    // of a block and slice that can be judged
	// Name seeds the random numbers that break ties.
	Name string
}

// Result is how they differ.
type Result struct {
	Now      *Block // the sum of the recent blocks
	Features []models.FeatureShift
	Slices   []models.SliceShift
	// Unlogged are the features of which no live block has a value. They are not
	// compared.
	Unlogged []string
}

// Compare names what moved. Features and slices are in the order of their
// evidence, the strongest first.
//
// What moved is decided by blocks. For every feature there is one series of
// values, one per block, of which the reference's come first: while nothing
// changes, blocks are exchangeable, and so are the values (see featureSeries for
// the one thing that is not quite so). A conformal e-process bets against that.
// For every slice there is one on its mean loss. When the monitor asks is not
// for each process to say, an alarm is a moment that the loss chose; therefore
// its highest value is lifted to one that holds at any moment (drift.Lift).
// Among all features and slices e-BH then keeps the expected share of wrong
// names at the level, however they depend on each other. A feature that the log
// never has is none of them: it differs for certain, and nobody is shown it, but
// as a discovery it would lower what the others need.
//
// That is exact from the watch's first block on. Who gives the newest of very
// many blocks begins anew with each, and has it for moments that nobody chose by
// looking. The size to which blocks are thinned follows how many rows they have,
// which is taken to say nothing about the inputs.
func Compare(c Comparison) Result {
	r := c.Reference
	recent := c.Live[max(0, len(c.Live)-c.Recent):]
	result := Result{Now: r.newBlock(), Features: []models.FeatureShift{}, Slices: []models.SliceShift{}}
	for _, b := range recent {
		result.Now.Merge(b)
	}
	if len(recent) > 0 {
		result.Now.Start, result.Now.End = recent[0].Start, recent[len(recent)-1].End
	}
	size := c.thin()
	for i := range r.Features {
		if !c.logged(i) {
			result.Unlogged = append(result.Unlogged, r.Features[i].Name)
			continue
		}
		shift := r.featureShift(i, result.Now)
		shift.EValue = c.featureEvidence(i, size)
		result.Features = append(result.Features, shift)
	}
	for i := range r.Slicings {
		for k, shift := range r.Decompose(i, result.Now) {
			if shift.Rows == 0 && shift.ShareBefore == 0 && shift.Share == 0 {
				continue // a shared slice that nobody is in
			}
			shift.EValue = c.sliceEvidence(i, k)
			result.Slices = append(result.Slices, shift)
		}
	}
	result.reject(c.Level)
	return result
}

// logged: some live block has a value of the feature. Without live blocks
// nobody can tell.
func (c *Comparison) logged(feature int) bool {
	missing := c.Reference.Features[feature].Missing()
	return len(c.Live) == 0 || slices.ContainsFunc(c.Live, func(b *Block) bool { return sum(b.Features[feature][:missing]) > 0 })
}

// reject applies e-BH to features and slices together, and sorts them.
func (r *Result) reject(level float64) {
	var evidence []float64
	for _, f := range r.Features {
		evidence = append(evidence, f.EValue)
	}
	for _, s := range r.Slices {
		evidence = append(evidence, s.EValue)
	}
	moved := drift.Reject(evidence, level)
	for i := range r.Features {
		r.Features[i].Moved = moved[i]
	}
	for i := range r.Slices {
		r.Slices[i].Moved = moved[len(r.Features)+i]
	}
	slices.SortStableFunc(r.Features, func(a, b models.FeatureShift) int {
		return cmp.Or(cmp.Compare(b.EValue, a.EValue), cmp.Compare(b.JS, a.JS))
	})
	slices.SortStableFunc(r.Slices, func(a, b models.SliceShift) int {
		return cmp.Or(cmp.Compare(b.EValue, a.EValue), cmp.Compare(math.Abs(b.Mix)+math.Abs(b.Concept), math.Abs(a.Mix)+math.Abs(a.Concept)))
	})
}

// featureShift are a feature's distances; rows without a value are apart.
func (r *Reference) featureShift(i int, now *Block) models.FeatureShift {
	f := &r.Features[i]
	before, after := r.All.Features[i], unweighted(now, now.Features[i])
	missing := f.Missing()
	shift := models.FeatureShift{
		Feature: f.Name, Type: f.Type,
		NullsBefore: ratio(before[missing], sum(before)), Nulls: ratio(after[missing], sum(after)),
	}
	if f.Type == TypeCategory {
		shift.Unseen = ratio(after[f.unseen()], sum(after))
	}
	before, after = before[:missing], after[:missing]
	stability := PSI(before, after)
	shift.PSI, shift.PSIP = stability.PSI, stability.P
	shift.JS, shift.ChiP = JensenShannon(before, after), ChiSquared(before, after)
	if f.Type == TypeNumber && f.Sigma > 0 {
		shift.Wasserstein = Wasserstein(f.Edges, before, after) / f.Sigma
	}
	return shift
}

// unweighted are a histogram's shares as so many rows as the log has: weights
// stand for requests that nobody saw, and are no evidence.
func unweighted(b *Block, histogram []float64) []float64 {
	scale := ratio(float64(b.Rows), b.Weight)
	rows := make([]float64, len(histogram))
	for i, weight := range histogram {
		rows[i] = weight * scale
	}
	return rows
}
