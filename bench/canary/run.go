package main

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
)

// contender is a rule that a table compares.
type contender struct {
	Name string
	New  func(world) rule
}

// outcome is how often a rule decided, and the median minute at which it did.
type outcome struct {
	Rule    string  `json:"rule"`
	Runs    int     `json:"runs"`
	Decided int     `json:"decided"`
	Rate    float64 `json:"rate"`
	Median  int     `json:"median_minutes,omitempty"`
}

// play runs all contenders on the same traffic.
func play(w world, contenders []contender, runs int, seed uint64) []outcome {
	decided := make([][]int, len(contenders)) // minute of each run's decision, 0: none
	for i := range decided {
		decided[i] = make([]int, runs)
	}
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for run := worker; run < runs; run += workers {
				minutes := w.simulate(rand.New(rand.NewPCG(seed, uint64(run))))
				for i, c := range contenders {
					decided[i][run] = first(c.New(w), minutes)
				}
			}
		})
	}
	group.Wait()
	outcomes := make([]outcome, len(contenders))
	for i, c := range contenders {
		outcomes[i] = summarise(c.Name, decided[i])
	}
	return outcomes
}

// first is the minute, from 1, in which the rule decides; 0: it never does.
func first(r rule, minutes []minute) int {
	for i, m := range minutes {
		if r.look(m) != wait {
			return i + 1
		}
	}
	return 0
}

func summarise(name string, minutes []int) outcome {
	o := outcome{Rule: name, Runs: len(minutes)}
	var when []int
	for _, m := range minutes {
		if m > 0 {
			when = append(when, m)
		}
	}
	o.Decided = len(when)
	o.Rate = float64(o.Decided) / float64(max(o.Runs, 1))
	if o.Decided > 0 {
		slices.Sort(when)
		o.Median = when[len(when)/2]
	}
	return o
}
