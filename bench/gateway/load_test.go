package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func targetOf(server *httptest.Server) target {
	return newTarget(strings.TrimPrefix(server.URL, "http://"), inferPath, requestText)
}

func TestLoadSendsWholeRequestsAndCountsEach(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil || body.String() != requestText || r.URL.Path != inferPath {
			t.Errorf("%s %q, %v", r.URL.Path, body.String(), err)
		}
		backend().ServeHTTP(w, r)
	}))
	defer server.Close()
	long := 100 * time.Millisecond
	got, err := load(context.Background(), targetOf(server), 3, long)
	if err != nil {
		t.Fatal(err)
	}
	if n := got.perSecond * long.Seconds(); n > float64(served.Load()) || n < 0.2*float64(served.Load()) {
		t.Errorf("%g requests of %d in %v", n, served.Load(), long)
	}
	if got.p50 <= 0 || got.p99 < got.p50 {
		t.Errorf("sample %+v", got)
	}
}

func TestLoadRefusesFastErrors(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := load(context.Background(), targetOf(server), 1, time.Second); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("404s for answers: %v", err)
	}
}

func TestReverseProxySplitsNineToOne(t *testing.T) {
	var counts [2]atomic.Int64
	urls := []string{}
	for i := range counts {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			counts[i].Add(1)
			backend().ServeHTTP(w, r)
		}))
		defer server.Close()
		urls = append(urls, server.URL)
	}
	handler, err := reverseProxy(urls)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(handler)
	defer proxy.Close()
	to := targetOf(proxy)
	for counts[0].Load()+counts[1].Load() < 500 {
		if _, err := load(context.Background(), to, 4, 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	total := counts[0].Load() + counts[1].Load()
	if share := float64(counts[1].Load()) / float64(total); share < 0.03 || share > 0.2 {
		t.Errorf("%.3f of %d requests went to the second server", share, total)
	}
}

func TestCompareIsWithinRounds(t *testing.T) {
	// Load from elsewhere makes one round ten times as slow for everybody.
	own := []sample{{p50: 100 * time.Microsecond, perSecond: 100}, {p50: 1000 * time.Microsecond, perSecond: 10}, {p50: 110 * time.Microsecond, perSecond: 90}}
	straight := []sample{{p50: 60 * time.Microsecond, perSecond: 0}, {p50: 960 * time.Microsecond, perSecond: 0}, {p50: 70 * time.Microsecond, perSecond: 0}}
	gateway := []sample{{perSecond: 200}, {perSecond: 20}, {perSecond: 180}}
	got := compare("x", own, straight, gateway)
	want := figure{Route: "x", P50US: 110, PerSecond: 90, AddedP50US: 40, Throughput: 2}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %g", m)
	}
}

func TestLoadThroughAServerThatIsGone(t *testing.T) {
	server := httptest.NewServer(backend())
	to := targetOf(server)
	server.Close()
	if _, err := (route{name: "gone", to: to, pid: os.Getpid()}).load(context.Background(), 1, 20*time.Millisecond); err == nil {
		t.Error("nobody answers, and there is a sample")
	}
}

func TestCPUTimeIsThatOfTheProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: only Linux tells")
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	spent := time.Duration(0)
	for end := time.Now().Add(10 * time.Second); spent < 50*time.Millisecond; {
		for range 1_000_000 {
			spent += 0
		}
		after, err := cpuTime(os.Getpid())
		if err != nil || time.Now().After(end) {
			t.Fatalf("%v after 10 s of work, %v", spent, err)
		}
		spent = after - before
	}
	if _, err := cpuTime(-1); err == nil {
		t.Error("a process that is not there has used CPU time")
	}
}

func TestRelayedRequestsAreAnswered(t *testing.T) {
	server := httptest.NewServer(backend())
	defer server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			caller, err := listener.Accept()
			if err != nil {
				return
			}
			go relay(caller, strings.TrimPrefix(server.URL, "http://"))
		}
	}()
	to := newTarget(listener.Addr().String(), inferPath, requestText)
	if got, err := load(context.Background(), to, 3, 50*time.Millisecond); err != nil || got.requests == 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
