// Package telemetry gives every Mainspring process the same two outlets:
// Prometheus metrics on a loopback port, always, and OpenTelemetry traces over
// OTLP, when OTEL_EXPORTER_OTLP_ENDPOINT names a collector. Without one nothing
// leaves the process.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
)

// Telemetry is one process's outlets. Close it last.
type Telemetry struct {
	// Registry takes a process's own Prometheus collectors.
	Registry *prometheus.Registry

	meters *metric.MeterProvider
	traces *sdktrace.TracerProvider // nil without a collector
}

// New builds the outlets of the named process, such as "worker".
func New(ctx context.Context, process string) (*Telemetry, error) {
	t := &Telemetry{Registry: prometheus.NewRegistry()}
	t.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(t.Registry))
	if err != nil {
		return nil, fmt.Errorf("prometheus exporter: %w", err)
	}
	t.meters = metric.NewMeterProvider(metric.WithReader(exporter))
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return t, nil
	}
	spans, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("trace exporter (OTEL_EXPORTER_OTLP_ENDPOINT): %w", err)
	}
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "mainspring-"+process))))
	return t, nil
}

// Apply adds metrics, and tracing when there is a collector, to the options of
// a Temporal client; workers made from it inherit both.
func (t *Telemetry) Apply(options *client.Options) error {
	options.MetricsHandler = opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: t.meters.Meter("temporal-sdk"),
	})
	if t.traces == nil {
		return nil
	}
	tracing, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer:            t.traces.Tracer("mainspring"),
		TextMapPropagator: propagation.TraceContext{},
	})
	if err != nil {
		return fmt.Errorf("tracing interceptor: %w", err)
	}
	options.Interceptors = append(options.Interceptors, interceptor.ClientInterceptor(tracing))
	return nil
}

// Serve answers /metrics on addr until ctx ends; an empty addr serves nothing.
// A port of 0 takes a free one, which the log names.
func (t *Telemetry) Serve(ctx context.Context, addr string) error {
	if addr == "" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("metrics address %s: %w (choose another with --metrics-addr)", addr, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	slog.Info("metrics", "url", "http://"+listener.Addr().String()+"/metrics")
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	go func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			slog.Error("metrics server ended", "error", err)
		}
	}()
	return nil
}

// Close flushes what has not been exported yet.
func (t *Telemetry) Close(ctx context.Context) error {
	err := t.meters.Shutdown(ctx)
	if t.traces != nil {
		err = errors.Join(err, t.traces.Shutdown(ctx))
	}
	return err
}
