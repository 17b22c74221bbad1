// Package simulation runs a device pool, its holders, its hosts and the network
// between them in virtual time, and breaks everything that can break. A seed is
// a whole history: the same seed gives the same one, to the last message.
//
// # Vocabulary
//
//   - The world is one history. It holds the real decision maker
//     (placement.Pool) and the real rule of the hosts (fencing.Decide); all that
//     lies between them is modelled.
//   - A holder is a workflow that asks for leases and runs ranks on them.
//   - A host has devices, an agent that comes and goes, and jobs that stay.
//   - The oracle sees only what the pool was told and what it answered, and
//     which processes run. It keeps a plain list of both and knows nothing of
//     queues, scores or reservations.
//   - Trouble is what happens until the world calms down: messages get lost,
//     come twice, late and out of order; hosts vanish and return; holders crash.
//     After it everything that was asked for has to be granted and given back.
//   - A Break is a mechanism broken on purpose, to prove that the oracle would
//     notice.
package simulation

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"
)

// Config is what makes a world.
type Config struct {
	Seed  uint64
	Break Break
}

// World is one history.
type World struct {
	random   *rand.Rand
	breaking Break
	now      time.Time
	events   events
	sequence int64
	calm     bool          // nothing goes wrong any more
	pace     time.Duration // most time between two mischiefs

	pool    *pool
	hosts   []*host
	holders []*holder
	byID    map[string]*holder
	oracle  *oracle
	script  script
}

// Report is what became of a world.
type Report struct {
	Seed      uint64
	Violation error  // nil: every promise was kept
	Script    string // the last events, for people
	Stats     Stats
}

// Stats say whether a world was wild enough to prove anything.
type Stats struct {
	Events, Grants, Losses, Preemptions, Refusals, Growths    int
	Continued, Crashed, Fenced, HostsLost, Faults, Swept, Old int
}

// Add sums two worlds up.
func (s Stats) Add(o Stats) Stats {
	return Stats{
		Events: s.Events + o.Events, Grants: s.Grants + o.Grants, Losses: s.Losses + o.Losses,
		Preemptions: s.Preemptions + o.Preemptions, Refusals: s.Refusals + o.Refusals, Growths: s.Growths + o.Growths,
		Continued: s.Continued + o.Continued, Crashed: s.Crashed + o.Crashed, Fenced: s.Fenced + o.Fenced,
		HostsLost: s.HostsLost + o.HostsLost, Faults: s.Faults + o.Faults, Swept: s.Swept + o.Swept, Old: s.Old + o.Old,
	}
}

// epoch is when every world begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	trouble  = 12 * time.Minute // how long things go wrong
	mostStep = 200_000          // events; a world that needs more runs in a circle
)

// Run lives a world to its end, or to the first broken promise.
func Run(config Config) Report {
	w := newWorld(config)
	w.populate()
	return w.live(config.Seed, w.settled)
}

func newWorld(config Config) *World {
	w := &World{random: rand.New(rand.NewPCG(config.Seed, 0x6d61696e)), breaking: config.Break, now: epoch, byID: map[string]*holder{}}
	w.oracle = newOracle(w)
	w.pool = newPool(w)
	return w
}

// live carries out one event after the other until the world is done.
func (w *World) live(seed uint64, done func() bool) Report {
	for w.oracle.violation == nil && len(w.events) > 0 && !done() {
		next := heap.Pop(&w.events).(event)
		w.now = next.at
		next.do()
		w.oracle.stats.Events++
		if w.oracle.stats.Events > mostStep {
			w.oracle.violate("the world runs in a circle: %d events by %s", mostStep, w.now.Sub(epoch))
		}
	}
	if w.oracle.violation == nil && !done() {
		w.oracle.violate("nothing more happens, and not everything is done: %s", w.unfinished())
	}
	return Report{Seed: seed, Violation: w.oracle.violation, Script: w.script.String(), Stats: w.oracle.stats}
}

// populate makes hosts, holders and trouble.
func (w *World) populate() {
	w.pace = pick(w, 20*time.Second, 90*time.Second, 4*time.Minute)
	w.makeHosts()
	for i := range 4 + w.random.IntN(9) {
		h := w.makeHolder(fmt.Sprintf("job-%02d", i))
		w.after(w.upTo(trouble*2/3), h.begin)
	}
	w.after(w.upTo(time.Minute), w.mischief)
	w.after(trouble, w.calmDown)
}

// calmDown ends the trouble: what was broken is mended, and from here on the
// pool has a bounded time to serve everybody.
func (w *World) calmDown() {
	w.calm = true
	w.note("the world calms down")
	for _, h := range w.hosts {
		h.mend()
	}
	w.lift()
	var work time.Duration
	for _, h := range w.holders {
		work += h.work
	}
	bound := 4*work + 2*time.Hour
	w.after(bound, func() {
		if !w.settled() {
			w.oracle.violate("%s after the last trouble not everything was granted and given back: %s", bound, w.unfinished())
		}
	})
}

// settled: every holder is done, and the pool knows of nothing lent.
func (w *World) settled() bool {
	if !w.calm {
		return false
	}
	for _, h := range w.holders {
		if h.state != closed {
			return false
		}
	}
	return len(w.oracle.live) == 0 && len(w.pool.core.Holders()) == 0
}

func (w *World) unfinished() string {
	text := ""
	for _, h := range w.holders {
		if h.state != closed {
			text += fmt.Sprintf("%s is %s with %s; ", h.id, h.state, h.requestID())
			if why := w.pool.core.Explain(h.requestID(), w.now); why != "" {
				text += "the pool says: " + why + "; "
			}
		}
	}
	for _, l := range w.oracle.live {
		text += fmt.Sprintf("lease %d of %s is out; ", l.Token, l.RequestID)
	}
	return text
}

type event struct {
	at       time.Time
	sequence int64
	do       func()
}

// events is a heap; events of one instant keep their order.
type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e events) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].sequence < e[j].sequence
}

// Push implements heap.Interface.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop implements heap.Interface.
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (w *World) after(d time.Duration, do func()) { w.at(w.now.Add(d), do) }

func (w *World) at(t time.Time, do func()) {
	w.sequence++
	heap.Push(&w.events, event{at: t, sequence: w.sequence, do: do})
}

// upTo draws a duration below d.
func (w *World) upTo(d time.Duration) time.Duration { return time.Duration(w.random.Int64N(int64(d))) }

// chance is true once in n, as long as there is trouble.
func (w *World) chance(n int) bool { return !w.calm && w.random.IntN(n) == 0 }

// send carries a message: as a rule once and soon; in trouble late, twice, or
// never. It says whether the message is lost.
func (w *World) send(what string, deliver func()) (lost bool) {
	if w.chance(12) {
		w.note("lost: %s", what)
		return true
	}
	w.after(w.delay(), deliver)
	if w.chance(10) {
		w.note("to come twice: %s", what)
		w.after(w.delay(), deliver)
	}
	return false
}

func (w *World) delay() time.Duration {
	switch {
	case w.chance(30):
		return w.upTo(2 * time.Minute)
	case w.chance(4):
		return w.upTo(10 * time.Second)
	default:
		return time.Millisecond + w.upTo(300*time.Millisecond)
	}
}

func (w *World) note(format string, arguments ...any) {
	w.script.add(w.now.Sub(epoch), format, arguments...)
}

// pick draws one of the choices.
func pick[T any](w *World, choices ...T) T { return choices[w.random.IntN(len(choices))] }
