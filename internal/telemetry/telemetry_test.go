package telemetry

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
)

func TestMetricsAreServedUntilTheProcessEnds(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	outlets, err := New(t.Context(), "test")
	require.NoError(t, err)
	address := freeAddress(t)
	require.NoError(t, outlets.Serve(t.Context(), address))
	response, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "go_goroutines")

	require.ErrorContains(t, outlets.Serve(t.Context(), address), "--metrics-addr", "the same port again")
	require.NoError(t, outlets.Close(t.Context()))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func TestNothingIsTracedWithoutACollector(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	outlets, err := New(t.Context(), "test")
	require.NoError(t, err)
	var options client.Options
	require.NoError(t, outlets.Apply(&options))
	require.NotNil(t, options.MetricsHandler)
	require.Empty(t, options.Interceptors)
}

func TestSpansReachTheCollector(t *testing.T) {
	var posts atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			posts.Add(1)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	outlets, err := New(t.Context(), "test")
	require.NoError(t, err)
	var options client.Options
	require.NoError(t, outlets.Apply(&options))
	require.Len(t, options.Interceptors, 1)

	_, span := outlets.traces.Tracer("test").Start(t.Context(), "work")
	span.End()
	require.NoError(t, outlets.Close(t.Context()))
	require.Eventually(t, func() bool { return posts.Load() == 1 }, 5*time.Second, 10*time.Millisecond)
}
