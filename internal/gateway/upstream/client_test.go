package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newClient(t *testing.T) *Client {
	c := New(Config{DialTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxIdle: 64})
	t.Cleanup(c.Close)
	return c
}

// counted is a server and the number of connections that it was given.
func counted(t *testing.T, handle http.HandlerFunc) (*url.URL, *atomic.Int64) {
	t.Helper()
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(handle)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return parse(t, server.URL), &opened
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func post(c *Client, u *url.URL, body string) (int, http.Header, string, error) {
	var into bytes.Buffer
	status, header, err := c.Post(context.Background(), Request{Base: u, Body: []byte(body), Timeout: 5 * time.Second, Limit: 1 << 20}, &into)
	return status, header, into.String(), err
}

// scripted answers each request of each connection with the given bytes and
// then closes it if they say so.
func scripted(t *testing.T, script func(connection, request int) (answer string, end bool)) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	serving.Go(func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			serving.Go(func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				for i := 0; ; i++ {
					request, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, request.Body)
					answer, end := script(n, i)
					if _, err := io.WriteString(conn, answer); err != nil || end {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return parse(t, "http://"+listener.Addr().String()+"/v2")
}

func TestRequestsArriveWholeOnOneWire(t *testing.T) {
	type seen struct{ target, host, body, id, length string }
	var got atomic.Pointer[seen]
	u, opened := counted(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.Store(&seen{r.RequestURI, r.Host, string(body), strings.Join(r.Header["X-Id"], "|"), fmt.Sprint(r.ContentLength, r.TransferEncoding)})
		w.Header().Set("X-Back", "yes")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "echo ", string(body))
	})
	c := newClient(t)
	for i, path := range []string{"/v2/models/flights/infer", "/v2/models/a b/ü?/infer", "", "/base|/infer", "|/infer", "/a b|/c"} {
		base, rest, _ := strings.Cut(path, "|")
		target := *u
		target.Path = base
		var into bytes.Buffer
		status, header, err := c.Post(context.Background(), Request{
			Base: &target, Path: rest, Body: []byte("hello"), Timeout: 5 * time.Second, Limit: 100,
			Header: http.Header{"X-Id": {"one\r\nX-Evil: 1", "two"}, "Content-Length": {"99"}, "Host": {"elsewhere"}, "User-Agent": nil},
		}, &into)
		if err != nil || status != http.StatusTeapot || header.Get("X-Back") != "yes" || into.String() != "echo hello" {
			t.Fatalf("%d %v %q, %v", status, header, into.String(), err)
		}
		target.Path += rest
		if want := (seen{target.RequestURI(), u.Host, "hello", "one  X-Evil: 1|two", "5 []"}); *got.Load() != want {
			t.Errorf("request %d: got %+v, want %+v", i, *got.Load(), want)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for requests one after the other", n)
	}
}

func TestAnswersOfAllForms(t *testing.T) {
	for _, test := range []struct {
		name, answer, body string
		status             int
		reused             bool
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, true},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", "hi", 200, true},
		{"trailer", "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n", "hi", 200, true},
		{"none", "HTTP/1.1 204 No Content\r\n\r\n", "", 204, true},
		{"interim", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, true},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, false},
		{"until the end", "HTTP/1.1 200 OK\r\n\r\nhi", "hi", 200, false},
		{"old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, false},
		{"more than asked for", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n", "hi", 200, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var connections atomic.Int64
			u := scripted(t, func(connection, _ int) (string, bool) {
				connections.Store(int64(connection) + 1)
				return test.answer, test.name == "until the end"
			})
			c := newClient(t)
			for range 2 {
				status, _, body, err := post(c, u, "x")
				if err != nil || status != test.status || body != test.body {
					t.Fatalf("%d %q, %v", status, body, err)
				}
			}
			if want := map[bool]int64{true: 1, false: 2}[test.reused]; connections.Load() != want {
				t.Errorf("%d connections for two requests, want %d", connections.Load(), want)
			}
		})
	}
}

func TestBrokenAnswersAreErrors(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":       "",
		"half a header": "HTTP/1.1 200 OK\r\nContent-Le",
		"half a body":   "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi",
		"half a chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
		"no HTTP":       "SSH-2.0-OpenSSH\r\n",
		"a switch":      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"a long header": "HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", maxHeader) + "\r\nContent-Length: 0\r\n\r\n",
	} {
		u := scripted(t, func(int, int) (string, bool) { return answer, true })
		c := newClient(t)
		status, _, body, err := post(c, u, "x")
		var dial *net.OpError
		if err == nil || errors.Is(err, ErrSlow) || errors.Is(err, ErrTooLong) || errors.As(err, &dial) && dial.Op == "dial" {
			t.Errorf("%s: %d %q, %v", name, status, body, err)
		}
		if len(c.idle) != 0 {
			t.Errorf("%s: the broken wire is kept", name)
		}
	}
}

func TestLimitsOfSizeAndTime(t *testing.T) {
	release := make(chan struct{})
	u, opened := counted(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/slow" {
			<-release
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	})
	defer close(release)
	c := newClient(t)
	ask := func(ctx context.Context, path string, timeout time.Duration, limit int64) error {
		target := *u
		target.Path = path
		var into bytes.Buffer
		_, _, err := c.Post(ctx, Request{Base: &target, Body: []byte("x"), Timeout: timeout, Limit: limit}, &into)
		return err
	}
	long, background := 10*time.Second, context.Background()
	if err := ask(background, "/", long, 999); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long an answer: %v", err)
	}
	if err := ask(background, "/", long, 1000); err != nil {
		t.Errorf("an answer as long as it may be: %v", err)
	}
	if err := ask(background, "/slow", 20*time.Millisecond, 1000); !errors.Is(err, ErrSlow) {
		t.Errorf("no answer in time: %v", err)
	}
	ctx, cancel := context.WithCancel(background)
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := ask(ctx, "/slow", long, 1000); err == nil || errors.Is(err, ErrSlow) {
		t.Errorf("the caller went away: %v", err)
	}
	if err := ask(ctx, "/", long, 1000); err == nil {
		t.Error("a caller who is gone gets an answer")
	}
	// The deadlines of earlier requests must not stay with a wire.
	before := opened.Load()
	for range 3 {
		if err := ask(background, "/", 100*time.Millisecond, 1000); err != nil {
			t.Error(err)
		}
		time.Sleep(110 * time.Millisecond)
	}
	if n := opened.Load() - before; n > 1 {
		t.Errorf("%d connections for three requests with pauses above their time-out", n)
	}
}

func TestClosedIdleWiresAreNoticed(t *testing.T) {
	for name, end := range map[string]string{
		"closed":                 "",
		"closed with a last say": "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	} {
		ended := make(chan struct{}, 1)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for first := true; ; first = false {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				if request, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, request.Body)
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
				if first {
					_, _ = io.WriteString(conn, end)
				}
				conn.Close()
				ended <- struct{}{}
			}
		}()
		c := newClient(t)
		u := parse(t, "http://"+listener.Addr().String())
		for range 2 {
			if status, _, body, err := post(c, u, "x"); err != nil || status != 200 || body != "hi" {
				t.Errorf("%s: %d %q, %v", name, status, body, err)
			}
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				t.Fatalf("%s: the closed wire was used", name)
			}
		}
		listener.Close()
	}
}

// TestALateTimeoutIsNoAnswer: a server that closes an idle wire at the very
// moment of a request says 408 to nobody.
func TestALateTimeoutIsNoAnswer(t *testing.T) {
	u := scripted(t, func(_, request int) (string, bool) {
		if request == 0 {
			return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false
		}
		return "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", true
	})
	c := newClient(t)
	if _, _, _, err := post(c, u, "x"); err != nil {
		t.Fatal(err)
	}
	if status, _, _, err := post(c, u, "x"); err == nil {
		t.Errorf("the caller is told %d", status)
	}
	var into bytes.Buffer
	if status, _, err := c.Post(context.Background(), Request{Base: u, Timeout: time.Second, Fresh: true}, &into); err != nil || status != 200 {
		t.Errorf("a fresh wire: %d, %v", status, err)
	}
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	_, _, _, err = post(newClient(t), parse(t, "http://"+listener.Addr().String()), "x")
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Op != "dial" {
		t.Errorf("%v", err)
	}
}

func TestIdleWiresAreBoundedAndSwept(t *testing.T) {
	var waiting sync.WaitGroup
	waiting.Add(4)
	u, opened := counted(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		waiting.Done()
		waiting.Wait() // all at once
	})
	c := New(Config{DialTimeout: time.Second, IdleTimeout: 20 * time.Millisecond, MaxIdle: 2})
	defer c.Close()
	count := func() (n int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, idle := range c.idle {
			n += len(idle)
		}
		return n
	}
	var asking sync.WaitGroup
	most := atomic.Int64{}
	for range 4 {
		asking.Go(func() {
			if _, _, _, err := post(c, u, "x"); err != nil {
				t.Error(err)
			}
			most.Store(max(most.Load(), int64(count())))
		})
	}
	asking.Wait()
	if opened.Load() != 4 || most.Load() > 2 {
		t.Errorf("%d connections, %d idle ones; want 4 and at most 2", opened.Load(), most.Load())
	}
	for end := time.Now().Add(5 * time.Second); count() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("idle wires stay")
		}
	}
}

func TestTakes(t *testing.T) {
	for _, test := range []struct {
		url  string
		body int
		want bool
	}{{"http://a:1", MaxBody, true}, {"http://a:1", MaxBody + 1, false}, {"https://a:1", 1, false}} {
		if got := Takes(parse(t, test.url), make([]byte, test.body)); got != test.want {
			t.Errorf("%s with %d bytes: %v", test.url, test.body, got)
		}
	}
}
