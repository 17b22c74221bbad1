package workflows

import (
	"cmp"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// blocksAtOnce bounds one scoring call; a backlog of months is worked off in
	// order, piece by piece. openAtOnce bounds the open blocks that it looks at.
	blocksAtOnce, openAtOnce = 31, 62
	// judgedAtOnce bounds how many blocks the last looks of one call let the
	// detectors judge again, which all takes a small part of a second: a workflow
	// that computes for a second is taken for one that hangs.
	judgedAtOnce = 10_000
)

// look is one score of one block. A block is looked at twice: for the first
// time when its labels have matured, for the last time when corrections can't
// come any more.
type look struct {
	due   time.Time // event time from which the score is known
	last  bool
	block models.Block
}

// firstDue and lastDue are when a block that ends then is looked at.
func firstDue(spec models.MonitorSpec, end time.Time) time.Time { return end.Add(spec.Maturity.Std()) }

func lastDue(spec models.MonitorSpec, end time.Time) time.Time {
	return firstDue(spec, end).Add(corrections(spec))
}

// corrections is how long after its first look a block has its last one; 0: the
// first is the last.
func corrections(spec models.MonitorSpec) time.Duration {
	if spec.Corrections == nil {
		return 0
	}
	return spec.Corrections.Std()
}

// stopped is the moment up to which a call that stopped short is complete: its
// last first look, or if it has none its last last look. Zero: it did not stop.
func stopped(spec models.MonitorSpec, scored models.ScoredBlocks) time.Time {
	switch {
	case !scored.More:
		return time.Time{}
	case len(scored.Blocks) > 0:
		return firstDue(spec, scored.Blocks[len(scored.Blocks)-1].End)
	case len(scored.Final) > 0:
		return lastDue(spec, scored.Final[len(scored.Final)-1].End)
	default:
		return time.Time{} // it makes no progress: the next poll tries again
	}
}

// inOrder sorts what a scoring call found by when it was due. At the same moment
// the older block comes first, whose look is a last one. A call that stopped short leaves out
// looks that were due before others that it returns. Therefore everything after
// the moment up to which it is complete is left out here, to be read again: so
// the order of looks does not depend on how much is read at a time.
//
// Sent are the open blocks that the call was asked for, open is how many there
// are. Whole says that nothing was left out.
func inOrder(spec models.MonitorSpec, scored models.ScoredBlocks, sent []models.OpenBlock, open int) (looks []look, whole bool) {
	until := stopped(spec, scored)
	if n := len(sent); n > 0 && n < open && hasFinal(scored, sent[n-1].Start) {
		// The open blocks that were not asked for may be due as well.
		if due := lastDue(spec, sent[n-1].End); until.IsZero() || due.Before(until) {
			until = due
		}
	}
	for _, b := range scored.Blocks {
		looks = append(looks, look{due: firstDue(spec, b.End), block: b})
	}
	if corrections(spec) > 0 {
		for _, b := range scored.Final {
			looks = append(looks, look{due: lastDue(spec, b.End), last: true, block: b})
		}
	}
	slices.SortStableFunc(looks, func(a, b look) int {
		return cmp.Or(a.due.Compare(b.due), a.block.Start.Compare(b.block.Start))
	})
	if until.IsZero() {
		return looks, true
	}
	return slices.DeleteFunc(looks, func(l look) bool { return l.due.After(until) }), false
}

func hasFinal(scored models.ScoredBlocks, start time.Time) bool {
	return slices.ContainsFunc(scored.Final, func(b models.Block) bool { return b.Start.Equal(start) })
}
