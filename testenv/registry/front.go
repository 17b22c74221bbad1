package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Front stands between one worker and MLflow. It carries each strike out once.
type Front struct {
	upstream *url.URL
	client   *http.Client
	listener net.Listener
	server   *http.Server
	victims  Victims

	mu      sync.Mutex
	down    bool
	strikes []Strike
	seen    map[Boundary]int // calls since the last Expect
	calls   []Boundary       // since the last Expect, in order
	struck  []Strike
}

// Victims are whom a front may kill. Both return when the process has ended.
type Victims struct {
	Worker func()
	MLflow func()
}

// Strike is a fault at the n-th call at its boundary; 1 is the first.
type Strike struct {
	Boundary Boundary
	N        int
	Fault    Fault
}

// String names the strike as people read it.
func (s Strike) String() string { return fmt.Sprintf("%s at %s #%d", s.Fault, s.Boundary, s.N) }

// NewFront listens on a free port of the loopback. Close it.
func NewFront(mlflow string, victims Victims) (*Front, error) {
	upstream, err := url.Parse(mlflow)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Front{
		upstream: upstream, listener: listener, victims: victims, seen: map[Boundary]int{},
		// Each call has a connection of its own: one that MLflow's end broke must
		// not be taken for a fault of the next.
		client: &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}},
	}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = f.server.Serve(listener) }() // ends with Close
	return f, nil
}

// URL is MLflow's address for whoever shall go through the front.
func (f *Front) URL() string { return "http://" + f.listener.Addr().String() }

// Close ends all connections.
func (f *Front) Close() error { return f.server.Close() }

// Expect arms the front with new strikes and counts from zero.
func (f *Front) Expect(strikes []Strike) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.strikes, f.seen, f.calls, f.struck = strikes, map[Boundary]int{}, nil, nil
}

// Calls are those since the last Expect, in order of their arrival.
func (f *Front) Calls() []Boundary {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Boundary(nil), f.calls...)
}

// Struck are the strikes that were carried out since the last Expect.
func (f *Front) Struck() []Strike {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Strike(nil), f.struck...)
}

// Down makes MLflow unreachable for this front's worker, or ends that.
func (f *Front) Down(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// take counts a call and returns the fault that it gets; empty: none.
func (f *Front) take(boundary Boundary) (fault Fault, down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, boundary)
	f.seen[boundary]++
	for i, s := range f.strikes {
		if s.Boundary == boundary && s.N == f.seen[boundary] {
			f.strikes = append(f.strikes[:i:i], f.strikes[i+1:]...)
			f.struck = append(f.struck, s)
			return s.Fault, f.down
		}
	}
	return "", f.down
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller went away
	}
	fault, down := f.take(boundaryOf(r))
	if down {
		reset(w)
		return
	}
	var answer *answer
	if fault.commits() {
		// Once begun, MLflow finishes it, whatever becomes of the caller.
		if answer, err = f.forward(context.WithoutCancel(r.Context()), r, body); err != nil {
			reset(w) // MLflow is down
			return
		}
	}
	f.end(w, r, fault, answer)
}

// end ends the call as the fault wants it.
func (f *Front) end(w http.ResponseWriter, r *http.Request, fault Fault, answer *answer) {
	switch fault {
	case ResetBefore, ResetAfter:
		reset(w)
	case ErrorBefore, ErrorAfter:
		refuse(w, http.StatusInternalServerError, "INTERNAL_ERROR")
	case Busy:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "REQUEST_LIMIT_EXCEEDED")
	case TimeoutBefore, TimeoutAfter:
		<-r.Context().Done() // the caller gives up
	case KillBefore, KillAfter:
		f.victims.Worker()
	case MLflowBefore, MLflowAfter:
		f.victims.MLflow()
		reset(w)
	default:
		answer.write(w)
	}
}

// answer is what MLflow said.
type answer struct {
	status      int
	contentType string
	body        []byte
}

func (a *answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.contentType)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a caller that went away needs no answer
}

func (f *Front) forward(ctx context.Context, r *http.Request, body []byte) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	target := *r.URL
	target.Scheme, target.Host = f.upstream.Scheme, f.upstream.Host
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = r.Header.Clone()
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	read, err := io.ReadAll(response.Body)
	return &answer{status: response.StatusCode, contentType: response.Header.Get("Content-Type"), body: read}, err
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error_code":%q,"message":"a fault of the test"}`, code) // nothing to do about it
}

// reset breaks the connection so that the caller sees "connection reset by
// peer" and not an orderly end.
func reset(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	connection, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // then Close sends RST
	}
	_ = connection.Close()
}
