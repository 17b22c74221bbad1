package registry

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// boundariesOf counts the calls of an undisturbed seed at each boundary.
func boundariesOf(calls []Boundary) map[Boundary]int {
	counts := map[Boundary]int{}
	for _, b := range calls {
		counts[b]++
	}
	return counts
}

// deathEvery: one card of so many is a death of MLflow, which stops every slot
// for seconds.
const deathEvery = 16

// plan deals strikes to n seeds, so many to each. A card is a fault at a
// boundary; the deaths of MLflow have a deck of their own. A deck is dealt to its
// end before it is shuffled again. Which of the boundary's calls is struck is
// drawn. The same counts give the same plan.
func plan(counts map[Boundary]int, n, strikes int) [][]Strike {
	boundaries := slices.Sorted(maps.Keys(counts))
	var common, deaths deck
	plans := make([][]Strike, n)
	dealt := 0
	for seed := range plans {
		random := rand.New(rand.NewPCG(uint64(seed), 5)) //nolint:gosec // repeatable on purpose
		for ; len(plans[seed]) < strikes; dealt++ {
			from, faults := &common, commonFaults()
			if dealt%deathEvery == deathEvery-1 {
				from, faults = &deaths, []Fault{MLflowBefore, MLflowAfter}
			}
			next := from.deal(boundaries, faults, random)
			next.N = 1 + random.IntN(counts[next.Boundary])
			for slices.ContainsFunc(plans[seed], func(s Strike) bool { return s.Boundary == next.Boundary && s.N == next.N }) {
				next.N++ // a struck call is followed by another one
			}
			plans[seed] = append(plans[seed], next)
		}
	}
	return plans
}

func commonFaults() []Fault {
	return slices.DeleteFunc(Faults(), func(f Fault) bool { return f == MLflowBefore || f == MLflowAfter })
}

type deck struct{ cards []Strike }

func (d *deck) deal(boundaries []Boundary, faults []Fault, random *rand.Rand) Strike {
	if len(d.cards) == 0 {
		for _, b := range boundaries {
			for _, f := range faults {
				d.cards = append(d.cards, Strike{Boundary: b, Fault: f})
			}
		}
		random.Shuffle(len(d.cards), func(i, j int) { d.cards[i], d.cards[j] = d.cards[j], d.cards[i] })
	}
	next := d.cards[0]
	d.cards = d.cards[1:]
	return next
}
