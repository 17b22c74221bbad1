package workflows

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/internal/drift"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// blocksShown are kept for the status, blocksCarried into the next run. What
	// an alarm says is computed from blocksCarried at most, so that it does not
	// depend on when the last run began.
	blocksShown, blocksCarried = 400, 60
	recentBlocks               = 7 // what counts as "now" on the page and in comparisons
)

// judge is the monitor's arithmetic: what a look at a block does to the state.
// It does not know the clock.
//
// The state keeps the detectors as of the newest block that no label can change
// any more. Those of the present follow from it and the open blocks since, and
// are computed anew when a last look differs from the first.
type judge struct {
	state   models.MonitorState
	present models.DetectorState
}

func newJudge(state models.MonitorState) judge {
	j := judge{state: state}
	j.fold()
	return j
}

// resting: an alarm waits for its retraining. The detectors have said what they
// had to say, and stay as they were.
func (j *judge) resting() bool { return j.state.Pending != "" }

// take does what a look is for. The alarm, if it raises one, is not in the state
// yet.
func (j *judge) take(l look) *models.Alarm {
	if l.last {
		return j.correct(l)
	}
	if l.block.Start.Before(j.state.Next) {
		return nil // it has been looked at
	}
	block := j.mark(l.block)
	block.Final = corrections(j.state.Watch.Spec) == 0
	block.P, block.Martingale = 1, sixDigits(valueOf(j.present))
	j.state.Blocks = append(j.state.Blocks, block)
	j.state.Blocks = j.state.Blocks[max(0, min(len(j.state.Blocks)-blocksShown, j.firstOpen())):]
	j.state.Next = block.End
	if block.Evidence {
		j.state.Evidence = addRun(j.state.Evidence, block)
	}
	if j.resting() {
		return nil
	}
	newest := &j.state.Blocks[len(j.state.Blocks)-1]
	raised := j.feed(&j.present, newest)
	if block.Final {
		j.state.Detector = j.present
	}
	if !raised {
		return nil
	}
	return j.cry(*newest, l.due)
}

// correct is the last look at a block. One that differs from the first opens
// the block again: the detectors go back to before it and judge it and all
// since anew.
func (j *judge) correct(l look) *models.Alarm {
	i := slices.IndexFunc(j.state.Blocks, func(b models.Block) bool { return b.Start.Equal(l.block.Start) && !b.Final })
	if i < 0 {
		return nil // it has been looked at
	}
	from, first, block := j.firstOpen(), j.state.Blocks[i], j.mark(l.block)
	block.Final = true
	block.P, block.Martingale, block.Looks = first.P, first.Martingale, first.Looks
	if block.Loss != first.Loss {
		block.Before = &first.Loss
	}
	j.state.Blocks[i] = block
	if j.resting() || block.Start.Before(j.state.Judged) {
		return nil
	}
	if sameEvidence(block, first) {
		for ; from < len(j.state.Blocks) && j.state.Blocks[from].Final; from++ {
			j.advance(&j.state.Detector, from)
		}
		return nil
	}
	block.P, block.Martingale, block.Looks = 1, sixDigits(valueOf(j.state.Detector)), nil
	j.state.Blocks[i] = block
	raised := j.foldFrom(from)
	if raised == nil {
		return nil
	}
	return j.cry(*raised, l.due)
}

// fold computes the present detectors from the state.
func (j *judge) fold() {
	if j.resting() {
		j.present = j.state.Detector
		return
	}
	j.foldFrom(j.firstOpen())
}

// foldFrom lets the detectors of the state judge the block with that index and
// all since, and moves the state on past those that are final. It returns the
// first block that raises an alarm; nil: none does.
func (j *judge) foldFrom(i int) (raised *models.Block) {
	j.present = j.state.Detector
	final := true
	for ; i < len(j.state.Blocks); i++ {
		block := &j.state.Blocks[i]
		if j.advance(&j.present, i) && raised == nil {
			raised = block
		}
		if final = final && block.Final; final {
			j.state.Detector = j.present
		}
	}
	return raised
}

// advance feeds detectors the block with that index, if they are to judge it.
func (j *judge) advance(detectors *models.DetectorState, i int) bool {
	block := &j.state.Blocks[i]
	return !block.Start.Before(j.state.Judged) && j.feed(detectors, block)
}

// feed lets detectors judge one block and reports whether one cries. A block
// with too few labels is no evidence.
func (j *judge) feed(detectors *models.DetectorState, block *models.Block) bool {
	if !block.Conclusive {
		return false
	}
	*detectors, block.Looks = drift.Update(*detectors, lossOf(*block))
	i := nearest(detectors.Detectors)
	if i < 0 {
		return false
	}
	block.P, block.Martingale = sixDigits(block.Looks[i].P), sixDigits(block.Looks[i].Value)
	return slices.ContainsFunc(block.Looks, func(l models.DetectorLook) bool { return l.Alarm })
}

// cry is the alarm that a block raises, known since due. The detectors rest from
// now on.
func (j *judge) cry(block models.Block, due time.Time) *models.Alarm {
	j.state.Detector = j.present
	watch := j.state.Watch
	alarm := models.Alarm{
		RequestID: fmt.Sprintf("%s/alarm/%s/%s", models.MonitorID(j.state.Endpoint), watch.Version, blockKey(block.Start)),
		Block:     block.Start, Version: watch.Version, AsOf: due, Reference: j.state.Reference.Loss,
	}
	strongest := -1.0
	for i, l := range block.Looks {
		d := j.present.Detectors[i]
		if l.Alarm && l.Value/d.Threshold > strongest {
			strongest = l.Value / d.Threshold
			alarm.Detector, alarm.Martingale, alarm.Threshold = models.DetectorName(d.Spec), l.Value, d.Threshold
		}
	}
	alarm.Change, alarm.Loss = j.changed(block)
	return &alarm
}

// restart begins the detectors anew on a reference, oldest block first. They
// judge from the next block on.
func (j *judge) restart(reference []models.BlockLoss) {
	watch := j.state.Watch
	seed := drift.Seed(j.state.Endpoint, watch.Version, j.state.Restarts)
	j.state.Restarts++
	j.state.Judged = j.state.Next
	j.state.Detector = drift.New(watch.Spec, reference, watch.Promised, seed)
	j.present = j.state.Detector
}

// rebase takes the champion's last blocks as the reference: from now on that is
// the level that a rise is held against.
func (j *judge) rebase(why string) {
	recent := j.recent(j.state.Watch.Spec.ReferenceBlocks)
	reference := *j.state.Reference
	reference.Blocks, reference.Loss = brief(lossesOf(recent)), meanLoss(recent)
	reference.Note = fmt.Sprintf("the last %d blocks before %s: %s", len(recent), blockKey(j.state.Next), why)
	j.state.Reference = &reference
	j.restart(lossesOf(recent))
}

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

// recent are the last n conclusive blocks of the champion, oldest first.
func (j *judge) recent(n int) []models.Block {
	found := []models.Block{}
	for _, b := range j.state.Blocks {
		if b.Conclusive && b.Version == j.state.Watch.Version {
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
	left, right := lossOf(a), lossOf(b)
	left.Start = right.Start
	return a.Conclusive == b.Conclusive && reflect.DeepEqual(left, right)
}

func meanLoss(blocks []models.Block) float64 {
	sum := 0.0
	for _, b := range blocks {
		sum += b.Loss
	}
	return sum / float64(max(len(blocks), 1))
}

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

// nearest is the index of the detector that is nearest to its threshold; -1:
// there is none.
func nearest(detectors []models.Detector) int {
	found := -1
	for i, d := range detectors {
		if found < 0 || d.Value*detectors[found].Threshold > detectors[found].Value*d.Threshold {
			found = i
		}
	}
	return found
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
