package main

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

// decision of a rule after a look.
type decision int

const (
	wait decision = iota
	rollBack
	promote
)

// rule looks at each minute, or each block of labels, of a run once, in order.
type rule[T any] interface{ look(T) decision }

// contender is a rule that a table compares.
type contender[T any] struct {
	name string
	open func() rule[T]
	// claims is whether the rule promises to keep the row's budget.
	claims bool
}

// Outcome is how often a rule decided, and the median look at which it did.
type Outcome struct {
	Rule    string  `json:"rule"`
	Decided int     `json:"decided"` // runs
	Rate    float64 `json:"rate"`    // of all runs
	Upper   float64 `json:"upper"`   // end of the 95 % interval of the rate
	Median  int     `json:"median_looks,omitempty"`
	// Promise is kept while the lower end of the 95 % interval is within the
	// row's budget; empty: the rule promises nothing here.
	Promise Promise `json:"promise,omitempty"`
}

// Promise says what became of a rule's promise.
type Promise string

// The states of a promise.
const (
	PromiseKept   Promise = "kept"
	PromiseBroken Promise = "broken"
)

// play runs all contenders on the same traffic.
func play[T any](simulate func(*rand.Rand) []T, contenders []contender[T], o options, budget float64) []Outcome {
	decided := make([][]int, len(contenders)) // look of each run's decision, 0: none
	for i := range decided {
		decided[i] = make([]int, o.runs)
	}
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for run := worker; run < o.runs; run += workers {
				looks := simulate(rand.New(rand.NewPCG(o.seed, uint64(run))))
				for i, c := range contenders {
					decided[i][run] = first(c.open(), looks)
				}
			}
		})
	}
	group.Wait()
	outcomes := make([]Outcome, len(contenders))
	for i, c := range contenders {
		outcomes[i] = summarise(decided[i])
		outcomes[i].Rule = c.name
		if c.claims && budget > 0 {
			outcomes[i].Promise = PromiseKept
			if lower, _ := figures.Interval(outcomes[i].Decided, o.runs); lower > budget {
				outcomes[i].Promise = PromiseBroken
			}
		}
	}
	return outcomes
}

// first is the look, from 1, at which the rule decides; 0: it never does.
func first[T any](r rule[T], looks []T) int {
	for i, l := range looks {
		if r.look(l) != wait {
			return i + 1
		}
	}
	return 0
}

func summarise(looks []int) Outcome {
	var o Outcome
	var when []int
	for _, l := range looks {
		if l > 0 {
			when = append(when, l)
		}
	}
	o.Decided = len(when)
	o.Rate = float64(o.Decided) / float64(max(len(looks), 1))
	_, o.Upper = figures.Interval(o.Decided, len(looks))
	if o.Decided > 0 {
		slices.Sort(when)
		o.Median = when[len(when)/2]
	}
	return o
}
