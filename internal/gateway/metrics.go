package gateway

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mainspring-ml/mainspring/models"
)

// collector reads the gateway's counters when it is scraped, so that requests
// pay for one set of counters only. Generations are added up: they would be
// labels without bound.
type collector struct {
	gateway    *Gateway
	latency    *prometheus.Desc
	errors     *prometheus.Desc
	generation *prometheus.Desc
	weight     *prometheus.Desc
	waiting    *prometheus.Desc
	dropped    *prometheus.Desc
	unsampled  *prometheus.Desc
	unspooled  *prometheus.Desc
	spoolBytes *prometheus.Desc
	labels     *prometheus.Desc
}

func newCollector(g *Gateway) *collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("mainspring_gateway_"+name, help, labels, nil)
	}
	return &collector{
		gateway:    g,
		latency:    describe("latency_seconds", "Time from an inference request's arrival to its answer; the sum is that of the buckets' upper ends.", "endpoint", "version"),
		errors:     describe("errors_total", "Inference requests that failed: answers of 5xx and time-outs.", "endpoint", "version"),
		generation: describe("route_generation", "Generation of the route in use.", "endpoint"),
		weight:     describe("arm_weight", "Weight of a version in the route in use.", "endpoint", "version", "role"),
		waiting:    describe("log_waiting_rows", "Rows of the inference log that are not durable yet.", "endpoint"),
		dropped:    describe("log_dropped_rows_total", "Rows of the inference log that did not fit.", "endpoint"),
		unsampled:  describe("log_unsampled_requests_total", "Requests that the sampling of the inference log left out.", "endpoint"),
		unspooled:  describe("log_unspooled_rows_total", "Rows that the spool could not take and that waited in memory."),
		spoolBytes: describe("log_spool_bytes", "Bytes in the spool."),
		labels:     describe("labels_total", "Labels accepted."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.latency, c.errors, c.generation, c.weight, c.waiting, c.dropped, c.unsampled, c.unspooled, c.spoolBytes, c.labels} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	metrics <- prometheus.MustNewConstMetric(c.labels, counter, float64(c.gateway.labelled.Load()))
	if c.gateway.spool != nil {
		metrics <- prometheus.MustNewConstMetric(c.unspooled, counter, float64(c.gateway.unspooled.Load()))
		metrics <- prometheus.MustNewConstMetric(c.spoolBytes, gauge, float64(c.gateway.spool.Bytes()))
	}
	for _, e := range c.gateway.endpoints() {
		metrics <- prometheus.MustNewConstMetric(c.unsampled, counter, float64(e.log.unsampled.Load()), e.name)
		waiting, dropped := e.log.load()
		metrics <- prometheus.MustNewConstMetric(c.waiting, gauge, float64(waiting), e.name)
		metrics <- prometheus.MustNewConstMetric(c.dropped, counter, float64(dropped), e.name)
		if current := e.route.Load(); current != nil {
			metrics <- prometheus.MustNewConstMetric(c.generation, gauge, float64(current.Generation), e.name)
			for _, a := range current.arms {
				metrics <- prometheus.MustNewConstMetric(c.weight, gauge, a.Weight, e.name, a.Version, string(a.Role))
			}
		}
		c.collectVersions(metrics, e)
	}
}

func (c *collector) collectVersions(metrics chan<- prometheus.Metric, e *endpoint) {
	versions := map[string]models.ArmStats{}
	for _, s := range e.stats() {
		total, ok := versions[s.Version]
		if !ok {
			total.Latency = make([]int64, len(s.Latency))
		}
		total.Requests += s.Requests
		total.Errors += s.Errors
		for i, n := range s.Latency {
			total.Latency[i] += n
		}
		versions[s.Version] = total
	}
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		total := versions[version]
		metrics <- prometheus.MustNewConstMetric(c.errors, prometheus.CounterValue, float64(total.Errors), e.name, version)
		buckets, below, sum := map[float64]uint64{}, int64(0), 0.0
		for i, bound := range e.bounds {
			below += total.Latency[i]
			buckets[bound.Seconds()] = uint64(below)
			sum += float64(total.Latency[i]) * bound.Seconds()
		}
		above := total.Latency[len(e.bounds)]
		sum += float64(above) * e.bounds[len(e.bounds)-1].Seconds()
		metrics <- prometheus.MustNewConstHistogram(c.latency, uint64(below+above), sum, buckets, e.name, version)
	}
}
