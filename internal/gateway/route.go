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
	models.Route // its traffic with defaults, but for the time-out: 0 is the gateway's
	taken        time.Time
	arms         []*arm // in drawing order
	champion     *arm   // nil: the route has none
	shadow       *arm   // gets copies of the champion's requests; nil: there is none
}

type arm struct {
	models.Arm
	share    float64 // of all the route's weights
	pool     *pool
	counters *counters
	// What answers of this arm say about it; shared by them, never changed.
	versionHeader, roleHeader []string
}

// endpoint is what the gateway knows about one endpoint since it started.
type endpoint struct {
	name      string
	inferPath string
	route     atomic.Pointer[route] // nil: there is none yet
	log       *inferenceLog
	book      *logbook
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
		name: name, inferPath: "/v2/models/" + name + "/infer", log: newInferenceLog(bufferRows), bounds: models.LatencyBounds(),
		pools: map[string]*pool{}, counters: map[armKey]*counters{},
	}
}

// follow takes over a route unless it has a newer one already, or one of the
// same generation: the first of a generation stays.
func (e *endpoint) follow(next models.Route) (taken bool) {
	if current := e.route.Load(); current != nil && current.Generation >= next.Generation {
		return false
	}
	prepared := &route{Route: next, taken: time.Now()}
	timeout := next.Traffic.Timeout
	prepared.Traffic = next.Traffic.WithDefaults()
	prepared.Traffic.Timeout = timeout
	total, shadowed := 0.0, false
	for _, a := range next.Arms {
		total += max(a.Weight, 0)
		shadowed = shadowed || a.Role == models.RoleShadow
	}
	for _, a := range arrange(next.Arms) {
		ready := &arm{Arm: a, pool: e.pool(a.Version), counters: e.counter(armKey{next.Generation, a.Version}, countRules{
			role: a.Role, bounds: e.bounds, slowAbove: time.Duration(next.SlowAbove), block: time.Duration(next.Block),
			paired: shadowed && a.Role != models.RoleCanary,
		}), versionHeader: []string{a.Version}, roleHeader: []string{string(a.Role)}}
		if total > 0 {
			ready.share = max(a.Weight, 0) / total
		}
		switch a.Role {
		case models.RoleChampion:
			prepared.champion = ready
		case models.RoleShadow:
			prepared.shadow = ready
		case models.RoleCanary:
		}
		prepared.arms = append(prepared.arms, ready)
	}
	e.forgetBlocks()
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

// counter returns the counters of that key and makes them when they are new.
func (e *endpoint) counter(key armKey, rules countRules) *counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, ok := e.counters[key]
	if !ok {
		c = newCounters(rules)
		e.counters[key] = c
	}
	return c
}

// forgetBlocks keeps the blocks of the two newest generations: a gateway that
// runs for months would drown in those of all.
func (e *endpoint) forgetBlocks() {
	e.mu.Lock()
	defer e.mu.Unlock()
	var newest, second int64
	for key := range e.counters {
		switch {
		case key.generation > newest:
			newest, second = key.generation, newest
		case key.generation > second && key.generation < newest:
			second = key.generation
		}
	}
	for key, c := range e.counters {
		if key.generation < second {
			c.blocks.forget()
		}
	}
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

// version is the arm of that version; nil: the route has none.
func (r *route) version(version string) *arm {
	for _, a := range r.arms {
		if a.Version == version {
			return a
		}
	}
	return nil
}
