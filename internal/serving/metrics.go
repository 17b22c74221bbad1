package serving

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are the server's own, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	answers  *prometheus.CounterVec
	ok       prometheus.Counter // answers{status="200"}, looked up once
	latency  prometheus.Histogram
}

func newMetrics(config Config) *metrics {
	labels := prometheus.Labels{"model": config.Name, "version": config.Version}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mainspring_serve_answers_total", Help: "Inference requests answered, by HTTP status.", ConstLabels: labels,
		}, []string{"status"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mainspring_serve_latency_seconds", Help: "Time from reading an inference request to its answer.", ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(25e-6, 2, 18),
		}),
	}
	m.ok = m.answers.WithLabelValues("200")
	m.registry.MustRegister(m.answers, m.latency,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) observe(status int, latency time.Duration) {
	if status == 200 {
		m.ok.Inc()
	} else {
		m.answers.WithLabelValues(strconv.Itoa(status)).Inc()
	}
	m.latency.Observe(latency.Seconds())
}
