// Package drift watches a sequence of losses, one per matured block, and cries
// when they rise. It is arithmetic on models.DetectorState without clock, I/O
// or hidden randomness: the same state and loss give the same next state.
//
// # Vocabulary
//
//   - A loss is the mean loss of one block; blocks are exchangeable while
//     nothing drifts (rows are not, see the reference on monitoring).
//   - The reference is every loss known so far: calibration losses the model was
//     not trained on, and each loss judged since.
//   - The conformal p-value of a loss is its rank from the top among the
//     reference and itself, ties broken by a logged random number. While nothing
//     drifts the p-values are independent and uniform; a rise makes them small.
//   - The martingale is the capital of somebody who bets against that: it
//     starts at 1, and reaches 1/α with probability at most α, ever, unless
//     something drifts (Ville's inequality).
//
// # The bets
//
// Conformal Simple Jumper (Vovk and others). Each bettor ε multiplies its
// capital by 1 + ε(2p-1), which averages 1 over a uniform p for every ε in
// [-1, 1], so any mixture of bettors is a martingale. A negative ε wins on
// small p, that is on high losses. Only ε ∈ {-1, -½, 0} bet here: a falling
// loss needs no retraining, and makes them lose. After each block every bettor
// gives the share 0.01 of its capital to be split equally, so that some of it
// is always near the right ε.
//
// A detector that has long run without drift has lost most of its stake.
// Therefore it gets fresh capital at the start of each window k of 30 blocks:
// 1/(k(k+1)), and 1 in all. What is not handed out yet counts at face value,
// so the whole stays a martingale that starts at 1.
//
// New losses join the reference. Thus a slow rise is learned rather than
// cried over; the first blocks after a jump are the ones that count. With no
// reference at all the first p-value is a mere random number, and a detector
// learns what is usual from what it sees.
package drift

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	jump   = 0.01  // share of each capital that is split equally after a block
	window = 30    // blocks between injections of capital
	most   = 1e100 // where losses and capitals stop to grow: infinity has no JSON, and lowering a capital is allowed
)

// bettors are the values of ε.
func bettors() []float64 { return []float64{-1, -0.5, 0} }

// Alpha turns a budget of expected false alarms into the level of a detector
// that is started afresh after each alarm: b/(1+b). Each run cries falsely with
// probability at most α, however long it lasts, so the expected number of false
// alarms in a row of restarts is at most α + α² + … = b. A fresh start for
// another reason, such as a new champion, begins a new row; the budget is
// therefore kept for every year with at most one such start, and stretched in
// proportion when there are more. The length of a block plays no role.
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

// New starts the detectors of a spec on the reference, oldest block first.
// Promised is the loss that evaluation found.
func New(spec models.MonitorSpec, reference []models.BlockLoss, promised models.Estimate, seed uint64) models.DetectorState {
	state := models.DetectorState{Seed: seed}
	total := 0.0
	for _, d := range spec.Detectors {
		total += d.Share
	}
	for _, d := range spec.Detectors {
		alpha := Alpha(spec.FalseAlarmsPerYear) * d.Share / total
		one := models.Detector{Spec: d, Alpha: alpha, Threshold: min(1/alpha, most), Value: 1, Capitals: make([]float64, len(bettors())), Strata: []models.Stratum{{}}}
		for _, block := range reference {
			if !math.IsNaN(block.Loss) {
				rank(&one.Strata[0], store(block.Loss), 0.5)
			}
		}
		state.Detectors = append(state.Detectors, one)
	}
	return state
}

// Update lets the detectors judge the next block. The argument is not changed.
// A loss that is not a number is no evidence.
func Update(state models.DetectorState, block models.BlockLoss) (models.DetectorState, []models.DetectorLook) {
	state.Detectors = slices.Clone(state.Detectors)
	looks := make([]models.DetectorLook, len(state.Detectors))
	for i := range state.Detectors {
		looks[i] = update(&state.Detectors[i], block, state.Seed)
	}
	state.Observed++
	return state, looks
}

func update(d *models.Detector, block models.BlockLoss, seed uint64) models.DetectorLook {
	if math.IsNaN(block.Loss) {
		return models.DetectorLook{P: 1, Value: d.Value, Alarm: d.Value >= d.Threshold}
	}
	loss := store(block.Loss)
	stratum := d.Strata[0]
	stratum.Losses = slices.Clone(stratum.Losses)
	p := rank(&stratum, loss, uniform(seed, uint64(d.Observed)))
	d.Capitals = bet(inject(d), p)
	d.Strata = []models.Stratum{stratum}
	d.Observed++
	d.Value = 1 - d.Injected
	for _, capital := range d.Capitals {
		d.Value += capital
	}
	return models.DetectorLook{P: p, Value: d.Value, Alarm: d.Value >= d.Threshold}
}

// inject hands out the window's capital if a window starts, and returns the
// capitals.
func inject(state *models.Detector) []float64 {
	capitals := slices.Clone(state.Capitals)
	if state.Observed%window != 0 {
		return capitals
	}
	state.Windows++
	k := float64(state.Windows)
	state.Injected = k / (k + 1) // 1/2 + 1/6 + … + 1/(k(k+1))
	for i := range capitals {
		capitals[i] += 1 / (k * (k + 1)) / float64(len(capitals))
	}
	return capitals
}

// bet lets the capital jump and then plays it on p.
func bet(capitals []float64, p float64) []float64 {
	total := 0.0
	for _, capital := range capitals {
		total += capital
	}
	for i, epsilon := range bettors() {
		moved := (1-jump)*capitals[i] + jump*total/float64(len(capitals))
		capitals[i] = min(moved*(1+epsilon*(2*p-1)), most)
	}
	return capitals
}
