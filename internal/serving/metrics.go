package serving

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are the server's own, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	answers  *prometheus.CounterVec
	ok       map[string]prometheus.Counter // by protocol: answers with status 200, looked up once
	latency  prometheus.Histogram
	rows     prometheus.Histogram
	queue    prometheus.Histogram
	pending  prometheus.Gauge
}

// The protocols in the metrics.
const (
	overHTTP = "http"
	overGRPC = "grpc"
)

func newMetrics(config Config) *metrics {
	labels := prometheus.Labels{"model": config.Name, "version": config.Version}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mainspring_serve_" + name, Help: help, ConstLabels: labels, Buckets: buckets})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mainspring_serve_answers_total", Help: "Inference requests answered, by HTTP status; a gRPC code counts as its HTTP status.", ConstLabels: labels,
		}, []string{"protocol", "status"}),
		latency: histogram("latency_seconds", "Time from reading an inference request to its answer.", prometheus.ExponentialBuckets(25e-6, 2, 18)),
		rows:    histogram("batch_rows", "Rows in one prediction.", prometheus.ExponentialBuckets(1, 2, 13)),
		queue:   histogram("queue_seconds", "Time that a request waits for others, or for a core, before its prediction.", prometheus.ExponentialBuckets(25e-6, 2, 18)),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mainspring_serve_pending_requests", Help: "Inference requests in hand.", ConstLabels: labels}),
	}
	m.ok = map[string]prometheus.Counter{}
	for _, protocol := range []string{overHTTP, overGRPC} {
		m.ok[protocol] = m.answers.WithLabelValues(protocol, "200")
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mainspring_serve_model_info", Help: "1; the labels say what is served and what predicts.",
		ConstLabels: prometheus.Labels{"model": config.Name, "version": config.Version, "platform": platform, "provider": config.Provider},
	})
	info.Set(1)
	m.registry.MustRegister(m.answers, m.latency, m.rows, m.queue, m.pending, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) observe(protocol string, status int, latency time.Duration) {
	if status == http.StatusOK {
		m.ok[protocol].Inc()
	} else {
		m.answers.WithLabelValues(protocol, strconv.Itoa(status)).Inc()
	}
	m.latency.Observe(latency.Seconds())
}

func (m *metrics) batch(rows int64)          { m.rows.Observe(float64(rows)) }
func (m *metrics) waited(wait time.Duration) { m.queue.Observe(wait.Seconds()) }
