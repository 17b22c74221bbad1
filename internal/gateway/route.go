package gateway

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// route is a models.Route made ready for requests. It never changes.
type route struct {
	models.Route
	arms     []*arm // in drawing order
	champion *arm   // nil: the route has none
}

type arm struct {
	models.Arm
	share    float64 // of all the route's weights
	pool     *pool
	counters *counters
}

// endpoint is what the gateway knows about one endpoint since it started.
type endpoint struct {
	name  string
	route atomic.Pointer[route] // nil: there is none yet
	log   *inferenceLog
	book  *logbook
	// written are the counters as they were written last.
	written writtenStats
	// durable is the watermark that was written last; nil: none yet.
	durable atomic.Pointer[time.Time]

	mu       sync.Mutex
	pools    map[string]*pool // by version
	counters map[armKey]*counters
	bounds   []time.Duration
}

type armKey struct {
	generation int64
	version    string
}

func newEndpoint(name string, bufferRows int) *endpoint {
	return &endpoint{
		name: name, log: newInferenceLog(bufferRows), bounds: models.LatencyBounds(),
		pools: map[string]*pool{}, counters: map[armKey]*counters{},
	}
}

// follow takes over a route unless it has a newer one already, or one of the
// same generation: the first of a generation stays.
func (e *endpoint) follow(next models.Route) (taken bool) {
	if current := e.route.Load(); current != nil && current.Generation >= next.Generation {
		return false
	}
	prepared := &route{Route: next}
	total := 0.0
	for _, a := range next.Arms {
		total += max(a.Weight, 0)
	}
	for _, a := range arrange(next.Arms) {
		ready := &arm{Arm: a, pool: e.pool(a.Version), counters: e.counter(armKey{next.Generation, a.Version})}
		if total > 0 {
			ready.share = max(a.Weight, 0) / total
		}
		if a.Role == models.RoleChampion {
			prepared.champion = ready
		}
		prepared.arms = append(prepared.arms, ready)
	}
	e.route.Store(prepared)
	return true
}

func (e *endpoint) pool(version string) *pool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.pools[version]
	if !ok {
		p = newPool()
		e.pools[version] = p
	}
	return p
}

func (e *endpoint) counter(key armKey) *counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, ok := e.counters[key]
	if !ok {
		c = newCounters(e.bounds)
		e.counters[key] = c
	}
	return c
}

// versions are those with a pool, sorted.
func (e *endpoint) versions() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	versions := make([]string, 0, len(e.pools))
	for v := range e.pools {
		versions = append(versions, v)
	}
	slices.Sort(versions)
	return versions
}

// promised is the watermark that was written last; zero: none yet.
func (e *endpoint) promised() time.Time {
	if at := e.durable.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// stats are the counters since the start, sorted by generation and version.
func (e *endpoint) stats() []models.ArmStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	stats := make([]models.ArmStats, 0, len(e.counters))
	for key, c := range e.counters {
		stats = append(stats, c.read(key.generation, key.version))
	}
	slices.SortFunc(stats, func(a, b models.ArmStats) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Version, b.Version))
	})
	return stats
}
