package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// Status is the answer of GET /admin/status.
type Status struct {
	Gateway   string           `json:"gateway"`
	Boot      string           `json:"boot"`
	Started   time.Time        `json:"started"`
	Polled    time.Time        `json:"polled,omitzero"` // last successful look at the routes
	PollError string           `json:"poll_error,omitempty"`
	Labels    int64            `json:"labels"` // accepted since the start
	Endpoints []EndpointStatus `json:"endpoints"`
	Tenants   *TenantsStatus   `json:"tenants,omitempty"` // absent: everybody may call
	Spool     *SpoolStatus     `json:"spool,omitempty"`   // absent: rows wait in memory
}

// SpoolStatus is the disk's part of the inference log.
type SpoolStatus struct {
	Bytes     int64        `json:"bytes"`
	Failing   bool         `json:"failing"`   // the disk takes nothing; rows wait in memory
	Unspooled int64        `json:"unspooled"` // rows since the start that waited in memory therefore
	Endpoints []SpoolTopic `json:"endpoints"` // sorted by name; also those that have no route any more
}

// SpoolTopic is what one endpoint has in the spool.
type SpoolTopic struct {
	Endpoint string `json:"endpoint"`
	Records  int    `json:"records"` // rows, and the log's marks
}

// spoolStatus is nil without a spool.
func (g *Gateway) spoolStatus() *SpoolStatus {
	if g.spool == nil {
		return nil
	}
	status := &SpoolStatus{Bytes: g.spool.Bytes(), Failing: g.spoolFailing.Load(), Unspooled: g.unspooled.Load(), Endpoints: []SpoolTopic{}}
	for _, b := range g.allBooks() {
		if b.topic != nil {
			status.Endpoints = append(status.Endpoints, SpoolTopic{b.endpoint, b.topic.Records()})
		}
	}
	slices.SortFunc(status.Endpoints, func(a, b SpoolTopic) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	return status
}

// EndpointStatus is one endpoint in a Status, sorted by name.
type EndpointStatus struct {
	Endpoint   string      `json:"endpoint"`
	Model      string      `json:"model"`
	Generation int64       `json:"generation"` // 0: no route yet
	Reason     string      `json:"reason"`
	Since      time.Time   `json:"since,omitzero"` // when this gateway took the route over
	Arms       []ArmStatus `json:"arms"`           // the route's, canaries first
	Requests   int64       `json:"requests"`
	Errors     int64       `json:"errors"`
	Waiting    int         `json:"waiting"` // rows that are not durable yet
	Dropped    int64       `json:"dropped"` // rows that did not fit
	// Unsampled are requests that the sampling of the log left out.
	Unsampled int64 `json:"unsampled"`
	// Large are tensors whose values are too large for the log, which has null
	// for them.
	Large     int64     `json:"large"`
	Watermark time.Time `json:"watermark,omitzero"`
}

// ArmStatus is one arm. Requests and errors are this generation's; the totals
// are the version's since the gateway started.
type ArmStatus struct {
	models.Arm
	Replicas      []ReplicaStatus `json:"replicas"`
	Breaker       BreakerState    `json:"breaker"`
	InFlight      int64           `json:"in_flight"` // requests that wait for the version
	Requests      int64           `json:"requests"`
	Errors        int64           `json:"errors"`
	Failovers     int64           `json:"failovers"` // answered by another version
	Diverted      int64           `json:"diverted"`  // answered by the champion while the breaker was open
	Skipped       int64           `json:"skipped"`   // copies that the shadow did not get
	Named         int64           `json:"named"`     // requests for this very version; in no other count
	P50Millis     float64         `json:"p50_ms"`
	P99Millis     float64         `json:"p99_ms"`
	TotalRequests int64           `json:"total_requests"`
	TotalErrors   int64           `json:"total_errors"`
}

// ReplicaStatus is one model server.
type ReplicaStatus struct {
	URL string `json:"url"`
	Up  bool   `json:"up"` // false: passed over for the moment
	// Ejected is when an ejection for failed answers ends.
	Ejected time.Time `json:"ejected,omitzero"`
}

// AdminHandler answers operators. It is meant for a listener of its own.
func (g *Gateway) AdminHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(g), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", g.health)
	mux.HandleFunc("GET /admin/status", func(w http.ResponseWriter, _ *http.Request) { oip.WriteJSON(w, http.StatusOK, g.Status()) })
	mux.HandleFunc("POST /admin/flush", func(w http.ResponseWriter, r *http.Request) {
		rows, err := g.flush(r.Context(), false)
		if err != nil {
			oip.WriteError(w, http.StatusServiceUnavailable, fmt.Sprintf("not everything could be written; rows wait in memory: %v", err))
			return
		}
		oip.WriteJSON(w, http.StatusOK, struct {
			Rows int `json:"rows"`
		}{rows})
	})
	return mux
}

// Status reads the counters; they go on counting meanwhile.
func (g *Gateway) Status() Status {
	status := Status{
		Gateway: g.config.Name, Boot: g.config.Boot, Started: g.started.UTC(),
		Labels: g.labelled.Load(), Endpoints: []EndpointStatus{}, Tenants: g.door.status(), Spool: g.spoolStatus(),
	}
	if poll := g.lastPoll.Load(); poll != nil {
		status.Polled = poll.succeeded.UTC()
		if poll.err != nil {
			status.PollError = poll.err.Error()
		}
	}
	for _, e := range g.endpoints() {
		status.Endpoints = append(status.Endpoints, g.endpointStatus(e))
	}
	return status
}

func (g *Gateway) endpointStatus(e *endpoint) EndpointStatus {
	status := EndpointStatus{Endpoint: e.name, Arms: []ArmStatus{}, Watermark: e.promised()}
	status.Waiting, status.Dropped = e.log.load()
	status.Unsampled, status.Large = e.log.unsampled.Load(), e.log.large.Load()
	totals := map[string]models.ArmStats{}
	for _, s := range e.stats() {
		status.Requests += s.Requests
		status.Errors += s.Errors
		total := totals[s.Version]
		total.Requests += s.Requests
		total.Errors += s.Errors
		totals[s.Version] = total
	}
	current := e.route.Load()
	if current == nil {
		return status
	}
	status.Model, status.Generation, status.Reason = current.Model, current.Generation, current.Reason
	status.Since = current.taken.UTC()
	for _, a := range current.arms {
		status.Arms = append(status.Arms, a.status(current.Generation, totals[a.Version], time.Now()))
	}
	return status
}

func (a *arm) status(generation int64, total models.ArmStats, now time.Time) ArmStatus {
	stats := a.counters.read(generation, a.Version)
	status := ArmStatus{
		Arm: a.Arm, Replicas: []ReplicaStatus{}, Requests: stats.Requests, Errors: stats.Errors,
		Breaker: a.pool.breaker.state(now), InFlight: a.pool.breaker.pending.Load(),
		Failovers: a.counters.failovers.Load(), Diverted: stats.Diverted, Skipped: stats.Skipped, Named: a.counters.named.Load(),
		P50Millis:     Quantile(stats.Latency, 0.5).Seconds() * 1e3,
		P99Millis:     Quantile(stats.Latency, 0.99).Seconds() * 1e3,
		TotalRequests: total.Requests, TotalErrors: total.Errors,
	}
	for _, r := range *a.pool.replicas.Load() {
		server := ReplicaStatus{URL: r.base.String(), Up: r.up(now)}
		if r.ejected(now) {
			server.Ejected = time.Unix(0, r.ejectedUntil.Load()).UTC()
		}
		status.Replicas = append(status.Replicas, server)
	}
	return status
}
