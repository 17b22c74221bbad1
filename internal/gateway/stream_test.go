package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// TestStreamsFlowBothWays has caller and server speak in turn, line by line:
// nothing that is held back anywhere would let them.
func TestStreamsFlowBothWays(t *testing.T) {
	s := newStage(t, Config{})
	var path, id string
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		path, id = r.URL.String(), r.Header.Get(HeaderRequestID)
		out := http.NewResponseController(w)
		_ = out.EnableFullDuplex()
		w.Header().Set("Content-Type", "text/plain")
		_ = out.Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintf(w, "heard %s\n", lines.Text())
			_ = out.Flush()
		}
	}))
	s.route(7, 0)
	reader, writer := io.Pipe()
	request, err := http.NewRequest("POST", s.url+"/v2/models/flights/generate_stream?seed=7", reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(HeaderRequestID, "chat")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	response, err := s.client.Do(request.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answers := bufio.NewScanner(response.Body)
	for _, word := range []string{"one", "two", "three"} {
		fmt.Fprintln(writer, word)
		if !answers.Scan() || answers.Text() != "heard "+word {
			t.Fatalf("said %s, got %q, %v", word, answers.Text(), answers.Err())
		}
	}
	writer.Close()
	if answers.Scan() {
		t.Errorf("one more line %q", answers.Text())
	}
	if response.Header.Get(HeaderVersion) != "v1" || response.Header.Get(HeaderRequestID) != "chat" || response.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("header %v", response.Header)
	}
	s.settle(1)
	if path != "/v2/models/flights/generate_stream?seed=7" || id != "chat" {
		t.Errorf("the server was asked for %s as %s", path, id)
	}
	s.wantArm("v1@7", 1, 0)
	rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights"))
	if len(rows) != 1 || rows[0].ID != "chat" || rows[0].Inputs != "{}" || rows[0].Outputs != "{}" || rows[0].Status != 200 {
		t.Errorf("rows %+v", rows)
	}
}

// settle flushes until that many rows are written: a stream is counted after
// its caller has the end of it.
func (s *stage) settle(rows int) {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); rows > 0; time.Sleep(time.Millisecond) {
		rows -= s.flush()
		if time.Now().After(deadline) {
			s.t.Fatalf("%d rows are missing", rows)
		}
	}
}

func TestStreamsTryAnotherServerOnlyBeforeTheFirstByte(t *testing.T) {
	s := newStage(t, Config{})
	dead := modelServer(t, "v2")
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "v1 got %s", body)
	}))
	s.replicas("v2", dead)
	s.route(7, 1)
	kill(dead)
	if r := s.post("/v2/models/flights/generate", "text", nil); r.status != 200 || r.body != "v1 got text" || r.header.Get(HeaderVersion) != "v1" {
		t.Errorf("%+v", r)
	}
	s.settle(1)
	s.wantArm("v2@7", 0, 0)
	s.wantArm("v1@7", 1, 0)
	var asked atomic.Int64
	s.replicas("v2", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}))
	s.look()
	if r := s.post("/v2/models/flights/generate", "text", nil); r.status != 502 || !strings.Contains(r.body, "the connection to version v2 broke") {
		t.Errorf("%+v", r)
	}
	s.settle(1)
	if asked.Load() != 1 {
		t.Errorf("the server was asked %d times", asked.Load())
	}
	s.wantArm("v2@7", 1, 1)
}

func TestAStreamThatBreaksIsAnErrorOfItsVersion(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	s.route(7, 0)
	if r, err := s.tryPost("/v2/models/flights/generate", "text", nil); err == nil {
		t.Errorf("the caller can't tell that the answer is cut off: %+v", r)
	}
	s.settle(1)
	s.wantArm("v1@7", 1, 1)
	if rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights")); rows[0].Status != 502 {
		t.Errorf("row %+v", rows[0])
	}
}

func TestAStreamThatDoesNotBeginTimesOut(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", customServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	s.traffic(7, models.Arm{Version: "v2", Role: models.RoleCanary}, models.TrafficSpec{Timeout: models.Duration(50 * time.Millisecond)})
	if r := s.post("/v2/models/flights/generate", "text", nil); r.status != 504 || !strings.Contains(r.body, "did not begin to answer within 50ms") {
		t.Errorf("%+v", r)
	}
	s.settle(1)
	s.wantArm("v1@7", 1, 1)
	if got := s.arms()["v1@7"]; got.Slow != 0 || len(got.Blocks) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAStreamMayTakeLongerThanTheTimeout(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 5 {
			fmt.Fprint(w, ".")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(30 * time.Millisecond)
		}
	}))
	s.traffic(7, models.Arm{Version: "v2", Role: models.RoleCanary}, models.TrafficSpec{Timeout: models.Duration(60 * time.Millisecond)})
	if r := s.post("/v2/models/flights/generate", "text", nil); r.body != "....." {
		t.Errorf("%+v", r)
	}
}

func TestACallerWhoLeavesAStreamCountsNothing(t *testing.T) {
	s := newStage(t, Config{})
	gone := make(chan struct{})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	}))
	s.route(7, 0)
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v2/models/flights/generate", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	response.Body.Close()
	<-gone
	champion := (*s.gateway.known.Load())["flights"].pool("v1")
	for deadline := time.Now().Add(5 * time.Second); champion.breaker.pending.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the stream never ended")
		}
	}
	s.wantArm("v1@7", 0, 0)
}

// TestACallerThatBreaksItsBodyIsNoEvidence: the server sees a broken request, and
// the gateway must not take that for a broken server.
func TestACallerThatBreaksItsBodyIsNoEvidence(t *testing.T) {
	for name, test := range map[string]struct {
		sent   string
		leaves bool
	}{
		"leaves":         {"Content-Length: 100\r\n\r\nhalf", true},
		"malformed body": {"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nno chunk\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, Config{})
			begun := make(chan struct{}, 1)
			s.replicas("v1", customServer(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadFull(r.Body, make([]byte, 4))
				begun <- struct{}{}
				_, _ = io.Copy(io.Discard, r.Body)
			}))
			s.route(7, 0)
			connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			fmt.Fprint(connection, "POST /v2/models/flights/generate HTTP/1.1\r\nHost: x\r\n"+test.sent)
			if test.leaves {
				<-begun
				connection.Close()
			} else if answer, err := http.ReadResponse(bufio.NewReader(connection), nil); err != nil || answer.StatusCode != 400 {
				t.Errorf("answer %+v, %v", answer, err)
			}
			pool := (*s.gateway.known.Load())["flights"].pool("v1")
			for deadline := time.Now().Add(5 * time.Second); pool.breaker.pending.Load() != 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the stream does not end")
				}
			}
			s.wantArm("v1@7", 0, 0)
			if pool.breaker.failures.Load() != 0 {
				t.Error("it counts for the breaker")
			}
		})
	}
}

// TestASlowCallerIsNoSlowServer sends its body for longer than a server may take
// to begin its answer.
func TestASlowCallerIsNoSlowServer(t *testing.T) {
	s := newStage(t, Config{Timeout: 100 * time.Millisecond})
	hang := make(chan struct{})
	defer close(hang)
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == "hang" {
			<-hang
		}
		fmt.Fprintf(w, "%d bytes", len(body))
	}))
	s.route(7, 0)
	reader, writer := io.Pipe()
	go func() {
		for range 5 {
			time.Sleep(60 * time.Millisecond)
			fmt.Fprint(writer, "x")
		}
		writer.Close()
	}()
	response, err := s.client.Post(s.url+"/v2/models/flights/generate", "text/plain", reader)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 200 || string(text) != "5 bytes" {
		t.Errorf("%d %s, %v", response.StatusCode, text, err)
	}
	s.settle(1)
	s.wantArm("v1@7", 1, 0)
	if r := s.post("/v2/models/flights/generate", "hang", nil); r.status != 504 {
		t.Errorf("a server that hangs: %+v", r)
	}
}
