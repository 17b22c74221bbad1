package simulation

import (
	"errors"
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner/fencing"
	"github.com/mainspring-ml/mainspring/models"
)

// claims are a host's fences, by device, as they are on its disk.
type claims map[string][]fencing.Claim

// job is one host's processes of one lease, under a shim that outlives the
// agent.
type job struct {
	key      string
	token    int64
	part     models.LeaseNode
	state    jobState
	rank     *rank // who asked last
	orphaned bool  // nobody waits for it any more
	shims    int   // how many were spawned; only the first to look does anything
}

type jobState int

const (
	jobClaimed jobState = iota // its fences are raised
	jobRunning
	jobEnding // its processes still run
	jobEnded
)

func (h *host) job(key string) *job {
	for _, j := range h.jobs {
		if j.key == key {
			return j
		}
	}
	return nil
}

// start is RunRanks on the agent: attach to the job, or claim the devices, end
// what has to make way, and spawn the shim.
func (h *host) start(r *rank) {
	if r.over {
		return // its activity is gone; the agent is not told of it any more
	}
	h.startLate(r)
}

// startLate also serves a task that an agent took long ago, before it hung.
func (h *host) startLate(r *rank) {
	if h.silent() {
		h.tasks = append(h.tasks, r)
		return
	}
	j := h.job(r.key)
	if j == nil {
		j = &job{key: r.key, token: r.token, part: r.part}
		if !h.claim(j, r) {
			return
		}
		h.jobs = append(h.jobs, j)
	} else {
		j.rank, j.orphaned = r, false
	}
	switch j.state {
	case jobClaimed:
		h.makeWay(j)
	case jobRunning:
		r.holder.rankStarted(r)
	case jobEnding: // it tells when it has ended
	case jobEnded:
		h.tell(r, "it has ended before")
	}
}

// claim raises the fences of all the job's devices, or tells the rank that it
// comes too late.
func (h *host) claim(j *job, r *rank) bool {
	j.rank = r
	for _, d := range j.part.Devices {
		if h.locked[d.UUID] != nil { // another start is under way
			h.w.after(200*time.Millisecond, func() { h.startLate(r) })
			return false
		}
	}
	decided := make([][]fencing.Claim, len(j.part.Devices))
	for i, d := range j.part.Devices {
		held := append([]fencing.Claim(nil), h.claims[d.UUID]...)
		for k, c := range held {
			other := h.job(c.Key)
			held[k].Over = c.Over || other == nil || other.state == jobEnded
		}
		kept, _, err := fencing.Decide(held, fencing.Claim{Token: j.token, Key: j.key, Milli: d.Milli})
		var refusal *fencing.Refusal
		if errors.As(err, &refusal) && h.w.breaking != AgentIgnoresFences {
			h.w.oracle.stats.Fenced++
			h.w.note("%s: fences off %s: %v", h.name, j.key, refusal)
			h.tell(r, "fenced: "+refusal.Error())
			return false
		}
		decided[i] = kept
	}
	for i, d := range j.part.Devices {
		h.claims[d.UUID] = decided[i]
	}
	return true
}

// admitted: the job has not had to make way on any of its devices.
func (h *host) admitted(j *job) bool {
	if h.w.breaking == AgentIgnoresFences {
		return true
	}
	for _, d := range j.part.Devices {
		if !fencing.Admits(h.claims[d.UUID], j.token, j.key) {
			return false
		}
	}
	return true
}

// makeWay ends the jobs that the claim has pushed out, then spawns the shim. An
// agent that dies on the way leaves the rest to the next one.
func (h *host) makeWay(j *job) {
	boot := h.boot
	for _, d := range j.part.Devices {
		h.locked[d.UUID] = j
	}
	var proceed func()
	proceed = func() {
		if h.boot != boot || !h.running {
			return
		}
		for _, other := range h.jobs {
			if other != j && (other.state == jobRunning || other.state == jobEnding) && overlap(other, j) && !h.admitted(other) {
				h.end(other, fmt.Sprintf("it makes way for token %d", j.token))
				h.w.after(100*time.Millisecond, proceed)
				return
			}
		}
		h.spawn(j)
		for _, d := range j.part.Devices {
			delete(h.locked, d.UUID)
		}
	}
	proceed()
}

// spawn starts a shim, which lives on whatever becomes of the agent. It reads
// the fences only when it holds the job's lock, and then starts the processes.
func (h *host) spawn(j *job) {
	j.shims++
	wait := h.w.upTo(500 * time.Millisecond)
	if h.w.chance(20) {
		wait = h.w.upTo(15 * time.Second)
	}
	h.w.after(wait, func() {
		if j.state != jobClaimed {
			return // another shim was first
		}
		if !h.admitted(j) {
			j.state = jobEnded
			h.tell(j.rank, "it had to make way before it began")
			return
		}
		j.state = jobRunning
		h.w.note("%s: starts %s with token %d", h.name, j.key, j.token)
		h.w.oracle.started(h, j)
		switch {
		case j.rank.over || j.orphaned:
			h.abandon(j)
		case !h.silent():
			j.rank.holder.rankStarted(j.rank)
		}
	})
}

// abandon is what becomes of a job whose activity is gone: its agent ends it
// with the next heartbeat, or it ends itself.
func (h *host) abandon(j *job) {
	h.w.after(h.w.upTo(silenceLimit), func() {
		if h.silent() {
			h.orphan(j)
		} else {
			h.end(j, "its activity is gone")
		}
	})
}

// end asks a job to leave; it takes its time.
func (h *host) end(j *job, why string) {
	switch j.state {
	case jobRunning:
		h.w.note("%s: ends %s: %s", h.name, j.key, why)
		j.state = jobEnding
		h.w.after(h.w.upTo(3*time.Second), func() { h.ended(j, why) })
	case jobClaimed:
		h.ended(j, why)
	case jobEnding, jobEnded:
	}
}

// ended: the job's last process is gone.
func (h *host) ended(j *job, why string) {
	if j.state == jobEnded {
		return
	}
	j.state = jobEnded
	h.w.note("%s: %s has ended: %s", h.name, j.key, why)
	h.w.oracle.stopped(h, j)
	h.tell(j.rank, why)
}

// tell lets a rank's holder know that it is over, unless nobody can hear the
// agent; then it is asked again when the agent is back.
func (h *host) tell(r *rank, why string) {
	if r == nil || r.over || h.silent() {
		return
	}
	r.over = true
	h.w.after(h.w.upTo(500*time.Millisecond), func() { r.holder.rankEnded(r, why) })
}

func overlap(a, b *job) bool {
	for _, d := range a.part.Devices {
		for _, e := range b.part.Devices {
			if d.UUID == e.UUID {
				return true
			}
		}
	}
	return false
}
