package gateway

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mainspring-ml/mainspring/models"
)

// collector reads the gateway's counters when it is scraped, so that requests
// pay for one set of counters only. Generations are added up: they would be
// labels without bound. Labels are endpoints, versions, roles and tenants, which
// operators name; nothing that a caller writes becomes one.
type collector struct {
	gateway *Gateway

	polled     *prometheus.Desc
	labels     *prometheus.Desc
	generation *prometheus.Desc
	weight     *prometheus.Desc
	shadow     *prometheus.Desc
	breaker    *prometheus.Desc
	pending    *prometheus.Desc
	copies     *prometheus.Desc
	replicas   *prometheus.Desc

	requests  *prometheus.Desc
	errors    *prometheus.Desc
	latency   *prometheus.Desc
	failovers *prometheus.Desc
	diverted  *prometheus.Desc
	skipped   *prometheus.Desc
	named     *prometheus.Desc

	waiting      *prometheus.Desc
	dropped      *prometheus.Desc
	unsampled    *prometheus.Desc
	large        *prometheus.Desc
	watermark    *prometheus.Desc
	spoolRecords *prometheus.Desc
	spoolBytes   *prometheus.Desc
	spoolFailing *prometheus.Desc
	unspooled    *prometheus.Desc

	unknown        *prometheus.Desc
	tenantsStale   *prometheus.Desc
	tenantRequests *prometheus.Desc
	tenantInFlight *prometheus.Desc
}

func newCollector(g *Gateway) *collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("mainspring_gateway_"+name, help, labels, nil)
	}
	return &collector{
		gateway:    g,
		polled:     describe("routes_read_timestamp_seconds", "When the routes were last read from the store."),
		labels:     describe("labels_total", "Labels accepted."),
		generation: describe("route_generation", "Generation of the route in use.", "endpoint"),
		weight:     describe("arm_weight", "Weight of a version in the route in use.", "endpoint", "version", "role"),
		shadow:     describe("arm_shadow", "Share of the champion's requests that are copied to a version.", "endpoint", "version"),
		breaker:    describe("breaker_state", "Breaker of a version: 0 closed, 1 open, 0.5 letting one request try.", "endpoint", "version"),
		pending:    describe("in_flight_requests", "Requests that wait for a version.", "endpoint", "version"),
		copies:     describe("in_flight_copies", "Copies on their way to a version as a shadow.", "endpoint", "version"),
		replicas:   describe("replicas", "Servers of a version: up, unreachable, or ejected for failed answers.", "endpoint", "version", "state"),
		requests: describe("requests_total", "Inference requests by the version they count for, its role then, and the class of the answer; 5xx includes requests that nobody answered.",
			"endpoint", "version", "role", "code"),
		errors:       describe("errors_total", "Inference requests that failed: answers of 5xx and time-outs.", "endpoint", "version"),
		latency:      describe("latency_seconds", "Time from an inference request's arrival to its answer; the sum is that of fine buckets' upper ends.", "endpoint", "version"),
		failovers:    describe("failovers_total", "Requests that drew a version and were answered by another.", "endpoint", "version"),
		diverted:     describe("diverted_total", "Requests that the champion answered because a version's breaker was open.", "endpoint", "version"),
		skipped:      describe("shadow_skipped_total", "Copies that a shadow did not get.", "endpoint", "version"),
		named:        describe("named_requests_total", "Requests for one version by name; they are no evidence and in no other count.", "endpoint", "version"),
		unsampled:    describe("log_unsampled_requests_total", "Requests that the sampling of the inference log left out.", "endpoint"),
		large:        describe("log_large_tensors_total", "Tensors whose values are too large for the inference log, which has null for them.", "endpoint"),
		waiting:      describe("log_waiting_rows", "Rows of the inference log that are not in the store yet.", "endpoint"),
		dropped:      describe("log_dropped_rows_total", "Rows of the inference log that did not fit.", "endpoint"),
		watermark:    describe("log_watermark_timestamp_seconds", "Event time up to which the inference log in the store is complete.", "endpoint"),
		spoolRecords: describe("spool_records", "Records in the spool on disk: rows of the inference log, and its marks.", "endpoint"),
		spoolBytes:   describe("spool_bytes", "Bytes in the spool on disk."),
		spoolFailing: describe("spool_failing", "1 while the spool can't be written and rows wait in memory."),
		unspooled:    describe("unspooled_rows_total", "Rows that the spool could not take and that waited in memory instead."),
		unknown:      describe("unauthenticated_requests_total", "Requests without a known key."),
		tenantsStale: describe("tenants_stale", "1 while the tenants file can't be used and the last good one holds."),
		tenantRequests: describe("tenant_requests_total", "Requests of a tenant by what became of them: admitted, too_fast, too_many or forbidden.",
			"tenant", "outcome"),
		tenantInFlight: describe("tenant_in_flight_requests", "A tenant's requests in flight.", "tenant"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.polled, c.labels, c.generation, c.weight, c.shadow, c.breaker, c.pending, c.copies, c.replicas,
		c.requests, c.errors, c.latency, c.failovers, c.diverted, c.skipped, c.named, c.waiting, c.dropped, c.unsampled, c.large,
		c.watermark, c.spoolRecords, c.spoolBytes, c.spoolFailing, c.unspooled,
		c.unknown, c.tenantsStale, c.tenantRequests, c.tenantInFlight,
	} {
		descs <- d
	}
}

// scrape is one collection.
type scrape struct {
	*collector
	metrics chan<- prometheus.Metric
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	s := scrape{c, metrics}
	if poll := c.gateway.lastPoll.Load(); poll != nil {
		s.gauge(c.polled, float64(poll.succeeded.UnixMilli())/1e3)
	}
	s.count(c.labels, c.gateway.labelled.Load())
	s.tenants()
	s.spool(c.gateway.spoolStatus())
	for _, e := range c.gateway.endpoints() {
		waiting, dropped := e.log.load()
		s.gauge(c.waiting, float64(waiting), e.name)
		s.count(c.dropped, dropped, e.name)
		s.count(c.unsampled, e.log.unsampled.Load(), e.name)
		s.count(c.large, e.log.large.Load(), e.name)
		if at := e.promised(); !at.IsZero() {
			s.gauge(c.watermark, float64(at.UnixMilli())/1e3, e.name)
		}
		s.route(e, time.Now())
		s.versions(e)
	}
}

func (s scrape) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	s.metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (s scrape) count(desc *prometheus.Desc, n int64, labels ...string) {
	s.metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
}

func (s scrape) tenants() {
	status := s.gateway.door.status()
	if status == nil {
		return
	}
	s.count(s.unknown, status.Unknown)
	stale := 0.0
	if status.Error != "" {
		stale = 1
	}
	s.gauge(s.tenantsStale, stale)
	for _, t := range status.Tenants {
		s.gauge(s.tenantInFlight, float64(t.InFlight), t.Tenant)
		s.count(s.tenantRequests, t.Admitted, t.Tenant, "admitted")
		s.count(s.tenantRequests, t.TooFast, t.Tenant, "too_fast")
		s.count(s.tenantRequests, t.TooMany, t.Tenant, "too_many")
		s.count(s.tenantRequests, t.Forbidden, t.Tenant, "forbidden")
	}
}

func (s scrape) spool(status *SpoolStatus) {
	if status == nil {
		return
	}
	failing := 0.0
	if status.Failing {
		failing = 1
	}
	s.gauge(s.spoolFailing, failing)
	s.gauge(s.spoolBytes, float64(status.Bytes))
	s.count(s.unspooled, status.Unspooled)
	for _, t := range status.Endpoints {
		s.gauge(s.spoolRecords, float64(t.Records), t.Endpoint)
	}
}

func (s scrape) route(e *endpoint, now time.Time) {
	current := e.route.Load()
	if current == nil {
		return
	}
	s.gauge(s.generation, float64(current.Generation), e.name)
	for _, a := range current.arms {
		s.gauge(s.weight, a.Weight, e.name, a.Version, string(a.Role))
		s.gauge(s.shadow, a.Shadow, e.name, a.Version)
		state := map[BreakerState]float64{BreakerClosed: 0, BreakerHalfOpen: 0.5, BreakerOpen: 1}[a.pool.breaker.state(now)]
		s.gauge(s.breaker, state, e.name, a.Version)
		s.gauge(s.pending, float64(a.pool.breaker.pending.Load()), e.name, a.Version)
		s.gauge(s.copies, float64(a.pool.copies.Load()), e.name, a.Version)
		states := map[string]int{}
		for _, r := range *a.pool.replicas.Load() {
			switch {
			case r.ejected(now):
				states["ejected"]++
			case !r.reachable(now):
				states["unreachable"]++
			default:
				states["up"]++
			}
		}
		for _, state := range []string{"up", "unreachable", "ejected"} {
			s.gauge(s.replicas, float64(states[state]), e.name, a.Version, state)
		}
	}
}

// tally has a version's counts of all generations.
type tally struct {
	byRole                              map[models.Role]classes
	errors                              int64
	failovers, diverted, skipped, named int64
	latency                             []int64
}

// classes count answers by the first digit of their status.
type classes struct{ ok, refused, failed int64 }

// tallies are by version.
func (e *endpoint) tallies() map[string]*tally {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[string]*tally{}
	for key, c := range e.counters {
		t := all[key.version]
		if t == nil {
			t = &tally{byRole: map[models.Role]classes{}, latency: make([]int64, len(e.bounds)+1)}
			all[key.version] = t
		}
		// Errors and refusals first: a reader never sees more of them than requests.
		failed, refused := c.errors.Load(), c.refusals.Load()
		sum := t.byRole[c.role]
		sum.failed, sum.refused, sum.ok = sum.failed+failed, sum.refused+refused, sum.ok+c.requests.Load()-failed-refused
		t.byRole[c.role] = sum
		t.errors += failed
		t.failovers += c.failovers.Load()
		t.diverted += c.diverted.Load()
		t.skipped += c.skipped.Load()
		t.named += c.named.Load()
		for i := range c.latency {
			t.latency[i] += c.latency[i].Load()
		}
	}
	return all
}

func (s scrape) versions(e *endpoint) {
	all := e.tallies()
	for _, version := range slices.Sorted(maps.Keys(all)) {
		t := all[version]
		for _, role := range slices.SortedFunc(maps.Keys(t.byRole), func(a, b models.Role) int { return cmp.Compare(a, b) }) {
			for code, n := range map[string]int64{"2xx": t.byRole[role].ok, "4xx": t.byRole[role].refused, "5xx": t.byRole[role].failed} {
				s.count(s.requests, n, e.name, version, string(role), code)
			}
		}
		s.count(s.errors, t.errors, e.name, version)
		s.count(s.failovers, t.failovers, e.name, version)
		s.count(s.diverted, t.diverted, e.name, version)
		s.count(s.skipped, t.skipped, e.name, version)
		s.count(s.named, t.named, e.name, version)
		count, sum, buckets := histogram(e.bounds, t.latency)
		s.metrics <- prometheus.MustNewConstHistogram(s.latency, count, sum, buckets, e.name, version)
	}
}

// exposed are the latency buckets that are scraped; the judge's are finer.
var exposed = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// histogram folds fine buckets into the exposed ones. An answer counts in an
// exposed bucket when all of its fine bucket lies in there.
func histogram(bounds []time.Duration, latency []int64) (count uint64, sum float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(exposed))
	for _, bound := range exposed {
		buckets[bound] = 0
	}
	for i, n := range latency {
		upper := bounds[min(i, len(bounds)-1)].Seconds()
		count += uint64(n)
		sum += float64(n) * upper
		for _, bound := range exposed {
			if i < len(bounds) && upper <= bound {
				buckets[bound] += uint64(n)
			}
		}
	}
	return count, sum, buckets
}
