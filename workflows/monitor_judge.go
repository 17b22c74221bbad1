package workflows

import (
	"fmt"
	"slices"
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
	leastReference             = 5 // blocks that a new level is known by, however late it changed
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
	j.closeOldest()
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

// closeOldest waits no more for corrections of the oldest blocks when too many
// wait, as those of few rows may: their first look was their last.
func (j *judge) closeOldest() {
	from := j.firstOpen()
	for i := from; len(j.state.Blocks)-i > models.MostOpenBlocks; i++ {
		j.state.Blocks[i].Final = true
	}
	if !j.resting() {
		j.moveOn(from)
	}
}

// moveOn takes the detectors of the state past the block with that index and
// those that follow it, as long as they are final.
func (j *judge) moveOn(i int) {
	for ; i < len(j.state.Blocks) && j.state.Blocks[i].Final; i++ {
		j.advance(&j.state.Detector, i)
	}
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
		j.moveOn(from)
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
	i := detectors.NearestIndex()
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

// beginning makes detectors on a reference, oldest block first: drift.New or, where
// the level has changed for good, drift.Renew.
type beginning func(models.MonitorSpec, []models.BlockLoss, models.Estimate, uint64) models.DetectorState

// restart begins the detectors anew on a reference. They judge from the next
// block on.
func (j *judge) restart(begin beginning, reference []models.BlockLoss) {
	watch := j.state.Watch
	seed := drift.Seed(j.state.Endpoint, watch.Version, j.state.Restarts)
	j.state.Restarts++
	j.state.Judged = j.state.Next
	j.state.Detector = begin(watch.Spec, reference, watch.Promised, seed)
	j.present = j.state.Detector
}

// rebase takes the champion's last blocks since a change as the reference: from
// now on that is the level that a rise is held against. Blocks of before would
// make every day of the new level a rise.
func (j *judge) rebase(change time.Time, why string) {
	recent := j.recent(j.state.Watch.Spec.ReferenceBlocks)
	since := slices.IndexFunc(recent, func(b models.Block) bool { return !b.Start.Before(change) })
	recent = recent[max(0, min(since, len(recent)-leastReference)):]
	reference := *j.state.Reference
	reference.Blocks, reference.Loss = brief(lossesOf(recent)), meanLoss(recent)
	reference.Note = fmt.Sprintf("the last %d blocks before %s: %s", len(recent), blockKey(j.state.Next), why)
	j.state.Reference = &reference
	j.restart(drift.Renew, lossesOf(recent))
}
