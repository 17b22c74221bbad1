package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// TestFailoverHidesADyingServer kills one of two servers under load.
func TestFailoverHidesADyingServer(t *testing.T) {
	s := newStage(t, Config{})
	dying := modelServer(t, "v1")
	s.replicas("v1", dying, modelServer(t, "v1"))
	s.route(7, 0)
	var wg sync.WaitGroup
	var done, failed atomic.Int64
	for worker := range 8 {
		wg.Go(func() {
			for i := range 100 {
				r, err := s.tryPost("/v2/models/flights/infer", inferBody, map[string]string{HeaderRequestID: fmt.Sprint(worker, "-", i)})
				if err != nil || r.status != 200 {
					failed.Add(1)
					t.Errorf("%v %+v", err, r)
				}
				done.Add(1)
			}
		})
	}
	for done.Load() < 200 {
		time.Sleep(time.Millisecond)
	}
	kill(dying)
	wg.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), done.Load())
	}
	// The lost server may have been caught with a request: one piece of evidence.
	if got := s.arms()["v1@7"]; got.Errors > 1 || got.Requests != 800+got.Errors {
		t.Errorf("counters %+v", got)
	}
	status := s.gateway.Status().Endpoints[0].Arms
	for _, a := range status {
		for _, r := range a.Replicas {
			if r.URL == dying.URL && r.Up {
				t.Error("the dead server is not passed over")
			}
		}
	}
}

// kill ends a server as SIGKILL does: connections break at once.
func kill(server *httptest.Server) {
	server.Listener.Close()
	server.CloseClientConnections()
}

func TestUnreachableCanaryFallsBackWithoutEvidence(t *testing.T) {
	s := newStage(t, Config{})
	dead := modelServer(t, "v2")
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", dead)
	s.route(7, 1)
	kill(dead)
	for i := range 5 {
		if r := s.infer(fmt.Sprint("r", i), day(1, 1)); r.status != 200 || r.header.Get(HeaderVersion) != "v1" {
			t.Fatalf("%+v", r)
		}
	}
	s.wantArm("v1@7", 5, 0)
	s.wantArm("v2@7", 0, 0)
	if got := s.gateway.Status().Endpoints[0].Arms[0]; got.Version != "v2" || got.Failovers != 5 {
		t.Errorf("canary %+v, want 5 failovers", got)
	}
}

// TestCrashIsEvidenceOnce has a canary that dies of a request.
func TestCrashIsEvidenceOnce(t *testing.T) {
	s := newStage(t, Config{})
	entered := make(chan struct{}, 3)
	canary := customServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		entered <- struct{}{}
		<-r.Context().Done()
	})
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", canary)
	s.route(7, 1)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if r, err := s.tryPost("/v2/models/flights/infer", inferBody, map[string]string{HeaderRequestID: fmt.Sprint(i)}); err != nil || r.status != 200 || r.header.Get(HeaderVersion) != "v1" {
				t.Errorf("%v %+v", err, r)
			}
		})
	}
	for range 3 {
		<-entered
	}
	kill(canary)
	wg.Wait()
	s.wantArm("v1@7", 3, 0)
	s.wantArm("v2@7", 1, 1)
}

// TestBrokenConnectionIsTriedAgain has a server that drops a connection, as one
// does that closes it for being idle, and goes on answering.
func TestBrokenConnectionIsTriedAgain(t *testing.T) {
	s := newStage(t, Config{})
	var calls atomic.Int64
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		answerAs(w, r, "v1")
	}))
	s.route(7, 0)
	if r := s.infer("r", day(1, 1)); r.status != 200 {
		t.Errorf("%+v", r)
	}
	s.wantArm("v1@7", 1, 0)
	if !s.gateway.Status().Endpoints[0].Arms[1].Replicas[0].Up {
		t.Error("the server is passed over though it answers")
	}
}

func TestNobodyLeftIsAnErrorOfTheDrawnArm(t *testing.T) {
	s := newStage(t, Config{})
	one, two := modelServer(t, "v1"), modelServer(t, "v2")
	s.replicas("v1", one)
	s.replicas("v2", two)
	s.route(7, 1)
	kill(one)
	kill(two)
	r := s.infer("r", day(1, 1))
	if r.status != 503 || !strings.Contains(r.body, "could be reached") {
		t.Errorf("%+v", r)
	}
	s.wantArm("v2@7", 1, 1)
	s.wantArm("v1@7", 0, 0)
	s.flush()
	rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights"))
	if len(rows) != 1 || rows[0].Status != 503 || rows[0].Outputs != "{}" || rows[0].Version != "v2" {
		t.Errorf("rows %+v", rows)
	}
	// Ejected servers are tried all the same when nobody else is left.
	back := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerAs(w, r, "v1") }))
	listener, err := net.Listen("tcp", one.Listener.Addr().String())
	if err != nil {
		t.Skipf("SKIPPED: the port was taken meanwhile: %v", err)
	}
	back.Listener.Close()
	back.Listener = listener
	back.Start()
	t.Cleanup(back.Close)
	if r := s.infer("r2", day(1, 1)); r.status != 200 {
		t.Errorf("%+v", r)
	}
}

func TestSlowAndFailingServersAreErrors(t *testing.T) {
	s := newStage(t, Config{Timeout: 50 * time.Millisecond})
	slow := customServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	s.replicas("v1", slow, slow)
	s.replicas("v2", customServer(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"error":"broke"}`, 500) }))
	s.route(7, 0)
	if r := s.infer("r", day(1, 1)); r.status != 504 || !strings.Contains(r.body, "did not answer within 50ms") {
		t.Errorf("%+v", r)
	}
	s.wantArm("v1@7", 1, 1)
	s.route(8, 1)
	if r := s.infer("r", day(1, 1)); r.status != 500 || !strings.Contains(r.body, "broke") || r.header.Get(HeaderVersion) != "v2" {
		t.Errorf("%+v", r)
	}
	s.wantArm("v2@8", 1, 1)
}

func TestUnreadyServerIsPassedOver(t *testing.T) {
	s := newStage(t, Config{})
	unready := customServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	s.replicas("v1", unready, modelServer(t, "v1"))
	s.route(7, 0)
	for i := range 4 {
		if r := s.infer(fmt.Sprint(i), day(1, 1)); r.status != 200 {
			t.Errorf("%+v", r)
		}
	}
	s.wantArm("v1@7", 4, 0)
}

func TestClientErrorsAreNotTheVersions(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		fmt.Fprint(w, `{"error":"input \"carrier\": is missing"}`)
	}))
	s.route(7, 0)
	bad := strings.Replace(inferBody, "700", "nonsense", 1)
	if r := s.post("/v2/models/flights/infer", bad, nil); r.status != 400 || !strings.Contains(r.body, "is missing") {
		t.Errorf("%+v", r)
	}
	s.wantArm("v1@7", 1, 0)
	s.flush()
	if rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights")); len(rows) != 1 || rows[0].Status != 400 || rows[0].Inputs != "{}" {
		t.Errorf("rows %+v", rows)
	}
}

// TestAnAnswerOnItsWayIsNoReturn: what a server still said before it died does
// not make its loss count twice.
func TestAnAnswerOnItsWayIsNoReturn(t *testing.T) {
	g := newStage(t, Config{Eject: time.Hour}).gateway
	lost := candidate{arm: &arm{counters: &counters{}}, replica: &replica{}}
	g.passOver(lost)
	g.countCrash(lost)
	g.countReturn(lost)
	if !lost.crashed.Load() {
		t.Error("an answer of a server that is passed over makes its next loss count")
	}
	lost.downUntil.Store(time.Now().Add(-time.Second).UnixNano())
	g.countReturn(lost)
	if lost.crashed.Load() {
		t.Error("a server that is asked again and answers has come back")
	}
}

// TestWaitingForAnotherVersionIsNotSlow: the champion must not look slow because
// a canary broke its connections late.
func TestWaitingForAnotherVersionIsNotSlow(t *testing.T) {
	s := newStage(t, Config{})
	const wait = 100 * time.Millisecond
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", customServer(t, func(http.ResponseWriter, *http.Request) {
		time.Sleep(wait)
		panic(http.ErrAbortHandler)
	}))
	s.store.putJSON(t, models.RouteKey("flights"), models.Route{
		Endpoint: "flights", Generation: 7, SlowAbove: models.Duration(wait), Block: models.Duration(time.Minute), Arms: []models.Arm{
			{Version: "v1", Role: models.RoleChampion}, {Version: "v2", Role: models.RoleCanary, Weight: 1},
		},
	})
	s.look()
	if r := s.infer("a", day(1, 1)); r.status != 200 || r.header.Get(HeaderVersion) != "v1" {
		t.Fatalf("%+v", r)
	}
	if got := s.arms()["v1@7"]; got.Requests != 1 || got.Slow != 0 || blockTotals(got).Slow != 0 {
		t.Errorf("the champion's counts %+v", got)
	}
	s.flush()
	rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights"))
	if len(rows) != 1 || rows[0].LatencyUS < wait.Microseconds() {
		t.Errorf("the caller waited for both: %+v", rows)
	}
}
