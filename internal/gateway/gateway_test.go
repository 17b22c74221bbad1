package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func TestInferSplitsCountsAndLogs(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", modelServer(t, "v1"), modelServer(t, "v1"))
	s.replicas("v2", modelServer(t, "v2"))
	s.route(7, 0.3)
	const n = 1000
	byVersion := map[string]int64{}
	for i := range n {
		r := s.infer(fmt.Sprint("r", i), day(1, 12).Add(time.Duration(i)*time.Second))
		if r.status != 200 || !strings.Contains(r.body, `"model_version":"`+r.header.Get(HeaderVersion)+`"`) {
			t.Fatalf("request %d: %+v", i, r)
		}
		if got := r.header.Get(HeaderRequestID); got != fmt.Sprint("r", i) {
			t.Fatalf("request id %q", got)
		}
		if want := map[string]string{"v1": "champion", "v2": "canary"}[r.header.Get(HeaderVersion)]; r.header.Get(HeaderArm) != want {
			t.Fatalf("arm %q, want %q", r.header.Get(HeaderArm), want)
		}
		byVersion[r.header.Get(HeaderVersion)]++
	}
	if limit := 5 * math.Sqrt(n*0.3*0.7); math.Abs(float64(byVersion["v2"])-n*0.3) > limit {
		t.Errorf("the canary got %d of %d, more than %.0f off 30 %%", byVersion["v2"], n, limit)
	}
	s.wantArm("v1@7", byVersion["v1"], 0)
	s.wantArm("v2@7", byVersion["v2"], 0)
	if got := s.flush(); got != n {
		t.Errorf("flushed %d rows", got)
	}
	rows := rowsUnder[models.InferenceRow](t, s.store, models.InferencePrefix("flights", day(1, 0)))
	if len(rows) != n {
		t.Fatalf("%d rows in the log", len(rows))
	}
	first := rows[0]
	if first.LatencyUS <= 0 || first.Time < time.Now().Add(-time.Minute).UnixMicro() {
		t.Errorf("latency %d µs, time %d", first.LatencyUS, first.Time)
	}
	if first.Drawn != first.Version {
		t.Errorf("drawn %q, answered by %q", first.Drawn, first.Version)
	}
	share := map[string]float64{"v1": 0.7, "v2": 0.3}[first.Version]
	if math.Abs(first.ArmShare-share) > 1e-9 {
		t.Errorf("arm share %v, want %v", first.ArmShare, share)
	}
	first.LatencyUS, first.Time, first.ArmShare, first.Version, first.Role, first.Drawn = 0, 0, 0, "", "", ""
	want := models.InferenceRow{
		ID: "r0", EventTime: day(1, 12).UnixMicro(), Endpoint: "flights", Generation: 7, Status: 200, LogShare: 1,
		Inputs: `{"carrier":["UA"],"distance":[700]}`, Outputs: `{"probability":[0.25]}`,
	}
	if first != want {
		t.Errorf("row %+v, want %+v", first, want)
	}
	var stats models.GatewayStats
	if !s.store.read(t, models.StatsPrefix("flights")+"gw-b1.json", &stats) {
		t.Fatal("no counters were written")
	}
	if stats.Gateway != "gw" || stats.Boot != "b1" || len(stats.Arms) != 2 || stats.Arms[0].Version != "v1" || stats.Arms[0].Requests != byVersion["v1"] {
		t.Errorf("counters %+v", stats)
	}
	for _, a := range stats.Arms {
		total := int64(0)
		for _, n := range a.Latency {
			total += n
		}
		if total != a.Requests || len(a.Latency) != len(models.LatencyBounds())+1 {
			t.Errorf("%s: %d latencies in %d buckets for %d requests", a.Version, total, len(a.Latency), a.Requests)
		}
	}
}

func TestInferRefusesBeforeAnyArm(t *testing.T) {
	s := newStage(t, Config{MaxBodyBytes: 500})
	path := "/v2/models/flights/infer"
	check := func(path, body string, header map[string]string, status int, want string) {
		t.Helper()
		r := s.post(path, body, header)
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.status != status || !strings.Contains(answer.Error, want) {
			t.Errorf("%s: %d %s, want %d %q", path, r.status, r.body, status, want)
		}
	}
	check(path, inferBody, nil, 503, "has not read any routes yet")
	s.look()
	check(path, inferBody, nil, 404, `no endpoint "flights"`)
	s.replicas("v1", modelServer(t, "v1"))
	s.route(1, 0)
	check("/v2/models/other/infer", inferBody, nil, 404, `no endpoint "other"`)
	check("/v2/guess", inferBody, nil, 404, "no route POST")
	check("/v2/models/flights/versions/v9/infer", inferBody, nil, 404, `no version "v9"`)
	check("/v2/models/flights/versions/v9/generate", inferBody, nil, 404, `no version "v9"`)
	check(path, `{"inputs":[{"name":"x"}]}`, nil, 400, `input "x": "datatype" is missing`)
	check(path, inferBody, map[string]string{HeaderEventTime: "yesterday"}, 400, HeaderEventTime+`: "yesterday" is no time`)
	check(path, strings.Repeat(" ", 501), nil, 413, "more than 500 bytes")
	check(path, inferBody, map[string]string{"Inference-Header-Content-Length": "7"}, 400, "ends early")
	check(path, inferBody, map[string]string{"Content-Encoding": "br"}, 400, `content encoding "br" is not supported`)
	s.wantArm("v1@1", 0, 0)
	if r := s.post(path, strings.Replace(inferBody, "{", `{"id":"mine",`, 1), nil); r.header.Get(HeaderRequestID) != "mine" {
		t.Errorf("request id %q, want the body's", r.header.Get(HeaderRequestID))
	}
	if one, two := s.post(path, inferBody, nil), s.post(path, inferBody, nil); one.header.Get(HeaderRequestID) == "" ||
		one.header.Get(HeaderRequestID) == two.header.Get(HeaderRequestID) {
		t.Errorf("made-up request ids %q and %q", one.header.Get(HeaderRequestID), two.header.Get(HeaderRequestID))
	}
}

func TestQuestionsGoToTheChampion(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method, " ", r.URL.Path) }))
	s.route(7, 0.5)
	for _, path := range []string{"/v2/models/flights", "/v2/models/flights/ready"} {
		response, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if got := string(body); got != "GET "+path || response.Header.Get(HeaderVersion) != "v1" {
			t.Errorf("%s: %q", path, got)
		}
	}
	s.wantArm("v1@7", 0, 0)
}

func TestRoutesAreFollowedAndSurviveAnOutage(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", modelServer(t, "v2"))
	s.route(7, 0)
	version := func() string { return s.infer("r", day(1, 1)).header.Get(HeaderVersion) }
	if got := version(); got != "v1" {
		t.Errorf("answered by %s", got)
	}
	s.route(6, 1)
	if got := version(); got != "v1" {
		t.Errorf("an older generation was followed: answered by %s", got)
	}
	s.route(8, 1)
	if got := version(); got != "v2" {
		t.Errorf("a newer generation was not followed: answered by %s", got)
	}
	s.store.setOut(func(string, string) bool { return true })
	s.follower.look(context.Background())
	if got := version(); got != "v2" {
		t.Errorf("during the outage: answered by %s", got)
	}
	if got := s.gateway.Status(); got.PollError == "" || got.Polled.IsZero() {
		t.Errorf("status %+v does not tell of the outage", got)
	}
	s.store.setOut(nil)
	s.store.delete(models.ReplicasKey("flights", "v2"))
	s.look()
	if got := version(); got != "v1" {
		t.Errorf("without replicas of v2: answered by %s", got)
	}
}

func TestARouteWaitsForItsReplicas(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", modelServer(t, "v2"))
	s.route(7, 0)
	s.store.setOut(func(operation, key string) bool { return strings.HasSuffix(key, "/v3.json") })
	s.replicas("v3", modelServer(t, "v3"))
	s.store.putJSON(t, models.RouteKey("flights"), models.Route{Endpoint: "flights", Generation: 8, Arms: []models.Arm{{Version: "v3", Role: models.RoleChampion, Weight: 1}}})
	if err := s.follower.poll(context.Background()); err == nil {
		t.Error("no error")
	}
	if r := s.infer("r", day(1, 1)); r.header.Get(HeaderVersion) != "v1" {
		t.Errorf("%+v", r)
	}
	s.store.setOut(nil)
	s.look()
	if r := s.infer("r", day(1, 1)); r.header.Get(HeaderVersion) != "v3" {
		t.Errorf("%+v", r)
	}
}

func TestABrokenObjectHarmsNoOther(t *testing.T) {
	s := newStage(t, Config{})
	s.store.objects[models.RouteKey("aaa")] = []byte("not JSON")
	s.replicas("v1", modelServer(t, "v1"))
	s.store.putJSON(t, models.ReplicasKey("flights", "v9"), models.Replicas{URLs: []string{"no url"}})
	s.store.putJSON(t, models.RouteKey("flights"), models.Route{Endpoint: "flights", Generation: 1, Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1}}})
	if err := s.follower.poll(context.Background()); err == nil || !strings.Contains(err.Error(), "routes/aaa.json") || !strings.Contains(err.Error(), "v9.json") {
		t.Errorf("error %v", err)
	}
	if r := s.infer("r", day(1, 1)); r.status != 200 {
		t.Errorf("%+v", r)
	}
}

// TestRun starts the whole process and stops it with a request in flight.
func TestRun(t *testing.T) {
	store := newMemoryStore()
	entered, release := make(chan struct{}), make(chan struct{})
	server := customServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(HeaderRequestID) == "last" {
			close(entered)
			<-release
		}
		answerAs(w, r, "v1")
	})
	store.putJSON(t, models.ReplicasKey("flights", "v1"), models.Replicas{URLs: []string{server.URL}})
	store.putJSON(t, models.RouteKey("flights"), models.Route{Endpoint: "flights", Generation: 1, Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1}}})
	g, err := New(Config{Name: "gw", Poll: 5 * time.Millisecond, Flush: time.Hour}, store)
	if err != nil {
		t.Fatal(err)
	}
	listeners := Listeners{Data: listen(t), Admin: listen(t)}
	data, admin := "http://"+listeners.Data.Addr().String(), "http://"+listeners.Admin.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx, listeners) }()
	waitFor(t, data+"/v2/health/ready", 200)
	s := &stage{t: t, store: store, gateway: g, url: data, client: http.DefaultClient}
	s.infer("first", day(1, 1))
	if body := postTo(t, admin+"/admin/flush"); body != `{"rows":1}` {
		t.Errorf("flush: %s", body)
	}
	var status Status
	if err := json.Unmarshal([]byte(getFrom(t, admin+"/admin/status")), &status); err != nil {
		t.Fatal(err)
	}
	if e := status.Endpoints[0]; e.Endpoint != "flights" || e.Requests != 1 || e.Arms[0].Requests != 1 || e.Arms[0].Replicas[0] != (ReplicaStatus{URL: server.URL, Up: true}) || !e.Watermark.Equal(day(1, 1)) {
		t.Errorf("status %+v", e)
	}
	text := getFrom(t, admin+"/metrics")
	for _, want := range []string{
		`mainspring_gateway_latency_seconds_count{endpoint="flights",version="v1"} 1`,
		`mainspring_gateway_arm_weight{endpoint="flights",role="champion",version="v1"} 1`,
		`mainspring_gateway_route_generation{endpoint="flights"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if r := s.post("/v2/models/flights/infer", inferBody, map[string]string{"Cookie": strings.Repeat("x", 2*maxHeader)}); r.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header that servers may refuse got %+v", r)
	}
	last := make(chan reply, 1)
	go func() {
		r, err := s.tryPost("/v2/models/flights/infer", inferBody, map[string]string{HeaderRequestID: "last", HeaderEventTime: "2013-01-03T00:00:00Z"})
		if err != nil {
			r.body = err.Error()
		}
		last <- r
	}()
	<-entered
	stop()
	waitFor(t, admin+"/healthz", 400)
	close(release)
	if r := <-last; r.status != 200 {
		t.Errorf("the request in flight got %+v", r)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	var ids []string
	for _, row := range rowsUnder[models.InferenceRow](t, store, models.InferenceRoot("flights")) {
		ids = append(ids, row.ID)
	}
	if want := []string{"first", "last"}; !reflect.DeepEqual(ids, want) {
		t.Errorf("rows %v, want %v", ids, want)
	}
	var mark models.Watermark
	if !store.read(t, models.WatermarkPrefix("flights")+"gw.json", &mark) || !mark.Closed || !mark.EventTime.Equal(day(3, 0)) {
		t.Errorf("watermark %+v", mark)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func waitFor(t *testing.T, url string, status int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == status {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s never answered %d", url, status)
		}
	}
}

func getFrom(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, response)
}

func postTo(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Post(url, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, response)
}

func readAll(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
