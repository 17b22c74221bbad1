package traffic

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// gateway answers by the last digit of the request's ID.
func gateway(t *testing.T) (url string, labels func() string) {
	var mu sync.Mutex
	var posted strings.Builder
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/labels") {
			text, _ := io.ReadAll(r.Body)
			mu.Lock()
			posted.Write(text)
			mu.Unlock()
			return
		}
		id := r.Header.Get("Mainspring-Request-Id")
		switch id[len(id)-1] {
		case '7':
			w.Header().Set("Mainspring-Version", "2")
			w.WriteHeader(http.StatusInternalServerError)
		case '8':
			w.Header().Set("Mainspring-Version", "2")
		case '9': // break off
			connection, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				connection.Close()
			}
		default:
			w.Header().Set("Mainspring-Version", "1")
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() string { mu.Lock(); defer mu.Unlock(); return posted.String() }
}

func dead(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

func body(string) []byte { return []byte(`{}`) }

func TestEveryRequestIsAccountedFor(t *testing.T) {
	live, labels := gateway(t)
	run := Start(t.Context(), Config{Gateways: []string{live, dead(t)}, Endpoint: "e", Prefix: "r", Rate: 500, Body: body,
		Labels: &Labels{Of: func(string) float64 { return 1 }, After: time.Millisecond}})
	for deadline := time.Now().Add(20 * time.Second); len(run.Report().Requests) < 200 || labels() == ""; {
		if time.Now().After(deadline) {
			t.Fatal("too few requests")
		}
		time.Sleep(10 * time.Millisecond)
	}
	report := run.Stop()
	c := report.Counts()
	if report.Open != 0 || c.Sent != c.Answered+c.Lost+c.Unsent {
		t.Errorf("%+v, %d open", c, report.Open)
	}
	if c.Unsent != 0 {
		t.Errorf("%d requests were not sent although one gateway lives", c.Unsent)
	}
	for _, r := range report.Requests {
		var want string
		switch r.ID[len(r.ID)-1] {
		case '7':
			want = "500 2 lost false"
		case '8':
			want = "200 2 lost false"
		case '9':
			want = "0  lost true"
		default:
			want = "200 1 lost false"
		}
		if got := fmt.Sprint(r.Status, " ", r.Version, " lost ", r.Lost()); got != want {
			t.Errorf("%s: %s, want %s (%v)", r.ID, got, want, r.Err)
		}
	}
	if c.Lost == 0 || c.Failed == 0 || c.Versions["2"].Failed != c.Failed || len(report.Lost()) != c.Lost {
		t.Errorf("%s", c)
	}
	if c.Labels == 0 || !strings.Contains(labels(), `"label":1`) {
		t.Errorf("%d labels: %s", c.Labels, labels())
	}
}

func TestNoGatewayIsUnsent(t *testing.T) {
	run := Start(t.Context(), Config{Gateways: []string{dead(t)}, Endpoint: "e", Prefix: "r", Rate: 200, Body: body})
	for deadline := time.Now().Add(20 * time.Second); len(run.Report().Requests) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no request ended")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if c := run.Stop().Counts(); c.Unsent != c.Sent || c.Lost != 0 {
		t.Errorf("%s", c)
	}
}

// A sender that is not answered has no more than its bound on the way, and does
// not catch up afterwards.
func TestASlowGatewayIsNotBuried(t *testing.T) {
	open := make(chan struct{})
	var mu sync.Mutex
	here, most := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		here++
		most = max(most, here)
		mu.Unlock()
		<-open
		mu.Lock()
		here--
		mu.Unlock()
	}))
	t.Cleanup(server.Close)
	const bound, held = 5, 100
	run := Start(t.Context(), Config{Gateways: []string{server.URL}, Endpoint: "e", Prefix: "r", Rate: 500, Body: body, Most: bound})
	for began := time.Now(); run.Report().Open < bound || time.Since(began) < held*time.Second/500; {
		time.Sleep(5 * time.Millisecond)
	}
	run.cancel() // nothing is sent from here on
	run.loops.Wait()
	close(open)
	if c := run.Stop().Counts(); c.Sent != bound || c.Answered != bound || most > bound {
		t.Errorf("%s; %d at once", c, most)
	}
}
