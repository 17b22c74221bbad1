package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mainspring-ml/mainspring/models"
)

func TestMetricsTellAnOperatorWhatGoesOn(t *testing.T) {
	s, path := tenantStage(t, "- {tenant: web, keys: ["+digestHex("k")+`], endpoints: ["*"], rate: 0.001, burst: 4}`, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Answer") {
		case "refusal":
			w.WriteHeader(422)
		case "error":
			w.WriteHeader(500)
		default:
			asV1(w, r)
		}
	})
	for _, answer := range []string{"", "", "refusal", "error", "too fast"} {
		s.post("/v2/models/flights/infer", inferBody, map[string]string{"X-API-Key": "k", "Answer": answer})
	}
	s.inferAs("unknown")
	failed := "gone: " + path
	s.gateway.door.failed.Store(&failed)
	pool := (*s.gateway.known.Load())["flights"].pool("v1")
	pool.breaker.openUntil.Store(time.Now().Add(time.Hour).UnixNano())
	(*pool.replicas.Load())[0].ejectedUntil.Store(time.Now().Add(time.Hour).UnixNano())

	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(s.gateway))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	want := `
# HELP mainspring_gateway_requests_total Inference requests by the version they count for, its role then, and the class of the answer; 5xx includes requests that nobody answered.
# TYPE mainspring_gateway_requests_total counter
mainspring_gateway_requests_total{code="2xx",endpoint="flights",role="champion",version="v1"} 2
mainspring_gateway_requests_total{code="4xx",endpoint="flights",role="champion",version="v1"} 1
mainspring_gateway_requests_total{code="5xx",endpoint="flights",role="champion",version="v1"} 1
mainspring_gateway_requests_total{code="2xx",endpoint="flights",role="canary",version="v2"} 0
mainspring_gateway_requests_total{code="4xx",endpoint="flights",role="canary",version="v2"} 0
mainspring_gateway_requests_total{code="5xx",endpoint="flights",role="canary",version="v2"} 0
# HELP mainspring_gateway_tenant_requests_total Requests of a tenant by what became of them: admitted, too_fast, too_many or forbidden.
# TYPE mainspring_gateway_tenant_requests_total counter
mainspring_gateway_tenant_requests_total{outcome="admitted",tenant="web"} 4
mainspring_gateway_tenant_requests_total{outcome="forbidden",tenant="web"} 0
mainspring_gateway_tenant_requests_total{outcome="too_fast",tenant="web"} 1
mainspring_gateway_tenant_requests_total{outcome="too_many",tenant="web"} 0
# HELP mainspring_gateway_tenants_stale 1 while the tenants file can't be used and the last good one holds.
# TYPE mainspring_gateway_tenants_stale gauge
mainspring_gateway_tenants_stale 1
# HELP mainspring_gateway_unauthenticated_requests_total Requests without a known key.
# TYPE mainspring_gateway_unauthenticated_requests_total counter
mainspring_gateway_unauthenticated_requests_total 1
# HELP mainspring_gateway_breaker_state Breaker of a version: 0 closed, 1 open, 0.5 letting one request try.
# TYPE mainspring_gateway_breaker_state gauge
mainspring_gateway_breaker_state{endpoint="flights",version="v1"} 1
mainspring_gateway_breaker_state{endpoint="flights",version="v2"} 0
# HELP mainspring_gateway_replicas Servers of a version: up, unreachable, or ejected for failed answers.
# TYPE mainspring_gateway_replicas gauge
mainspring_gateway_replicas{endpoint="flights",state="ejected",version="v1"} 1
mainspring_gateway_replicas{endpoint="flights",state="unreachable",version="v1"} 0
mainspring_gateway_replicas{endpoint="flights",state="up",version="v1"} 0
mainspring_gateway_replicas{endpoint="flights",state="ejected",version="v2"} 0
mainspring_gateway_replicas{endpoint="flights",state="unreachable",version="v2"} 0
mainspring_gateway_replicas{endpoint="flights",state="up",version="v2"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "mainspring_gateway_requests_total", "mainspring_gateway_tenant_requests_total",
		"mainspring_gateway_tenants_stale", "mainspring_gateway_unauthenticated_requests_total", "mainspring_gateway_breaker_state", "mainspring_gateway_replicas"); err != nil {
		t.Error(err)
	}
	status := s.gateway.Status()
	arm := status.Endpoints[0].Arms[1] // canaries come first
	if arm.Version != "v1" || arm.Breaker != BreakerOpen || arm.Replicas[0].Up || arm.Replicas[0].Ejected.IsZero() || status.Endpoints[0].Since.IsZero() || status.Tenants.Error != failed {
		t.Errorf("status %+v", status)
	}
}

func TestMetricsShowTheSpool(t *testing.T) {
	s := newStage(t, Config{SpoolDir: t.TempDir()})
	t.Cleanup(func() { _ = s.gateway.spool.Close() })
	s.replicas("v1", modelServer(t, "v1"))
	s.route(1, 0)
	s.infer("r1", day(1, 1))
	s.infer("r2", day(1, 2))
	s.gateway.collectAll()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(s.gateway))
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	want := `
# HELP mainspring_gateway_spool_records Records in the spool on disk: rows of the inference log, and its marks.
# TYPE mainspring_gateway_spool_records gauge
mainspring_gateway_spool_records{endpoint="flights"} 3
# HELP mainspring_gateway_spool_failing 1 while the spool can't be written and rows wait in memory.
# TYPE mainspring_gateway_spool_failing gauge
mainspring_gateway_spool_failing 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "mainspring_gateway_spool_records", "mainspring_gateway_spool_failing"); err != nil {
		t.Error(err)
	}
	if status := s.gateway.Status().Spool; status.Bytes == 0 || status.Endpoints[0].Records != 3 {
		t.Errorf("status %+v", status)
	}
}

func TestHistogramFoldsFineBucketsWithoutMovingAnswersDown(t *testing.T) {
	bounds := models.LatencyBounds()
	latency := make([]int64, len(bounds)+1)
	for i := range latency {
		latency[i] = int64(i + 1)
	}
	count, _, buckets := histogram(bounds, latency)
	for _, exposedBound := range exposed {
		below := uint64(0)
		for i, bound := range bounds {
			if bound.Seconds() <= exposedBound {
				below += uint64(latency[i])
			}
		}
		if buckets[exposedBound] != below {
			t.Errorf("up to %v s: %d, want %d", exposedBound, buckets[exposedBound], below)
		}
	}
	if n := uint64(len(latency)); count != n*(n+1)/2 {
		t.Errorf("%d answers, want %d", count, n*(n+1)/2)
	}
	if len(buckets) != len(exposed) || buckets[exposed[len(exposed)-1]] >= count {
		t.Errorf("buckets %v of %d answers", buckets, count)
	}
}
