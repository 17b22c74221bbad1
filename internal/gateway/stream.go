package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// stream passes any other request below an endpoint, such as /generate_stream,
// through to the drawn arm. Neither body is read, kept or held back, so there
// is nothing to copy to a shadow, to log as inputs and outputs, or to find a
// sticky key in; and nothing is tried again once a server has the request.
func (g *Gateway) stream(w http.ResponseWriter, r *http.Request) {
	in := inference{header: r.Header, version: r.PathValue("version"), started: time.Now()}
	if status, err := g.acceptStream(r.PathValue("endpoint"), cleanPath(r.URL.Path), &in); err != nil {
		oip.WriteError(w, status, err.Error())
		return
	}
	s := &streaming{gateway: g, in: &in, path: unversioned(r), sent: r.ContentLength == 0, through: g.newPassage(in.route, in.drawn, in.version != "")}
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	s.begin = time.AfterFunc(s.through.timeout, func() { stop(errSlow) })
	defer s.begin.Stop()

	ticket, complete := in.endpoint.log.admit(in.eventTime.UnixMicro()), false
	// Deferred, because the proxy panics when it has to break a connection.
	defer func() { s.end(ticket, r.Context().Err() != nil, complete) }()
	// What the caller sends may go on while the answer comes. Other protocols
	// than HTTP/1 can always do so and refuse to be told.
	_ = http.NewResponseController(w).EnableFullDuplex()
	proxy := httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { p.Out.Header = forwardedHeader(r.Header, in.id) },
		Transport:      s,
		FlushInterval:  -1,
		BufferPool:     &g.chunks,
		ErrorLog:       slog.NewLogLogger(g.config.Log.Handler(), slog.LevelDebug),
		ModifyResponse: s.watch,
		ErrorHandler:   s.fail,
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
	complete = true
}

// cleanPath reports whether a path, as it is sent on, names what it seems to
// name. The door has looked at its endpoint only, and escaped dots pass the
// router.
func cleanPath(of string) bool { return path.Clean(of) == strings.TrimSuffix(of, "/") }

func (g *Gateway) acceptStream(name string, clean bool, in *inference) (status int, err error) {
	if in.endpoint, in.route, status, err = g.find(name); err != nil {
		return status, err
	}
	if !clean {
		return http.StatusBadRequest, errors.New("the path has dots or empty parts, which servers may read as another model's path")
	}
	if err := g.name(in, ""); err != nil {
		return http.StatusBadRequest, err
	}
	return in.draw(stickyKey(in.route.Traffic.Sticky, in.header, nil))
}

// streaming is one stream on its way. It is the transport of its proxy.
type streaming struct {
	gateway *Gateway
	in      *inference
	path    string
	through passage
	begin   *time.Timer // runs until the answer begins, but not while the caller is to send

	mu     sync.Mutex // guards the next three: the body may be read until the end
	begun  bool       // the answer has
	sent   bool       // the caller's body was read to its end
	broken bool       // the caller's body ended early

	server candidate // who has the request; without a replica: nobody
	status int       // what the caller was told
	failed bool      // the answer is the gateway's own, or was cut off by the server
}

// RoundTrip implements http.RoundTripper: it asks the servers in line until one
// takes the connection.
func (s *streaming) RoundTrip(request *http.Request) (*http.Response, error) {
	now, err := time.Now(), errNobody
	var room [8]candidate
	for _, server := range s.through.line(room[:0], now) {
		if !s.through.enter(server.arm, now) {
			continue
		}
		var response *http.Response
		if response, err = s.gateway.streams.RoundTrip(s.request(request, server)); err == nil {
			s.server = server
			return response, nil
		}
		if classify(request.Context(), err) != unreachable {
			s.server = server
			return nil, err
		}
		s.gateway.passOver(server)
	}
	return nil, err
}

var errNobody = errors.New("none is ready")

// request is the proxy's for one server. Its body stays open when the server
// does not take the connection, for the next one.
func (s *streaming) request(from *http.Request, server candidate) *http.Request {
	request := from.WithContext(from.Context())
	target := *server.base
	target.Path += s.path
	target.RawQuery = from.URL.RawQuery
	request.URL, request.Host = &target, server.base.Host
	if from.Body != nil {
		request.Body = callerBody{from.Body, s}
	}
	return request
}

// callerBody is what the caller sends. While it is waited for the server owes
// nothing. It is not closed.
type callerBody struct {
	io.Reader
	streaming *streaming
}

// Read implements io.Reader.
func (b callerBody) Read(into []byte) (int, error) {
	s := b.streaming
	s.mu.Lock()
	if !s.begun {
		s.begin.Stop()
	}
	s.mu.Unlock()
	n, err := b.Reader.Read(into)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.sent, s.broken = err == io.EOF, err != io.EOF
	}
	if !s.begun {
		s.begin.Reset(s.through.timeout)
	}
	return n, err
}

// Close implements io.Closer.
func (callerBody) Close() error { return nil }

// lastOne says that the connection takes no more requests, if the caller is
// still to send something when its answer begins: net/http would look for the
// rest of the body and the next request at the same time, and panic.
func (s *streaming) lastOne(header http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sent {
		header.Set("Connection", "close")
	}
}

// answering ends the time-out, and reports whether the caller's body was broken.
func (s *streaming) answering() (broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
	s.begin.Stop()
	return s.broken
}

// watch sees the answer begin.
func (s *streaming) watch(response *http.Response) error {
	s.answering()
	s.status = response.StatusCode
	if s.server.arm != s.through.drawn {
		s.through.drawn.counters.failovers.Add(1)
	}
	s.gateway.countReturn(s.server)
	markAnswer(response.Header, s.in.id, s.server.arm)
	s.lastOne(response.Header)
	response.Body = &watchedBody{response.Body, s}
	return nil
}

// watchedBody notes when a server's answer ends early.
type watchedBody struct {
	io.ReadCloser
	streaming *streaming
}

// Read implements io.Reader.
func (b *watchedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if err != nil && err != io.EOF {
		b.streaming.failed = true
	}
	return n, err
}

// fail answers when no server did.
func (s *streaming) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.failed = true
	version, header := s.through.drawn.Version, jsonHeader()
	var message string
	switch how := classify(r.Context(), err); {
	case how == timedOut:
		s.status, message = http.StatusGatewayTimeout, fmt.Sprintf("version %s did not begin to answer within %v", version, s.through.timeout)
	case s.answering():
		s.status, message = http.StatusBadRequest, fmt.Sprintf("the body can't be read: %v", err)
	case s.server.replica != nil:
		s.status, message = http.StatusBadGateway, fmt.Sprintf("the connection to version %s broke: %v", version, err)
	case s.through.diverted():
		s.status = http.StatusServiceUnavailable
		header, message = s.through.refusal(time.Now())
	default:
		s.status, message = http.StatusServiceUnavailable, fmt.Sprintf("no server of version %s could be reached: %v", version, err)
	}
	into := w.Header()
	copyEndToEnd(into, header)
	markAnswer(into, s.in.id, s.through.drawn)
	s.lastOne(into)
	w.WriteHeader(s.status)
	_, _ = w.Write(errorJSON(message)) // a caller that went away has nobody to tell
}

// end counts and logs a stream. abandoned: its caller went away, which counts
// nothing, as does a failure of the caller's own. complete: the caller has the
// whole answer.
func (s *streaming) end(ticket int, abandoned, complete bool) {
	now := time.Now()
	defer s.through.leave(now)
	if broken := s.answering(); abandoned || (s.failed && broken) || (!complete && !s.failed) {
		s.in.endpoint.log.finish(ticket, nil)
		return
	}
	result := answer{arm: s.through.drawn, status: s.status}
	switch {
	case s.server.replica == nil: // nobody was reached
	case s.failed:
		if s.status < 500 { // an answer began
			result = answer{arm: s.server.arm, status: http.StatusBadGateway}
		}
		s.through.observe(s.server, faulty, now)
	default:
		result.arm = s.server.arm
		s.through.observe(s.server, conductOf(s.status), now)
	}
	latency := now.Sub(s.in.started)
	s.in.count(&s.through, result, latency, now)
	s.gateway.finish(s.in, ticket, func() models.InferenceRow {
		row := s.in.bareRow(result.arm, now, latency)
		row.Status = int32(result.status)
		return row
	})
}

// chunks are the buffers that streams go through.
type chunks struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (c *chunks) Get() []byte {
	if chunk, ok := c.pool.Get().(*[]byte); ok {
		return *chunk
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (c *chunks) Put(chunk []byte) { c.pool.Put(&chunk) }

// newStreamTransport takes a new connection for each stream: one that was idle
// may turn out to be closed, and a stream can't be sent twice.
func newStreamTransport(config Config) *http.Transport {
	transport := newTransport(config)
	transport.DisableKeepAlives = true
	return transport
}
