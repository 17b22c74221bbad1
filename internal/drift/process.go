package drift

import (
	"math"

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
// Values that are no numbers are left out. Seed breaks ties. What was found by
// some value is the same however many follow, so that the caller may stop
// whenever he likes; but the first live value must be the first since the watch
// began, or have been chosen without looking.
func Process(reference, live []float64, side Side, seed uint64) Evidence {
	p := process{evidence: Evidence{Final: 1, Highest: 1}}
	switch side {
	case Rise:
		p.rises = []bool{true}
	case Fall:
		p.rises = []bool{false}
	case Either:
		p.rises = []bool{true, false}
	}
	p.stakes = make([][]models.Stake, len(p.rises))
	for i, value := range reference {
		if !math.IsNaN(value) {
			rank(&p.known, store(value), uniform(^seed, uint64(i)))
		}
	}
	p.before = size(p.known)
	for i, value := range live {
		p.handOut(int64(i))
		if !math.IsNaN(value) {
			p.judge(value, uniform(seed, uint64(i)))
		}
		p.judged++
	}
	return p.evidence
}

// process is one while it runs.
type process struct {
	known    models.Stratum
	before   int64 // values of the reference
	judged   int64 // live values, those that are no numbers included
	rises    []bool
	stakes   [][]models.Stake // of each side
	handed   float64
	evidence Evidence
}

// paid is by how many live values half of the capital is handed out; by six times
// as many, 86 %. So a change early and one late in a year find bettors who are
// about as rich.
const paid = 60

// handOut gives each side its part of what is due before a live value.
func (p *process) handOut(since int64) {
	money := float64(since+1)/float64(since+1+paid) - p.handed
	p.handed += money
	for side, has := range p.stakes {
		has = append(has, newStake(since, money/float64(len(p.stakes))))
		if len(has) > stakes {
			has = merge(has)
		}
		p.stakes[side] = has
	}
}

func (p *process) judge(value, u float64) {
	at := rank(&p.known, store(value), u)
	p.evidence.Final = max(0, 1-p.handed)
	richest := 0.0
	for side, rises := range p.rises {
		if !rises {
			at = placed(1-at.to, 1-at.from)
		}
		for n := range p.stakes[side] {
			s := &p.stakes[side][n]
			betOnRank(s, at, p.judged, p.before+p.judged)
			capital := min(total(*s), most)
			p.evidence.Final = min(p.evidence.Final+capital, most)
			if capital > richest {
				richest, p.evidence.Rose, p.evidence.Since = capital, rises, int(s.Since)
			}
		}
	}
	p.evidence.Highest = max(p.evidence.Highest, p.evidence.Final)
}
