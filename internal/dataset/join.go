package dataset

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// ID stands for a request's ID: the first 128 bits of its SHA-256. Callers
// choose IDs, of any length; nobody finds two that are one here.
type ID struct{ high, low uint64 }

// NewID is the ID of a text.
func NewID(text []byte) ID {
	sum := sha256.Sum256(text)
	return ID{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])}
}

// Compare orders IDs in a way that has nothing to do with their texts.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.high, other.high), cmp.Compare(id.low, other.low))
}

// Outcome is one label that became known. Times are microseconds.
type Outcome struct {
	ID        ID
	Label     float64
	LabelTime int64 // event time
	Time      int64 // wall clock of arrival
}

// KnowsLabel reports whether a number is a label of a task; classes is how many
// there are, 0: not known. Any other is no outcome at all: it neither counts nor
// takes the place of one that does.
func KnowsLabel(task models.Task, classes int, label float64) bool {
	switch task {
	case models.TaskRegression:
		return !math.IsNaN(label) && !math.IsInf(label, 0)
	case models.TaskMulticlass:
		return label >= 0 && label <= maxClass && label == math.Trunc(label) && (classes == 0 || label < float64(classes))
	case models.TaskBinary:
	}
	return label == 0 || label == 1
}

// Known is what is known of a request's label by some moment.
type Known struct {
	Label float64
	time  int64
	found bool
}

// Found reports whether there is a label.
func (k Known) Found() bool { return k.found }

// Hearing is when outcomes of a block's requests must become known to count, in
// microseconds, both ends included.
type Hearing struct{ from, until int64 }

// NewHearing begins with the day of the block's start: of an outcome often only
// the date is known. What was known on an earlier day is about something else;
// it must not depend on whether that day's labels happen to be read as well.
func NewHearing(start, until time.Time) Hearing {
	return Hearing{BlockStart(start.UnixMicro(), models.Day.Std()).UnixMicro(), until.UnixMicro()}
}

// Hear takes an outcome that became known in time. Of several the one that
// arrived last counts, whatever the order of hearing.
func (k *Known) Hear(o Outcome, h Hearing) {
	if o.LabelTime < h.from || o.LabelTime > h.until {
		return
	}
	if !k.found || cmp.Or(cmp.Compare(o.Time, k.time), cmp.Compare(o.Label, k.Label)) > 0 {
		*k = Known{Label: o.Label, time: o.Time, found: true}
	}
}

// Answer is one answered request of the log. Times are microseconds.
type Answer struct {
	ID        ID
	EventTime int64
	Time      int64 // wall clock
	// Share is the probability with which the request was logged; 0: it was
	// certain.
	Share float64
	// Block is the place of its block among those that are scored together.
	Block int32
	// Twice says that the block has the request in another answer, which counts.
	Twice bool
}

// Weight makes up for the requests that were left out of the log: where a
// block's requests were not all as likely to be logged, its means are those of
// the traffic, not of the log.
func (a Answer) Weight() float64 {
	if a.Share > 0 && a.Share < 1 {
		return 1 / a.Share
	}
	return 1
}

// before orders two answers to one request: the one that was given first
// counts.
func (a Answer) before(b Answer) bool {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.EventTime, b.EventTime)) < 0
}

// Join finds the answers that an outcome is about. Answers are in parts, which
// whoever made them keeps.
type Join struct {
	parts [][]Answer
	table []place
	mask  uint64
}

// place is where an answer is; the zero one is empty.
type place struct{ part, row int32 } // part counts from 1

// NewJoin indexes answers and marks those of one block that are about one
// request, but for the first: a request that is in the log twice counts once, as
// first answered.
func NewJoin(parts [][]Answer) *Join {
	rows := 0
	for _, part := range parts {
		rows += len(part)
	}
	size := 16
	for size < 2*rows {
		size *= 2
	}
	j := &Join{parts: parts, table: make([]place, size), mask: uint64(size - 1)}
	for p, part := range parts {
		for row := range part {
			j.add(place{int32(p + 1), int32(row)})
		}
	}
	return j
}

func (j *Join) at(p place) *Answer { return &j.parts[p.part-1][p.row] }

func (j *Join) add(p place) {
	a := j.at(p)
	at := a.ID.low & j.mask
	for ; j.table[at].part != 0; at = (at + 1) & j.mask {
		other := j.at(j.table[at])
		if other.ID != a.ID || other.Block != a.Block {
			continue
		}
		if a.before(*other) {
			other.Twice = true
			j.table[at] = p
		} else {
			a.Twice = true
		}
		return
	}
	j.table[at] = p
}

// Each calls a function with the part and the row of every answer that an
// outcome of the ID is about, one per block. Goroutines may share a Join.
func (j *Join) Each(id ID, do func(part, row int)) {
	for at := id.low & j.mask; j.table[at].part != 0; at = (at + 1) & j.mask {
		if p := j.table[at]; j.at(p).ID == id {
			do(int(p.part-1), int(p.row))
		}
	}
}
