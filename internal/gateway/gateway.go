package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/internal/drain"
	"github.com/mainspring-ml/mainspring/internal/gateway/spool"
	"github.com/mainspring-ml/mainspring/internal/gateway/upstream"
	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

// Gateway is the data plane's process. Make it with New, then Run it.
type Gateway struct {
	config    Config
	store     Store
	wires     *upstream.Client
	transport http.RoundTripper // of what wires do not take
	streams   http.RoundTripper
	started   time.Time

	known    atomic.Pointer[map[string]*endpoint] // by name; replaced, never changed
	lastPoll atomic.Pointer[pollResult]           // nil: no poll succeeded yet
	stopping atomic.Bool

	flushing sync.Mutex    // held by the one flush that is going on
	full     chan struct{} // many rows wait in memory
	sealed   chan struct{} // a full segment waits on the disk

	spool        *spool.Spool // nil: rows wait in memory
	spoolFailing atomic.Bool
	unspooled    atomic.Int64 // rows that the spool could not take, since the start
	booksMu      sync.Mutex
	books        map[string]*logbook // by endpoint

	door       *door
	buffers    buffers
	chunks     chunks
	copying    sync.WaitGroup // copies for shadows on their way
	copyBytes  atomic.Int64   // of their bodies
	requestIDs atomic.Int64
	labelFiles atomic.Int64
	labelled   atomic.Int64
}

// pollResult is how the last look at the routes went.
type pollResult struct {
	succeeded time.Time // when the store answered last
	err       error     // nil: the last poll found everything in order
	fromDisk  bool      // none has succeeded, and the routes are saved ones
}

// New makes a gateway that knows no routes yet.
func New(config Config, store Store) (*Gateway, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		config: config, store: store, wires: newWires(config), transport: newTransport(config), streams: newStreamTransport(config), started: time.Now(),
		full: make(chan struct{}, 1), sealed: make(chan struct{}, 1),
	}
	g.known.Store(&map[string]*endpoint{})
	if g.door, err = openDoor(config.TenantsFile); err != nil {
		return nil, err
	}
	if err := g.openSpool(); err != nil {
		return nil, err
	}
	return g, nil
}

// Handler answers the callers of models.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/models/{endpoint}/labels", g.guard(g.labels))
	for _, prefix := range []string{"/v2/models/{endpoint}", "/v2/models/{endpoint}/versions/{version}"} {
		mux.HandleFunc("POST "+prefix+"/infer", g.guard(g.infer))
		mux.HandleFunc("POST "+prefix+"/{rest...}", g.guard(g.stream))
		mux.HandleFunc("GET "+prefix, g.guard(g.ask))
		mux.HandleFunc("GET "+prefix+"/ready", g.ask)
	}
	mux.HandleFunc("GET /v2/models", g.guard(g.listModels))
	mux.HandleFunc("GET /v2", g.describe)
	mux.HandleFunc("GET /v2/{$}", g.describe)
	mux.HandleFunc("GET /v2/health/live", func(w http.ResponseWriter, _ *http.Request) { oip.WriteHealth(w, true) })
	mux.HandleFunc("GET /v2/health/ready", g.health)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		oip.WriteError(w, http.StatusNotFound, fmt.Sprintf("no route %s %s", r.Method, r.URL.Path))
	})
	return mux
}

// Listeners are where a gateway listens; the gateway closes them.
type Listeners struct {
	Data  net.Listener // callers of models
	Admin net.Listener // operators: status, metrics, flush
	GRPC  net.Listener // callers of models over gRPC; nil: none
}

// firstLook bounds how long callers wait for the routes of a gateway that starts.
const firstLook = 2 * time.Second

// Run answers until ctx ends. Then it takes no new requests, finishes those in
// flight, writes the log to the end and closes its watermarks.
func (g *Gateway) Run(ctx context.Context, listeners Listeners) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var workers sync.WaitGroup
	routes := &follower{gateway: g, etags: map[string]string{}}
	routes.loadRoutes()
	// Callers wait for the first look rather than being told that there is no
	// route yet; not for a store that does not answer.
	first, looked := context.WithTimeout(ctx, firstLook)
	routes.look(first)
	looked()
	workers.Go(func() { routes.run(background) })
	workers.Go(func() { g.runFlusher(background) })
	workers.Go(func() { g.door.run(background, g.config.Poll, g.config.Log) })

	data := drain.Server(g.Handler())
	data.MaxHeaderBytes = maxHeader
	admin := &http.Server{Handler: g.AdminHandler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 3)
	grpcFront := g.serveGRPC(listeners.GRPC, failed)
	for server, listener := range map[*http.Server]net.Listener{data: listeners.Data, admin: listeners.Admin} {
		go func() { failed <- fmt.Errorf("serve on %s: %w", listener.Addr(), server.Serve(listener)) }()
	}
	var failure error
	select {
	case failure = <-failed:
	case <-ctx.Done():
	}
	g.stopping.Store(true)
	deadline, cancel := context.WithTimeout(background, g.config.Drain)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- stopGRPC(deadline, grpcFront) }()
	if err := errors.Join(data.Shutdown(deadline), <-drained); err != nil {
		g.config.Log.Warn("requests were cut off", slog.Duration("after", g.config.Drain), slog.Any("error", err))
		failure = errors.Join(failure, data.Close())
	}
	g.awaitCopies(deadline)
	stop()
	workers.Wait()
	g.wires.Close()
	last, cancelLast := context.WithTimeout(context.WithoutCancel(ctx), g.config.Drain)
	defer cancelLast()
	if _, err := g.flush(last, true); err != nil {
		failure = errors.Join(failure, fmt.Errorf("the end of the inference log is lost: %w", err))
	}
	if g.spool != nil {
		failure = errors.Join(failure, g.spool.Close())
	}
	return errors.Join(failure, admin.Close())
}

// endpoint returns the endpoint of that name and makes it when it is new. Only
// the follower calls it.
func (g *Gateway) endpoint(name string) *endpoint {
	known := *g.known.Load()
	if e, ok := known[name]; ok {
		return e
	}
	next := maps.Clone(known)
	next[name] = newEndpoint(name, g.config.BufferRows)
	next[name].book = g.book(name)
	g.known.Store(&next)
	return next[name]
}

// endpoints are all that are known, sorted by name.
func (g *Gateway) endpoints() []*endpoint {
	known := *g.known.Load()
	all := make([]*endpoint, 0, len(known))
	for _, name := range slices.Sorted(maps.Keys(known)) {
		all = append(all, known[name])
	}
	return all
}

// polled takes note of a poll. An object that makes no sense is an error to
// show, but must not keep the gateway from being ready for all others: answered
// says that the store gave everything it was asked for.
func (g *Gateway) polled(answered bool, err error) {
	result := &pollResult{err: err, succeeded: time.Now()}
	if !answered {
		last := g.lastPoll.Load()
		if last == nil {
			return
		}
		result.succeeded, result.fromDisk = last.succeeded, last.fromDisk
		if last.fromDisk {
			result.err = fmt.Errorf("routes from disk, as they were at %s: %w", last.succeeded.Format(time.RFC3339), err)
		}
	}
	g.lastPoll.Store(result)
}

// flushSoon asks the flusher, or the spooler where there is one, to come before
// its time. It never blocks.
func (g *Gateway) flushSoon() {
	select {
	case g.full <- struct{}{}:
	default:
	}
}

func (g *Gateway) newRequestID() string {
	return g.config.Boot + "-" + strconv.FormatInt(g.requestIDs.Add(1), 10)
}

// buffers are reused between requests; large ones are left to the collector.
type buffers struct{ pool sync.Pool }

const keepBytes = 1 << 20

func (b *buffers) get() *bytes.Buffer {
	if buffer, ok := b.pool.Get().(*bytes.Buffer); ok {
		buffer.Reset()
		return buffer
	}
	return new(bytes.Buffer)
}

func (b *buffers) put(buffer *bytes.Buffer) {
	if buffer.Cap() <= keepBytes {
		b.pool.Put(buffer)
	}
}
