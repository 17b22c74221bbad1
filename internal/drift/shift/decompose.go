package shift

import (
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// Decompose splits the change of the mean loss from the reference to a block
// over the slices of one slicing:
//
//	L_q - L_p = Σ (q_s - p_s)(L_p(s) - L_p) + Σ q_s (L_q(s) - L_p(s))
//
// with shares p and q of the labelled weight and mean losses L. The first sum is
// the mix: there is more or less of a slice that was harder or easier than the
// whole. The second is the concept: a slice became harder or easier itself.
// Subtracting L_p in the first changes no sum, since shares add up to 1, and
// leaves each slice the part that is its own. A slice that the reference does
// not have counts as one that was as hard as the whole. The parts of all slices
// add up to the change.
func (r *Reference) Decompose(slicing int, now *Block) []models.SliceShift {
	cut := &r.Slicings[slicing]
	before, after := &r.All.Slicings[slicing], &now.Slicings[slicing]
	total, weight, whole := sum(before.Weight), sum(after.Weight), r.All.MeanLoss()
	shifts := make([]models.SliceShift, len(cut.Names))
	for k, name := range cut.Names {
		s := models.SliceShift{
			Column: cut.Column, Slice: name, Rows: after.Labelled[k],
			ShareBefore: ratio(before.Weight[k], total), Share: ratio(after.Weight[k], weight),
			LossBefore: ratio(before.Loss[k], before.Weight[k]), Loss: ratio(after.Loss[k], after.Weight[k]),
		}
		was := s.LossBefore
		if before.Weight[k] == 0 {
			was = whole
		}
		if total > 0 && weight > 0 {
			s.Mix, s.Concept = (s.Share-s.ShareBefore)*(was-whole), s.Share*(s.Loss-was)
			if after.Weight[k] == 0 {
				s.Concept = 0
			}
		}
		shifts[k] = s
	}
	return shifts
}

// Split is the change of the mean loss over one column of slices.
type Split struct {
	Column  string              `json:"column"`
	Mix     float64             `json:"mix"`
	Concept float64             `json:"concept"`
	Slices  []models.SliceShift `json:"slices"` // all of the column's, in the order of the reference
}

// Splits are the splits over every slicing.
func (r *Reference) Splits(now *Block) []Split {
	splits := make([]Split, len(r.Slicings))
	for i := range r.Slicings {
		splits[i] = Split{Column: r.Slicings[i].Column, Slices: r.Decompose(i, now)}
		for _, s := range splits[i].Slices {
			splits[i].Mix += s.Mix
			splits[i].Concept += s.Concept
		}
	}
	return splits
}

// MostMixed is the split whose mix explains the most of the change, the first of
// several; -1 without any. What no column's mix explains is concept: the same
// kinds of rows became harder.
func MostMixed(splits []Split) int {
	best, most := -1, math.Inf(-1)
	for i, s := range splits {
		change := s.Mix + s.Concept
		if explained := s.Mix * math.Copysign(1, change); explained > most {
			best, most = i, explained
		}
	}
	return best
}
