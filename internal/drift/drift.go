package drift

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// Alpha turns a budget of expected false alarms a year into the level of all
// detectors together, which are started afresh after each alarm: b/(1+b). See
// the package comment for what holds.
func Alpha(falseAlarmsPerYear float64) float64 {
	return falseAlarmsPerYear / (1 + falseAlarmsPerYear)
}

// Seed derives a detector's seed from what names it: the endpoint, the version
// watched, and how many detectors ran for them before.
func Seed(endpoint, version string, before int) uint64 {
	hash := fnv.New64a()
	name := fmt.Sprintf("%q %q %d", endpoint, version, before)
	hash.Write([]byte(name)) // never fails
	return hash.Sum64()
}

// New starts the detectors of a spec on the reference, oldest block first. If
// nobody knows when any of its blocks was, no detector has seasons: an empty
// reference would be worse. Slices and estimates are needed if a detector watches
// those. Promised is the mean loss of a row that
// evaluation found, in the blocks' unit: a squared error, not its root.
func New(spec models.MonitorSpec, reference []models.BlockLoss, promised models.Estimate, seed uint64) models.DetectorState {
	state := models.DetectorState{Seed: seed}
	if spec.BlockRows == 0 {
		state.Block = spec.Block
	}
	shares := 0.0
	for _, d := range spec.Detectors {
		shares += d.Share
	}
	dated := slices.ContainsFunc(reference, func(b models.BlockLoss) bool { return !b.Start.IsZero() })
	for i, d := range spec.Detectors {
		if len(reference) > 0 && !dated {
			d.Season = models.SeasonNone
		}
		alpha := Alpha(spec.FalseAlarmsPerYear) * d.Share / shares
		one := models.Detector{Spec: d, Alpha: alpha, Threshold: min(1/alpha, most), Value: 1}
		for n, block := range reference {
			loss, ok := lossOf(d, block)
			switch {
			case !ok:
			case d.Kind == models.DetectorLevel:
				learnSums(&one, loss)
			default:
				learnRank(&one, block, loss, uniform(seedOf(^seed, i), uint64(n)))
			}
		}
		if d.Kind == models.DetectorLevel {
			one.Level = levelOf(one, promised)
		}
		state.Detectors = append(state.Detectors, one)
	}
	return state
}

// Renew starts the detectors as New does, on a level that is taken as it is from
// now on: a retraining did not help, or a person said so. A promised level that
// the spec names is broken for good then; the detector holds losses against the
// reference's limit where that is higher, or it would cry again at once.
func Renew(spec models.MonitorSpec, reference []models.BlockLoss, promised models.Estimate, seed uint64) models.DetectorState {
	state := New(spec, reference, promised, seed)
	for i := range state.Detectors {
		if d := &state.Detectors[i]; d.Spec.Kind == models.DetectorLevel && d.Spec.Level != nil {
			d.Level = max(d.Level, limitOf(*d))
		}
	}
	return state
}

// seedOf is the seed of one of the detectors.
func seedOf(seed uint64, detector int) uint64 { return seed ^ uint64(detector)*0xd1342543de82ef95 }

// Update lets the detectors judge the next block. The argument is not changed.
// Detectors for which the block is no evidence stay as they are.
func Update(state models.DetectorState, block models.BlockLoss) (models.DetectorState, []models.DetectorLook) {
	state.Detectors = slices.Clone(state.Detectors)
	looks := make([]models.DetectorLook, len(state.Detectors))
	for i := range state.Detectors {
		d := &state.Detectors[i]
		p := 1.0
		loss, ok := lossOf(d.Spec, block)
		switch {
		case !ok:
		case d.Spec.Kind == models.DetectorLevel:
			judgeLevel(d, block, loss, state.Block)
		default:
			u := uniform(seedOf(state.Seed, i), uint64(d.Observed))
			at := judgeRank(d, block, loss, u, state.Block)
			p = at.from + u*(at.to-at.from)
		}
		looks[i] = models.DetectorLook{P: p, Value: d.Value, Alarm: d.Value >= d.Threshold}
	}
	state.Observed++
	return state, looks
}

func judgeRank(d *models.Detector, block models.BlockLoss, loss, u float64, length models.Duration) place {
	handOut(d, block.Start, length.Std())
	known := int64(0)
	for _, s := range d.Strata {
		known += size(s)
	}
	at := learnRank(d, block, loss, u)
	play(d, func(s *models.Stake) { betOnRank(s, at, d.Observed, known) })
	return at
}

func judgeLevel(d *models.Detector, block models.BlockLoss, loss float64, length models.Duration) {
	if d.Level <= 0 {
		return
	}
	handOut(d, block.Start, length.Std())
	loss = clipped(*d, loss)
	play(d, func(s *models.Stake) { betOnLevel(s, *d, loss) })
	learnSums(d, loss)
}

// play lets every stake bet on the block.
func play(d *models.Detector, bet func(*models.Stake)) {
	d.Stakes = slices.Clone(d.Stakes)
	for i := range d.Stakes {
		s := &d.Stakes[i]
		s.Capitals = slices.Clone(s.Capitals)
		bet(s)
		roundDown(s)
	}
	d.Observed++
	d.Value = worth(*d)
}
