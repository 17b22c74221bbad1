package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkAdded sends the same small request straight to a server, through a
// bare httputil.ReverseProxy, and through the gateway with its log on; client,
// proxy and server share the cores. p50 and p99 are of one request.
func BenchmarkAdded(b *testing.B) {
	for _, callers := range []int{1, 16} {
		for _, way := range []struct {
			name string
			url  func(testing.TB, *httptest.Server) string
		}{
			{"direct", func(_ testing.TB, server *httptest.Server) string { return server.URL }},
			{"reverse-proxy", bareProxy},
			{"gateway", benchedGateway},
		} {
			b.Run(way.name+"/"+map[int]string{1: "1-caller", 16: "16-callers"}[callers], func(b *testing.B) {
				base := way.url(b, fixedServer(b))
				benchInfer(b, base+"/v2/models/flights/infer", callers)
			})
		}
	}
}

// fixedServer answers as fast as it can.
func fixedServer(t testing.TB) *httptest.Server {
	answer := []byte(`{"model_name":"flights","model_version":"v1","outputs":[{"name":"probability","datatype":"FP32","shape":[1,1],"data":[[0.25]]}]}`)
	return customServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = w.Write(answer)
	})
}

func bareProxy(t testing.TB, server *httptest.Server) string {
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:    func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport:  newTransport(Config{DialTimeout: time.Second}),
		BufferPool: &chunks{},
	}
	return customServer(t, proxy.ServeHTTP).URL
}

func benchedGateway(t testing.TB, server *httptest.Server) string {
	s := newStage(t, Config{})
	s.replicas("v1", server)
	s.replicas("v2", server)
	s.route(1, 0.1)
	flushing, stop := context.WithCancel(context.Background())
	var flusher sync.WaitGroup
	flusher.Go(func() { s.gateway.runFlusher(flushing) })
	t.Cleanup(func() { stop(); flusher.Wait() })
	return s.url
}

func benchInfer(b *testing.B, url string, callers int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	once := func() bool {
		response, err := client.Post(url, "application/json", strings.NewReader(inferBody))
		if err != nil {
			b.Error(err)
			return false
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
			b.Errorf("status %d, %v", response.StatusCode, err)
			return false
		}
		return true
	}
	for range 200 {
		once()
	}
	b.ReportAllocs()
	b.ResetTimer()
	took := make([][]time.Duration, callers)
	var workers sync.WaitGroup
	for caller := range callers {
		workers.Go(func() {
			for i := caller; i < b.N; i += callers {
				started := time.Now()
				if !once() {
					return
				}
				took[caller] = append(took[caller], time.Since(started))
			}
		})
	}
	workers.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1e3, "p99-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkOwnWork is what the gateway does for a request besides HTTP.
func BenchmarkOwnWork(b *testing.B) {
	s := newStage(b, Config{})
	s.route(1, 0.1)
	out := bytes.NewBufferString(`{"model_name":"flights","model_version":"v1","outputs":[{"name":"probability","datatype":"FP32","shape":[1,1],"data":[[0.25]]}]}`)
	accepted := func() inference {
		in := inference{header: http.Header{"Content-Type": {"application/json"}}, body: []byte(inferBody), started: time.Now()}
		if _, err := s.gateway.accept("flights", &in); err != nil {
			b.Fatal(err)
		}
		return in
	}
	b.Run("accept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			accepted()
		}
	})
	b.Run("log", func(b *testing.B) {
		in := accepted()
		b.ReportAllocs()
		for b.Loop() {
			_ = in.row(answer{arm: in.drawn, status: 200, header: jsonHeader(), body: out}, in.started, time.Millisecond)
		}
	})
	b.Run("count", func(b *testing.B) {
		in := accepted()
		b.ReportAllocs()
		for b.Loop() {
			in.drawn.counters.answered(200, time.Millisecond, time.Now())
		}
	})
	b.Run("header", func(b *testing.B) {
		in := accepted()
		b.ReportAllocs()
		for b.Loop() {
			forwardedHeader(in.header, in.id)
		}
	})
}
