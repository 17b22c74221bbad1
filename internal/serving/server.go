package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mainspring-ml/mainspring/internal/drain"
	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// Predictor is what a server serves; [Model] is one.
type Predictor interface {
	// Predict answers a wrong input with an *InputError. It is called
	// concurrently and must not keep the inputs.
	Predict(context.Context, map[string]Tensor) (map[string]Tensor, error)
}

// Config describes a server.
type Config struct {
	Name    string // the model's name in URLs: the endpoint's
	Version string
	Inputs  []models.ModelPort
	Outputs []models.ModelPort
	// Provider is what predicts, for metadata and metrics.
	Provider string
	// Batch joins requests; its zero value does not.
	Batch BatchConfig
	// Parallel limits the predictions that run at the same time. 0: one per core.
	Parallel int
	// MaxPending limits the requests in hand; more are refused. With
	// MaxBodyBytes it bounds the server's memory. 0: 512.
	MaxPending int64
	// MaxBodyBytes limits a request's body. 0: 16 MiB.
	MaxBodyBytes int64
	// MaxBatch limits the first dimension of an input. 0: 4096.
	MaxBatch int64
	// Drain is how long requests in flight may take after the server was told
	// to stop. 0: 10 s.
	Drain time.Duration
	Log   *slog.Logger // nil: the default logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		return c, errors.New("the server needs the model's name")
	}
	if c.MaxPending == 0 {
		c.MaxPending = 512
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = 16 << 20
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = 4096
	}
	if c.Drain == 0 {
		c.Drain = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c, nil
}

// Server answers the Open Inference Protocol v2 for one model version.
type Server struct {
	config  Config
	model   Predictor
	ready   atomic.Bool
	pending atomic.Int64 // requests in hand
	metrics *metrics
	buffers buffers
	handler http.Handler
}

// NewServer makes a server that is not ready yet.
func NewServer(config Config, model Predictor) (*Server, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, metrics: newMetrics(config)}
	if s.model, err = newPredictor(config, model, s.metrics); err != nil {
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// WarmUp makes one prediction with blank inputs, and one of a full batch when
// requests are joined, so that no caller pays for the first one; then it makes
// the server ready.
func (s *Server) WarmUp(ctx context.Context) error {
	for _, batch := range []int64{1, s.config.Batch.MaxRows} {
		if batch == 0 {
			continue
		}
		outputs, err := s.model.Predict(ctx, blankInputs(s.config.Inputs, batch))
		if err == nil && s.config.Batch.MaxRows > 0 {
			err = checkRows(s.config.Outputs, outputs, batch)
		}
		if err != nil {
			return &models.Error{
				Kind: models.KindServerFailed, Subject: s.config.Name + " version " + s.config.Version,
				Message: fmt.Sprintf("the warm-up prediction with blank inputs failed (batch of %d)", batch), Cause: err,
				Hint: "the model must accept zeros and empty strings",
			}
		}
	}
	s.ready.Store(true)
	return nil
}

// Serve answers on the listener until ctx ends. Then it is not ready any more,
// takes no new connections, and waits for the requests in flight.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	return drain.ServeHTTP(ctx, listener, s, s.config.Drain, func() { s.ready.Store(false) })
}

// routes has the protocol's paths. The version in a path is optional and must
// be the one that is served.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2", s.serverMetadata)
	mux.HandleFunc("GET /v2/{$}", s.serverMetadata)
	mux.HandleFunc("GET /v2/health/live", func(w http.ResponseWriter, _ *http.Request) { oip.WriteHealth(w, true) })
	mux.HandleFunc("GET /v2/health/ready", s.health)
	mux.HandleFunc("GET /v2/models", s.listModels)
	for _, prefix := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		mux.HandleFunc("GET "+prefix, s.only(s.modelMetadata))
		mux.HandleFunc("GET "+prefix+"/ready", s.only(s.health))
		mux.HandleFunc("POST "+prefix+"/infer", s.only(s.infer))
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		oip.WriteError(w, http.StatusNotFound, fmt.Sprintf("no route %s %s in the Open Inference Protocol v2", r.Method, r.URL.Path))
	})
	return mux
}

// only lets requests for the served model and version through.
func (s *Server) only(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if refused := s.named(r.PathValue("model"), r.PathValue("version")); refused != nil {
			oip.WriteError(w, refused.status, refused.message)
			return
		}
		next(w, r)
	}
}
