package gateway

import (
	"net/url"
	"sync/atomic"
	"time"
)

// replica is one model server.
type replica struct {
	base      *url.URL
	downUntil atomic.Int64 // Unix nanoseconds; ejected until then
	crashed   atomic.Bool  // its loss has been counted
}

func (r *replica) up(now time.Time) bool { return r.downUntil.Load() <= now.UnixNano() }

// pool has the replicas of one version. It outlives routes and keeps what is
// known about a replica for as long as its URL is published.
type pool struct {
	replicas atomic.Pointer[[]*replica]
	next     atomic.Uint64
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

// candidate is a replica to try, and the arm it belongs to.
type candidate struct {
	*replica
	arm *arm
}

// line is who is tried for a request, in order: the drawn arm's replicas that
// are up, in turn; the champion's; and as a last resort those that are ejected.
func line(drawn, champion *arm, now time.Time) []candidate {
	candidates := make([]candidate, 0, 4)
	arms := []*arm{drawn}
	if champion != nil && champion != drawn {
		arms = append(arms, champion)
	}
	var ejected []candidate
	for _, a := range arms {
		replicas := *a.pool.replicas.Load()
		if len(replicas) == 0 {
			continue
		}
		start := int(a.pool.next.Add(1) % uint64(len(replicas)))
		for i := range replicas {
			c := candidate{replicas[(start+i)%len(replicas)], a}
			if c.up(now) {
				candidates = append(candidates, c)
			} else {
				ejected = append(ejected, c)
			}
		}
	}
	return append(candidates, ejected...)
}
