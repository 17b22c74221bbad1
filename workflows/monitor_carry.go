package workflows

import (
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// shiftsCarried are features and slices of the last comparison, which is made
	// anew after the next block, and of the last alarm's explanation.
	shiftsCarried  = 2
	evidenceBlocks = 400
	runsKept       = 60
)

// carried is what the next run needs: the blocks that are open, that an alarm or
// a restart looks back to, and of the explanations what fits into a payload.
func carried(state models.MonitorState) models.MonitorState {
	next := state
	next.Blocks = slices.Clone(state.Blocks[len(state.Blocks)-blocksNeeded(state):])
	for i, b := range next.Blocks {
		if b.Final {
			next.Blocks[i].Looks = nil // the nearest one stays in P and Martingale
		}
	}
	next.Alarms = slices.Clone(state.Alarms)
	for i := range next.Alarms {
		if e := next.Alarms[i].Explanation; e != nil {
			short, kept := *e, 0 // its page has them all, and the data
			if i == len(next.Alarms)-1 {
				kept = shiftsCarried
			}
			short.Data = nil
			short.Slices, short.Features = firstOf(e.Slices, kept), firstOf(e.Features, kept)
			next.Alarms[i].Explanation = &short
		}
	}
	if state.Inputs != nil {
		inputs := *state.Inputs
		inputs.Features, inputs.Slices = firstOf(inputs.Features, shiftsCarried), firstOf(inputs.Slices, shiftsCarried)
		next.Inputs = &inputs
	}
	next.Ahead = nil // the next look at the log finds them again
	return next
}

func firstOf[T any](items []T, n int) []T { return items[:min(len(items), n)] }

// blocksNeeded is how many of the newest blocks the next run needs.
func blocksNeeded(state models.MonitorState) int {
	if state.Watch == nil {
		return min(len(state.Blocks), blocksCarried)
	}
	n, conclusive := 0, 0
	j := judge{state: state}
	for i := len(state.Blocks) - 1; i >= 0; i-- {
		if n >= blocksCarried && conclusive >= state.Watch.Spec.ReferenceBlocks && i < j.firstOpen() {
			break
		}
		n++
		if b := state.Blocks[i]; b.Conclusive && !b.Start.Before(state.Watched) {
			conclusive++
		}
	}
	return n
}

// addRun notes a block with evidence. The newest evidenceBlocks stay, in at most
// runsKept runs.
func addRun(runs []models.BlockRun, block models.Block) []models.BlockRun {
	length := models.Duration(block.End.Sub(block.Start))
	runs = slices.Clone(runs)
	if n := len(runs); n > 0 && runs[n-1].Length == length && runEnd(runs[n-1]).Equal(block.Start) {
		runs[n-1].Count++
	} else {
		runs = append(runs, models.BlockRun{Start: block.Start, Length: length, Count: 1})
	}
	runs = lastOf(runs, runsKept)
	total := 0
	for _, r := range runs {
		total += r.Count
	}
	if total > evidenceBlocks { // by one: they come one by one
		runs[0].Start, runs[0].Count = runs[0].Start.Add(runs[0].Length.Std()), runs[0].Count-1
		if runs[0].Count == 0 {
			runs = runs[1:]
		}
	}
	return runs
}

func runEnd(r models.BlockRun) time.Time {
	return r.Start.Add(time.Duration(r.Count) * r.Length.Std())
}

// blocksOf lists the blocks of runs, oldest first.
func blocksOf(runs []models.BlockRun) []models.OpenBlock {
	blocks := []models.OpenBlock{}
	for _, r := range runs {
		for i := range r.Count {
			start := r.Start.Add(time.Duration(i) * r.Length.Std())
			blocks = append(blocks, models.OpenBlock{Start: start, End: start.Add(r.Length.Std())})
		}
	}
	return blocks
}
