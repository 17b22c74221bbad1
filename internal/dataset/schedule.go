package dataset

import (
	"cmp"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Deadlines are how long after its end a block waits for labels: until Maturity
// for its first score, and for Corrections more for its last one. Labels that
// become known later are counted nowhere.
type Deadlines struct {
	Maturity    time.Duration
	Corrections time.Duration
}

// First is the last moment at which a label counts for the first score.
func (d Deadlines) First(end time.Time) time.Time { return end.Add(d.Maturity) }

// Last is the last moment at which a label counts at all.
func (d Deadlines) Last(end time.Time) time.Time { return end.Add(d.Maturity + d.Corrections) }

// Task is what has to be found out about one block.
type Task struct {
	models.OpenBlock
	First bool // its first score
	Last  bool // its last score
	Ahead bool // what can be known before its labels are
}

// Schedule says which scores are due.
type Schedule struct {
	Deadlines
	Watermark time.Time
	// Limit bounds the first scores. Fits is asked for each block that would be
	// read, and may refuse any but the first.
	Limit int
	Fits  func(models.OpenBlock) bool
}

// score is one that is due.
type score struct {
	block models.OpenBlock
	due   time.Time
	last  bool
}

// Plan takes the blocks that were scored once and those that come next, both
// oldest first, and lists what is due, by start. Scores are taken in the order
// of the moments they became due at, the last one of an older block before the
// first one of a newer, and what is left out is due after all that is taken: so
// that however a backlog is cut, and whenever it is worked off, it is one
// sequence. More says that something was left out.
//
// Without corrections a first score is the last as well.
func (s Schedule) Plan(open, next []models.OpenBlock) (tasks []Task, more bool) {
	var due []score
	for _, b := range open {
		due = append(due, score{b, s.Last(b.End), true})
	}
	for _, b := range next {
		due = append(due, score{b, s.First(b.End), false})
		if s.Corrections > 0 {
			due = append(due, score{b, s.Last(b.End), true})
		}
	}
	due = slices.DeleteFunc(due, func(d score) bool { return d.due.After(s.Watermark) })
	slices.SortStableFunc(due, func(a, b score) int {
		return cmp.Or(a.due.Compare(b.due), a.block.Start.Compare(b.block.Start)) // at a tie the last score is of the older one
	})
	taken, more := s.take(due)
	at := map[int64]int{} // by start
	for _, d := range taken {
		i, known := at[d.block.Start.UnixMicro()]
		if !known {
			i = len(tasks)
			at[d.block.Start.UnixMicro()] = i
			tasks = append(tasks, Task{OpenBlock: d.block})
		}
		if d.last {
			tasks[i].Last = true
		} else {
			tasks[i].First, tasks[i].Last = true, tasks[i].Last || s.Corrections == 0
		}
	}
	slices.SortFunc(tasks, func(a, b Task) int { return a.Start.Compare(b.Start) })
	return tasks, more
}

// take takes as many of the scores as may be. A piece that leaves something out
// ends with a first score, if it has one: by it can be told up to which moment
// the piece is whole.
func (s Schedule) take(due []score) (taken []score, more bool) {
	counted := map[int64]bool{} // by start
	firsts := 0
	for i, d := range due {
		start := d.block.Start.UnixMicro()
		fits := counted[start] || s.Fits(d.block) || i == 0
		if !fits || !d.last && firsts == s.Limit {
			for firsts > 0 && taken[len(taken)-1].last {
				taken = taken[:len(taken)-1]
			}
			return taken, true
		}
		counted[start] = true
		taken = append(taken, d)
		if !d.last {
			firsts++
		}
	}
	return taken, false
}
