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

// plan deals strikes to n seeds, so many to each. The cards of a deck are every
// fault at every boundary, and a deck is dealt to its end before the next. The
// deaths of MLflow, which stop everybody for seconds, are in every third deck
// only. Which of the boundary's calls is struck is drawn. The same counts give
// the same plan.
func plan(counts map[Boundary]int, n, strikes int) [][]Strike {
	boundaries := slices.Sorted(maps.Keys(counts))
	var deck []Strike
	decks := 0
	plans := make([][]Strike, n)
	for seed := range plans {
		random := rand.New(rand.NewPCG(uint64(seed), 5)) //nolint:gosec // repeatable on purpose
		for len(plans[seed]) < strikes {
			if len(deck) == 0 {
				deck = shuffled(boundaries, decks%3 == 0, random)
				decks++
			}
			next := deck[0]
			deck = deck[1:]
			next.N = 1 + random.IntN(counts[next.Boundary])
			for slices.ContainsFunc(plans[seed], func(s Strike) bool { return s.Boundary == next.Boundary && s.N == next.N }) {
				next.N++ // a struck call is followed by another one
			}
			plans[seed] = append(plans[seed], next)
		}
	}
	return plans
}

func shuffled(boundaries []Boundary, deaths bool, random *rand.Rand) (deck []Strike) {
	for _, b := range boundaries {
		for _, f := range Faults() {
			if deaths || f != MLflowBefore && f != MLflowAfter {
				deck = append(deck, Strike{Boundary: b, Fault: f})
			}
		}
	}
	random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}
