package serving

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// doubler answers the doubled distance. It waits for hold when there is one.
type doubler struct {
	hold    chan struct{}
	entered chan struct{}
}

func (d *doubler) Predict(_ context.Context, inputs map[string]Tensor) (map[string]Tensor, error) {
	if err := checkInputs(flightPorts(), inputs); err != nil {
		return nil, err
	}
	in := inputs["distance"]
	if d.hold != nil && in.Data.([]int64)[0] != 0 {
		d.entered <- struct{}{}
		<-d.hold
	}
	out := make([]float64, in.Len())
	for i, v := range in.Data.([]int64) {
		out[i] = 2 * float64(v)
		if v == -1 {
			out[i] = math.NaN()
		}
	}
	if in.Data.([]int64)[0] == -2 {
		return nil, fmt.Errorf("the runtime broke")
	}
	return map[string]Tensor{"twice": {Datatype: "FP64", Shape: in.Shape, Data: out}}, nil
}

func newTestServer(t testing.TB, model Predictor) *Server {
	t.Helper()
	server, err := NewServer(Config{
		Name: "flights", Version: "v3", Inputs: flightPorts(), MaxBatch: 3, MaxBodyBytes: 4096,
	}, model)
	if err != nil {
		t.Fatal(err)
	}
	server.config.Outputs = append(server.config.Outputs, port("twice", "FP64", -1, 1))
	return server
}

func call(t testing.TB, handler http.Handler, method, path, body string) (int, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, path, strings.NewReader(body)))
	return recorder.Code, recorder.Body.String()
}

func request(distance string) string {
	return `{"id":"r1","inputs":[{"name":"carrier","datatype":"BYTES","shape":[1,1],"data":["UA"]},{"name":"distance","datatype":"INT64","shape":[1,1],"data":` + distance + `}]}`
}

func TestReadyOnlyAfterWarmUp(t *testing.T) {
	server := newTestServer(t, &doubler{})
	check := func(path string, status int, body string) {
		t.Helper()
		if gotStatus, got := call(t, server, "GET", path, ""); gotStatus != status || got != body {
			t.Errorf("%s: %d %s, want %d %s", path, gotStatus, got, status, body)
		}
	}
	no, yes := `{"live":false,"ready":false}`, `{"live":true,"ready":true}`
	check("/v2/health/live", 200, yes)
	check("/v2/health/ready", 400, no)
	check("/v2/models/flights/ready", 400, no)
	if status, _ := call(t, server, "POST", "/v2/models/flights/infer", request("[1]")); status != 503 {
		t.Errorf("infer before ready: %d, want 503", status)
	}
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	check("/v2/health/ready", 200, yes)
	check("/v2/models/flights/ready", 200, yes)
	check("/v2/models/flights/versions/v3/ready", 200, yes)
	check("/v2/models", 200, `{"models":["flights"]}`)
	check("/v2", 200, `{"name":"mainspring","version":"2","extensions":["binary_tensor_data"]}`)
	check("/v2/models/flights", 200, `{"name":"flights","versions":["v3"],"platform":"onnx_onnxv1",`+
		`"inputs":[{"name":"carrier","datatype":"BYTES","shape":[-1,1]},{"name":"distance","datatype":"INT64","shape":[-1,1]}],`+
		`"outputs":[{"name":"twice","datatype":"FP64","shape":[-1,1]}]}`)
}

type broken struct{}

func (broken) Predict(context.Context, map[string]Tensor) (map[string]Tensor, error) {
	return nil, fmt.Errorf("no such operator")
}

func TestFailedWarmUpIsNeverReady(t *testing.T) {
	server := newTestServer(t, broken{})
	if err := server.WarmUp(context.Background()); err == nil || !strings.Contains(err.Error(), "no such operator") {
		t.Errorf("error %v", err)
	}
	if status, _ := call(t, server, "GET", "/v2/health/ready", ""); status != 400 {
		t.Errorf("ready: %d", status)
	}
}

func TestInfer(t *testing.T) {
	server := newTestServer(t, &doubler{})
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	answer := `{"model_name":"flights","model_version":"v3","id":"r1","outputs":[{"name":"twice","datatype":"FP64","shape":[1,1],"data":[14]}]}`
	tooMany := `{"inputs":[{"name":"distance","datatype":"INT64","shape":[4,1],"data":[1,2,3,4]}]}`
	for _, test := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/v2/models/flights/infer", request("[7]"), 200, answer},
		{"/v2/models/flights/versions/v3/infer", request("[[7]]"), 200, answer},
		{"/v2/models/flights/versions/v2/infer", request("[7]"), 404, `has model \"flights\" version \"v3\" only`},
		{"/v2/models/other/infer", request("[7]"), 404, `has model \"flights\"`},
		{"/v2/models/flights/guess", "", 404, "no route POST /v2/models/flights/guess"},
		{"/v2/models/flights/infer", request("[7.5]"), 400, `input \"distance\": value number 1: 7.5 is not an integer`},
		{"/v2/models/flights/infer", request("[7"), 400, `"error"`},
		{"/v2/models/flights/infer", tooMany, 400, `input \"distance\": has a batch of 4; at most 3 are allowed`},
		{"/v2/models/flights/infer", strings.Replace(request("[7]"), "carrier", "distance", 1), 400, `input \"distance\": is given twice`},
		{"/v2/models/flights/infer", strings.Replace(request("[7]"), "}]}", `}],"outputs":[{"name":"x"}]}`, 1), 400, `output \"x\" is not an output`},
		{"/v2/models/flights/infer", request("[-1]"), 500, `output \"twice\": value number 1 is NaN`},
		{"/v2/models/flights/infer", request("[-2]"), 500, "the runtime broke"},
		{"/v2/models/flights/infer", strings.Repeat(" ", 5000), 413, "at most 4096 are allowed"},
	} {
		status, got := call(t, server, "POST", test.path, test.body)
		if status != test.status || !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %d %s, want %d %s", test.path, test.body, status, got, test.status, test.want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("not JSON: %s", got)
		}
	}
	_, text := call(t, server, "GET", "/metrics", "")
	for _, want := range []string{
		`mainspring_serve_answers_total{model="flights",protocol="http",status="200",version="v3"} 2`,
		`mainspring_serve_answers_total{model="flights",protocol="http",status="500",version="v3"} 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestServeFinishesRequestsInFlight(t *testing.T) {
	model := &doubler{hold: make(chan struct{}), entered: make(chan struct{}, 1)}
	server := newTestServer(t, model)
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served, answered := make(chan error, 1), make(chan string, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	url := "http://" + listener.Addr().String()
	go func() {
		response, err := http.Post(url+"/v2/models/flights/infer", "application/json", strings.NewReader(request("[7]")))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- fmt.Sprint(response.StatusCode, " ", string(body))
	}()
	<-model.entered
	stop()
	waitUntil(t, func() bool {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
	close(model.hold)
	if got := <-answered; !strings.HasPrefix(got, "200 ") {
		t.Errorf("the request in flight got %s", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("gave up waiting")
		}
	}
}
