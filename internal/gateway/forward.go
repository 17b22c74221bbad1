package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gateway/upstream"
)

// call is one request on its way to a model server.
type call struct {
	method string
	path   string
	header http.Header
	body   []byte
	fresh  bool // on a connection of its own
	// sending counts the attempts that may still read body: a transport is
	// allowed to do so after it has returned.
	sending *atomic.Int32
}

// answer is what the client gets, and the arm that it counts for.
type answer struct {
	arm    *arm
	status int
	header http.Header
	body   *bytes.Buffer // pooled
	// unreached: the gateway says so because no server took the request.
	unreached bool
	// turned is when the request was turned over to another arm than the drawn
	// one; zero: it was not.
	turned time.Time
}

// outcome is how one attempt on one server ended.
type outcome int

const (
	answered    outcome = iota
	unready             // it says 503: it is starting or draining
	unreachable         // no connection
	lost                // the connection broke before the answer was complete
	timedOut            // no answer in time; nobody else is asked
	abandoned           // the client went away
)

// forward asks the servers in line until one answers. ok is false when the
// client went away. Asking twice is safe: a prediction has no effect.
func (g *Gateway) forward(ctx context.Context, p *passage, c call) (result answer, ok bool) {
	now := time.Now()
	defer func() { p.leave(time.Now()) }()
	body := g.buffers.get()
	var reason string
	asked := false
	var turned time.Time
	var room [8]candidate
	for _, server := range p.line(room[:0], now) {
		if !p.enter(server.arm, now) {
			continue
		}
		asked = true
		if server.arm != p.drawn && turned.IsZero() {
			turned = time.Now()
		}
		result = answer{arm: server.arm, body: body, turned: turned}
		how, err := g.attempt(ctx, server.replica, p.timeout, c, &result)
		if how == lost {
			// The server may only have closed an idle connection. A new one tells.
			c.fresh = true
			how, err = g.attempt(ctx, server.replica, p.timeout, c, &result)
			if c.fresh = false; how == unreachable || how == lost {
				g.passOver(server)
				p.crashed = g.countCrash(server) && server.arm == p.drawn || p.crashed
			}
		}
		switch how {
		case answered:
			p.observe(server, conductOf(result.status), time.Now())
			g.countReturn(server)
			if server.arm != p.drawn {
				p.drawn.counters.failovers.Add(1)
			}
			return result, true
		case abandoned:
			g.buffers.put(body)
			return answer{}, false
		case timedOut:
			p.observe(server, faulty, time.Now())
			return errorAnswer(p.drawn, body, http.StatusGatewayTimeout, jsonHeader(),
				fmt.Sprintf("version %s did not answer within %v", server.arm.Version, p.timeout)), true
		case unready:
			reason = fmt.Sprintf("no server of version %s is ready: the last one answered 503", server.arm.Version)
		case unreachable, lost:
			g.passOver(server)
			reason = fmt.Sprintf("no server of version %s could be reached: %v", server.arm.Version, err)
		}
	}
	header := jsonHeader()
	switch {
	case p.diverted() && !asked:
		header, reason = p.refusal(now)
	case !asked:
		reason = fmt.Sprintf("no server of version %s is ready", p.drawn.Version)
	}
	result = errorAnswer(p.drawn, body, http.StatusServiceUnavailable, header, reason)
	result.unreached = true
	return result, true
}

// passOver leaves a server that can't be reached out for a while.
func (g *Gateway) passOver(server candidate) {
	server.downUntil.Store(time.Now().Add(g.config.Eject).UnixNano())
}

// countCrash counts the loss of a server once, by the request that noticed:
// its connection broke and the server does not take another.
func (g *Gateway) countCrash(server candidate) (first bool) {
	first = server.crashed.CompareAndSwap(false, true)
	if first {
		server.arm.counters.failedUnasked(time.Now())
	}
	return first
}

// countReturn makes the next loss count again. An answer that was on its way
// when the server died is no return: the server is passed over then.
func (g *Gateway) countReturn(server candidate) {
	if server.crashed.Load() && time.Now().UnixNano() > server.downUntil.Load() {
		server.crashed.Store(false)
	}
}

// attempt asks one server and fills in the answer.
func (g *Gateway) attempt(ctx context.Context, server *replica, timeout time.Duration, c call, into *answer) (outcome, error) {
	if c.method == http.MethodPost && upstream.Takes(server.base, c.body) {
		return g.post(ctx, server, timeout, c, into)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errSlow)
	defer cancel()
	into.body.Reset()
	response, err := g.transport.RoundTrip(newRequest(ctx, server.base, c))
	if err != nil {
		return classify(ctx, err), err
	}
	defer response.Body.Close()
	n, err := into.body.ReadFrom(io.LimitReader(response.Body, g.config.MaxBodyBytes+1))
	if err == nil && n > g.config.MaxBodyBytes {
		err = upstream.ErrTooLong
	}
	return g.received(ctx, into, response.StatusCode, response.Header, err)
}

// post is attempt for small requests, which need no transport.
func (g *Gateway) post(ctx context.Context, server *replica, timeout time.Duration, c call, into *answer) (outcome, error) {
	into.body.Reset()
	status, header, err := g.wires.Post(ctx, upstream.Request{
		Base: server.base, Path: c.path, Header: c.header, Body: c.body, Timeout: timeout, Limit: g.config.MaxBodyBytes, Fresh: c.fresh,
	}, into.body)
	return g.received(ctx, into, status, header, err)
}

// received completes the answer with what came before its body.
func (g *Gateway) received(ctx context.Context, into *answer, status int, header http.Header, err error) (outcome, error) {
	switch {
	case errors.Is(err, upstream.ErrTooLong):
		*into = errorAnswer(into.arm, into.body, http.StatusBadGateway, jsonHeader(),
			fmt.Sprintf("the answer has more than %d bytes; send smaller batches", g.config.MaxBodyBytes))
		return answered, nil
	case err != nil:
		return classify(ctx, err), err
	case status == http.StatusServiceUnavailable:
		return unready, nil
	}
	into.status, into.header = status, header
	return answered, nil
}

var errSlow = upstream.ErrSlow

func classify(ctx context.Context, err error) outcome {
	var operation *net.OpError
	switch {
	case errors.Is(err, errSlow):
		return timedOut
	case errors.As(err, &operation) && operation.Op == "dial" && ctx.Err() == nil:
		return unreachable
	case errors.Is(context.Cause(ctx), errSlow):
		return timedOut
	case ctx.Err() != nil:
		return abandoned
	default:
		return lost
	}
}

func newRequest(ctx context.Context, base *url.URL, c call) *http.Request {
	target := *base
	target.Path += c.path
	request := &http.Request{
		Method: c.method, URL: &target, Host: base.Host, Header: c.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if c.body != nil {
		c.sending.Add(1)
		request.Body = &sentBody{Reader: bytes.NewReader(c.body), sending: c.sending}
		request.ContentLength = int64(len(c.body))
	}
	return request.WithContext(ctx)
}

// sentBody tells when the transport is done with a request's body.
type sentBody struct {
	*bytes.Reader
	sending *atomic.Int32
	closed  atomic.Bool
}

// Close implements io.Closer.
func (b *sentBody) Close() error {
	if b.closed.CompareAndSwap(false, true) {
		b.sending.Add(-1)
	}
	return nil
}

// newWires keeps connections for small requests.
func newWires(config Config) *upstream.Client {
	return upstream.New(upstream.Config{DialTimeout: config.DialTimeout, IdleTimeout: time.Minute, MaxIdle: 512})
}

// newTransport keeps connections to the model servers open. Nothing in it is
// retried for us: POST requests are not replayed by net/http.
func newTransport(config Config) *http.Transport {
	dialer := &net.Dialer{Timeout: config.DialTimeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext: dialer.DialContext, MaxIdleConnsPerHost: 512, IdleConnTimeout: time.Minute,
		DisableCompression: true,
	}
}
