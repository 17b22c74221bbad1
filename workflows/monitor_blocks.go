package workflows

import (
	"slices"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/models"
)

// brief keeps of reference blocks what travels from run to run: losses of six
// digits. Detectors have seen the rest.
func brief(blocks []models.BlockLoss) []models.BlockLoss {
	short := make([]models.BlockLoss, len(blocks))
	for i, b := range blocks {
		short[i].Loss = sixDigits(b.Loss)
	}
	return short
}

// sixDigits rounds a figure that travels in payloads, of which there are many.
// Detectors tell no more apart.
func sixDigits(v float64) float64 {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	return short
}

// mark sets what only the monitor knows of a block, and rounds the rest.
func (j *judge) mark(block models.Block) models.Block {
	if block.End.IsZero() {
		block.End = block.Start.Add(j.state.Watch.Spec.Block.Std())
	}
	for _, figure := range []*float64{&block.Loss, &block.Rate, &block.Predicted, &block.Estimated} {
		*figure = sixDigits(*figure)
	}
	block.Version = j.state.Watch.Version
	block.Conclusive = block.Labelled >= int64(j.state.Watch.Spec.MinLabels)
	return block
}

// open are the blocks that labels may still change, oldest first.
func (j *judge) open() []models.OpenBlock {
	open := []models.OpenBlock{}
	for _, b := range j.state.Blocks[j.firstOpen():] {
		if !b.Final {
			open = append(open, models.OpenBlock{Start: b.Start, End: b.End})
		}
	}
	return open
}

// firstOpen is the index of the oldest open block; the number of blocks: there
// is none.
func (j *judge) firstOpen() int {
	if i := slices.IndexFunc(j.state.Blocks, func(b models.Block) bool { return !b.Final }); i >= 0 {
		return i
	}
	return len(j.state.Blocks)
}

// recent are the last n conclusive blocks of the champion, oldest first. If it
// has been champion before, those of then are not among them.
func (j *judge) recent(n int) []models.Block {
	found := []models.Block{}
	for _, b := range j.state.Blocks {
		if b.Conclusive && !b.Start.Before(j.state.Watched) {
			found = append(found, b)
		}
	}
	return lastOf(found, n)
}

// changed estimates where the loss changed that made a block cry, and its mean
// since.
func (j *judge) changed(cried models.Block) (time.Time, float64) {
	since := slices.DeleteFunc(j.recent(blocksCarried), func(b models.Block) bool {
		return b.Start.Before(j.state.Judged) || b.Start.After(cried.Start)
	})
	change := drift.ChangePoint(j.state.Reference.Blocks, lossesOf(since))
	rise := slices.DeleteFunc(since, func(b models.Block) bool { return b.Start.Before(change) })
	return change, meanLoss(rise)
}

// sameEvidence reports whether two scores of a block are the same to detectors.
func sameEvidence(a, b models.Block) bool {
	return a.Conclusive == b.Conclusive && a.Labelled == b.Labelled && a.Loss == b.Loss && a.Estimated == b.Estimated &&
		slices.Equal(a.Slices, b.Slices)
}

func meanLoss(blocks []models.Block) float64 { return models.MeanLoss(lossesOf(blocks)) }

// lossOf is what detectors see of a block.
func lossOf(b models.Block) models.BlockLoss {
	return models.BlockLoss{Start: b.Start, Labelled: b.Labelled, Loss: b.Loss, Estimated: b.Estimated, Slices: b.Slices}
}

func lossesOf(blocks []models.Block) []models.BlockLoss {
	losses := make([]models.BlockLoss, len(blocks))
	for i, b := range blocks {
		losses[i] = lossOf(b)
	}
	return losses
}

func valueOf(state models.DetectorState) float64 {
	d, _ := state.Nearest()
	return d.Value
}

// blockKey names a block by its start, as short as that allows.
func blockKey(start time.Time) string {
	start = start.UTC()
	if start.Equal(start.Truncate(24 * time.Hour)) {
		return models.DayKey(start)
	}
	return start.Format("2006-01-02T15:04:05.999999Z")
}
