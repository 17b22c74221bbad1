package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/mainspring-ml/mainspring/internal/gate/metric"
)

// row is one row of a resample.
type row struct {
	label, candidate, champion float64
	groups                     []int32 // by slicing
}

// figures of both models in one segment, in the order of models.TaskBinary's
// metrics.
type figures struct{ candidate, champion [7]float64 }

// plainly gives the figures of all rows and of each slice, on the sample, which
// comes first, and on each resample.
func plainly(s metric.Sample, resamples int, seed uint64) [][]figures {
	blocks := make([][]row, slices.Max(s.Blocks)+1)
	for i, b := range s.Blocks {
		r := row{label: s.Labels[i], candidate: s.Candidate.Values[i], champion: s.Champion.Values[i]}
		for _, cut := range s.Slicings {
			r.groups = append(r.groups, cut.Groups[i])
		}
		blocks[b] = append(blocks[b], r)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	found := make([][]figures, resamples+1)
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for i := range found {
		var rows []row
		for b := range blocks {
			if i > 0 {
				b = random.IntN(len(blocks))
			}
			rows = append(rows, blocks[b]...)
		}
		turns <- struct{}{}
		wait.Go(func() {
			found[i] = segments(s, rows)
			<-turns
		})
	}
	wait.Wait()
	return found
}

func segments(s metric.Sample, rows []row) []figures {
	found := []figures{both(rows)}
	for c, cut := range s.Slicings {
		for g := range cut.Names {
			var slice []row
			for _, r := range rows {
				if r.groups[c] == int32(g) {
					slice = append(slice, r)
				}
			}
			found = append(found, both(slice))
		}
	}
	return found
}

func both(rows []row) figures {
	candidate, champion := make([]answer, len(rows)), make([]answer, len(rows))
	for i, r := range rows {
		candidate[i], champion[i] = answer{r.candidate, r.label}, answer{r.champion, r.label}
	}
	return figures{candidate: one(candidate), champion: one(champion)}
}

// answer is what a model's figures depend on.
type answer struct{ p, label float64 }

// one computes a model's metrics, each by its definition.
func one(rows []answer) [7]float64 {
	slices.SortFunc(rows, func(a, b answer) int { return cmp.Compare(b.p, a.p) })
	n := float64(len(rows))
	var loss, squares, right, hits, called, ones float64
	var gaps [15]float64
	for _, r := range rows {
		if r.label == 1 {
			loss -= math.Log(r.p)
			ones++
		} else {
			loss -= math.Log(1 - r.p)
		}
		squares += (r.p - r.label) * (r.p - r.label)
		if r.p >= 0.5 {
			called++
			hits += r.label
		}
		if (r.p >= 0.5) == (r.label == 1) {
			right++
		}
		gaps[min(int(math.Ceil(r.p*15))-1, 14)] += r.p - r.label
	}
	gap := 0.0
	for _, g := range gaps {
		gap += math.Abs(g)
	}
	area, precision := ranked(rows)
	return [7]float64{loss / n, squares / n, area, precision, right / n, 2 * hits / (called + ones), gap / n}
}

// ranked is the area under the ROC curve and average precision of sorted rows.
func ranked(rows []answer) (area, precision float64) {
	var ones, zeros float64
	for from := 0; from < len(rows); {
		to, one := from, 0.0
		for ; to < len(rows) && rows[to].p == rows[from].p; to++ {
			one += rows[to].label
		}
		zero := float64(to-from) - one
		area += zero * (ones + one/2)
		ones, zeros = ones+one, zeros+zero
		precision += one * ones / (ones + zeros)
		from = to
	}
	return area / (ones * zeros), precision / ones
}
