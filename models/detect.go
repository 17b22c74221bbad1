package models

import (
	"fmt"
	"time"
)

// BlockLoss is what detectors see of a block.
type BlockLoss struct {
	Start     time.Time   `json:"start,omitzero"` // zero: not known
	Labelled  int64       `json:"labelled,omitempty"`
	Loss      float64     `json:"loss"`
	Estimated float64     `json:"estimated,omitempty"`
	Slices    []SliceLoss `json:"slices,omitempty"`
}

// MeanLoss is the mean of the blocks' losses, each counting the same; 0: there
// are none.
func MeanLoss(blocks []BlockLoss) float64 {
	sum := 0.0
	for _, b := range blocks {
		sum += b.Loss
	}
	return sum / float64(max(1, len(blocks)))
}

// DetectorState is the state of all detectors of one monitor; see
// internal/drift.
type DetectorState struct {
	Detectors []Detector `json:"detectors"`
	Seed      uint64     `json:"seed"`
	Observed  int64      `json:"observed"` // blocks
	// Block is the length of a block; zero: blocks are counted in rows.
	Block Duration `json:"block,omitempty"`
}

// Detector is one of them.
type Detector struct {
	Spec DetectorSpec `json:"spec"`
	// Alpha is its part of the budget, Threshold its reciprocal.
	Alpha     float64 `json:"alpha"`
	Threshold float64 `json:"threshold"`
	// Level is the promised mean loss, for kind level.
	Level float64 `json:"level,omitempty"`
	// Strata are the losses known so far, by season; one without seasons.
	Strata []Stratum `json:"strata,omitempty"`
	// Stakes are what was handed out to bettors, the oldest first.
	Stakes   []Stake   `json:"stakes,omitempty"`
	Injected float64   `json:"injected"`       // capital handed out so far
	Windows  int64     `json:"windows"`        // moments at which some was
	From     time.Time `json:"from,omitzero"`  // start of the first block that it could judge
	Observed int64     `json:"observed"`       // blocks that it could judge
	Value    float64   `json:"value"`          // the martingale
	Sums     []float64 `json:"sums,omitempty"` // number, mean and sum of squared deviations of losses, for kind level
}

// Stake is the capital handed out at one moment.
type Stake struct {
	Since    int64     `json:"since"`    // blocks judged before
	Capitals []float64 `json:"capitals"` // one for each size of rise that is betted on
}

// Stratum are the losses of one season, each once, ascending.
type Stratum struct {
	Season int       `json:"season"`
	Losses []float64 `json:"losses"`
	// Copies is how often each of them was seen; nil: once. Within is how many
	// losses were seen and forgotten below the first, between each two, and above
	// the last; nil: none.
	Copies []int64 `json:"copies,omitempty"`
	Within []int64 `json:"within,omitempty"`
}

// DetectorLook is what one detector made of one block.
type DetectorLook struct {
	P     float64 `json:"p"` // conformal p-value; 1: it has none
	Value float64 `json:"value"`
	Alarm bool    `json:"alarm,omitempty"`
}

// DetectorName names a detector among those of its monitor.
func DetectorName(d DetectorSpec) string {
	name := string(d.Kind)
	if d.Column != "" {
		name += fmt.Sprintf(" %s=%s", d.Column, d.Slice)
	}
	return name
}

// Nearest is the detector whose evidence is nearest to its threshold; false:
// there is none.
func (s DetectorState) Nearest() (nearest Detector, ok bool) {
	i := s.NearestIndex()
	if i < 0 {
		return nearest, false
	}
	return s.Detectors[i], true
}

// NearestIndex is the place of Nearest among the detectors; -1: there is none.
func (s DetectorState) NearestIndex() int {
	nearest := -1
	for i, d := range s.Detectors {
		if nearest < 0 || d.Value*s.Detectors[nearest].Threshold > s.Detectors[nearest].Value*d.Threshold {
			nearest = i
		}
	}
	return nearest
}
