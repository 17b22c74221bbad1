package drift

import (
	"cmp"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// Side says which changes a Process looks for.
type Side int

// The sides.
const (
	Rise Side = iota
	Fall
	Either
)

// Evidence is what a process found in a series.
type Evidence struct {
	// Final is the e-value after the last value: with values that are
	// exchangeable with the reference its expectation is at most 1, at a moment
	// that was fixed before or chosen by this series alone.
	Final float64
	// Highest is the highest it ever was; Lift makes an e-value of it that holds
	// at any moment, whoever chose it.
	Highest float64
	// Rose says that most of Final is due to bets on a rise.
	Rose bool
	// Since is the index of the live value from which on the bets that hold most
	// of Final were placed.
	Since int
}

// Process runs the conformal e-process over the live values of one series, say
// a feature's distance to its reference or the loss of a slice, oldest first.
// Values that are no numbers are left out. Seed breaks ties. The money is
// handed out evenly over the live values, which the caller must not have chosen
// by looking at their values.
func Process(reference, live []float64, side Side, seed uint64) Evidence {
	stratum := models.Stratum{}
	for i, value := range reference {
		if !math.IsNaN(value) {
			rank(&stratum, store(value), uniform(^seed, uint64(i)))
		}
	}
	known := size(stratum)
	sides := []bool{true, false}
	switch side {
	case Rise:
		sides = sides[:1]
	case Fall:
		sides = sides[1:]
	case Either:
	}
	step := max(1, (len(live)+processWindows-1)/processWindows)
	windows := (len(live) + step - 1) / step
	stakes := make([][]models.Stake, len(sides))
	evidence := Evidence{Final: 1, Highest: 1}
	handed, judged := 0, 0
	for i, value := range live {
		if i%step == 0 {
			handed++
			for k := range stakes {
				stakes[k] = append(stakes[k], newStake(int64(judged), 1/float64(windows*len(sides))))
			}
		}
		if math.IsNaN(value) {
			continue
		}
		at := rank(&stratum, store(value), uniform(seed, uint64(i)))
		evidence.Final = 1 - float64(handed)/float64(windows)
		evidence.Rose, evidence.Since = false, 0
		most := 0.0
		for k, up := range sides {
			if !up {
				at = place{1 - at.to, 1 - at.from}
			}
			for n := range stakes[k] {
				s := &stakes[k][n]
				betOnRank(s, at, int64(judged), known+int64(judged))
				evidence.Final += total(*s)
				if total(*s) > most {
					most, evidence.Rose, evidence.Since = total(*s), up, n*step
				}
			}
		}
		evidence.Highest = max(evidence.Highest, evidence.Final)
		judged++
	}
	return evidence
}

const processWindows = 32

// Lift turns the highest value of an e-process into an e-value at any stopping
// time, also one that other series chose: an alarm stops all series at a moment
// that depends on the loss, and a plain e-process is only good for moments that
// it chose itself. It is the adjuster (e-1-ln e)/ln² e, whose integral over
// de/e² from 1 is 1 (Choe and Ramdas, Combining evidence across filtrations).
func Lift(highest float64) float64 {
	e := max(highest, 1)
	log := math.Log(e)
	if log < 1e-3 {
		return 0.5 + log/6
	}
	return (e - 1 - log) / (log * log)
}

// Reject says which e-values are discoveries by the e-BH rule: among those
// rejected, the expected share of wrong ones is at most level, however the
// e-values depend on each other (Wang and Ramdas).
func Reject(evalues []float64, level float64) []bool {
	order := make([]int, len(evalues))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(evalues[b], evalues[a]) })
	count := 0
	for k, i := range order {
		if evalues[i]*level*float64(k+1) >= float64(len(evalues)) {
			count = k + 1
		}
	}
	rejected := make([]bool, len(evalues))
	for _, i := range order[:count] {
		rejected[i] = true
	}
	return rejected
}
