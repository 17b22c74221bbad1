package gateway

import (
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// replica is one model server.
type replica struct {
	base      *url.URL
	downUntil atomic.Int64 // Unix nanoseconds; unreachable, passed over until then
	crashed   atomic.Bool  // its loss has been counted
	failures  atomic.Int64 // failed answers in a row
	// ejectedUntil is when an ejection for failed answers ends, in Unix
	// nanoseconds; ejections counts those that followed each other. The pool's
	// lock guards their writes.
	ejectedUntil atomic.Int64
	ejections    int
}

func (r *replica) up(now time.Time) bool { return r.reachable(now) && !r.ejected(now) }

func (r *replica) reachable(now time.Time) bool { return r.downUntil.Load() <= now.UnixNano() }

func (r *replica) ejected(now time.Time) bool { return r.ejectedUntil.Load() > now.UnixNano() }

// pool has the replicas of one version. It outlives routes and keeps what is
// known about a replica for as long as its URL is published.
type pool struct {
	replicas atomic.Pointer[[]*replica]
	next     atomic.Uint64
	breaker  breaker
	copies   atomic.Int64 // to this version as a shadow, on their way

	ejecting sync.Mutex
}

func newPool() *pool {
	p := &pool{}
	p.replicas.Store(&[]*replica{})
	return p
}

// publish replaces the URLs. Only one goroutine may call it.
func (p *pool) publish(urls []*url.URL) {
	known := map[string]*replica{}
	for _, r := range *p.replicas.Load() {
		known[r.base.String()] = r
	}
	replicas := make([]*replica, 0, len(urls))
	for _, u := range urls {
		r, ok := known[u.String()]
		if !ok {
			r = &replica{base: u}
		}
		replicas = append(replicas, r)
	}
	p.replicas.Store(&replicas)
}

// maxEjection bounds how long one ejection lasts.
const maxEjection = time.Minute

// observe follows how a replica answers, and ejects it when it fails too often
// in a row. At most half of the replicas are ejected at a time, and one that is
// up always stays: a version that fails everywhere has to show it.
func (p *pool) observe(r *replica, how conduct, now time.Time, limits models.EjectSpec) {
	if how != faulty {
		if how == proper && r.failures.Load() != 0 {
			r.failures.Store(0)
		}
		return
	}
	if r.failures.Add(1) < int64(limits.Failures) {
		return
	}
	p.ejecting.Lock()
	defer p.ejecting.Unlock()
	if r.ejected(now) {
		return
	}
	replicas, out, stay := *p.replicas.Load(), 0, 0
	for _, other := range replicas {
		switch {
		case other.ejected(now):
			out++
		case other != r && other.up(now):
			stay++
		}
	}
	if 2*(out+1) > len(replicas) || stay == 0 {
		return
	}
	if since := now.UnixNano() - r.ejectedUntil.Load(); since > int64(maxEjection) {
		r.ejections = 0
	}
	last := maxEjection
	if r.ejections < 16 {
		last = min(last, time.Duration(limits.For)<<r.ejections)
	}
	r.ejections++
	r.failures.Store(0)
	r.ejectedUntil.Store(now.Add(last).UnixNano())
}

// candidate is a replica to try, and the arm it belongs to.
type candidate struct {
	*replica
	arm  *arm
	rank int
}

// appendInTurn puts an arm's replicas into the line: lower ranks first, within
// a rank the next in turn first.
//
// A server that was ejected for its answers stands in for its own version
// before another version does. It is asked only when no other server of the
// version takes the connection, and what it answers is the version's. Those
// that could not be reached are the last resort.
func (a *arm) appendInTurn(line []candidate, second bool, now time.Time) []candidate {
	replicas := *a.pool.replicas.Load()
	if len(replicas) == 0 {
		return line
	}
	start := int(a.pool.next.Add(1) % uint64(len(replicas)))
	for n := range replicas {
		c := candidate{replica: replicas[(start+n)%len(replicas)], arm: a}
		switch {
		case !c.reachable(now):
			c.rank = 4
		case c.ejected(now):
			c.rank = 1
		}
		if second {
			c.rank += 2
		}
		at := len(line)
		for at > 0 && line[at-1].rank > c.rank {
			at--
		}
		line = slices.Insert(line, at, c)
	}
	return line
}
