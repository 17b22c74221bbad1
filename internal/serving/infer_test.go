package serving

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

func TestInferBinary(t *testing.T) {
	server := newTestServer(t, &doubler{})
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	text := `{"id":"r1","parameters":{"binary_data_output":true},"inputs":[` +
		`{"name":"carrier","datatype":"BYTES","shape":[1,1],"data":["UA"]},` +
		`{"name":"distance","datatype":"INT64","shape":[1,1],"parameters":{"binary_data_size":8}}]}`
	r := httptest.NewRequest("POST", "/v2/models/flights/infer", strings.NewReader(text+"\x07\x00\x00\x00\x00\x00\x00\x00"))
	r.Header.Set(oip.HeaderLength, strconv.Itoa(len(text)))
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, r)
	want := `{"model_name":"flights","model_version":"v3","id":"r1","outputs":[{"name":"twice","datatype":"FP64","shape":[1,1],"parameters":{"binary_data_size":8}}]}`
	header := recorder.Header()
	if got := recorder.Body.String(); recorder.Code != 200 || got != want+"\x00\x00\x00\x00\x00\x00\x2c\x40" ||
		header.Get(oip.HeaderLength) != strconv.Itoa(len(want)) || header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %q %v", recorder.Code, got, header)
	}
	response, err := oip.ScanBinaryResponse(recorder.Body.Bytes(), header.Get(oip.HeaderLength))
	if err != nil {
		t.Fatal(err)
	}
	if tensor, err := response.Outputs[0].Decode(); err != nil || tensor.Data.([]float64)[0] != 14 {
		t.Errorf("%v, %v", tensor, err)
	}
}

// TestInferEdgeCases are the places where servers of the protocol differ.
func TestInferEdgeCases(t *testing.T) {
	server := newTestServer(t, &doubler{})
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	inputs := `"inputs":[{"name":"carrier","datatype":"BYTES","shape":[1,1],"data":["UA"],"parameters":{"content_type":"str"}},{"name":"distance","datatype":"INT64","shape":[1,1],"data":[7]}]`
	answer := `"outputs":[{"name":"twice","datatype":"FP64","shape":[1,1],"data":[14]}]}`
	for _, test := range []struct {
		body   string
		status int
		want   string
	}{
		{`{` + inputs + `,"outputs":[]}`, 200, `{"model_name":"flights","model_version":"v3",` + answer},
		{`{` + inputs + `,"outputs":null,"id":null,"parameters":null}`, 200, answer},
		{`{"parameters":{"priority":1,"nested":{"a":[1,2]}},"unknown":[{}],` + inputs + `}`, 200, answer},
		{`{` + inputs + `,"outputs":[{"name":"twice"}],"id":"ü\"x"}`, 200, `"id":"ü\"x"`},
		{`{` + inputs + `,"outputs":[{"name":"twice"},{"name":"twice"}]}`, 200, `"twice"`},
		{`{"inputs":[]}`, 400, `input \"carrier\": is missing`},
		{`{"inputs":[{"name":"distance","datatype":"INT64","shape":[1,1]}]}`, 400, `input \"distance\": \"data\" is missing`},
		{`{"inputs":[{"name":"distance","datatype":"int64","shape":[1,1],"data":[1]}]}`, 400, `datatype \"int64\" is not supported; use one of BOOL`},
		{`{` + strings.Replace(inputs, `[1,1],"data":[7]`, `[1,1],"data":[[7],[8]]`, 1) + `}`, 400, `input \"distance\": more values than the shape has room for: 1`},
		{``, 400, "ends early"},
		{`null`, 400, "expected"},
	} {
		status, got := call(t, server, "POST", "/v2/models/flights/infer", test.body)
		if status != test.status || !strings.Contains(got, test.want) {
			t.Errorf("%s: %d %s, want %d %s", test.body, status, got, test.status, test.want)
		}
	}
	for _, path := range []string{"/v2/models/other", "/v2/models/other/ready", "/v2/models/flights/versions/4", "/v2/models/flights/versions/4/ready"} {
		if status, got := call(t, server, "GET", path, ""); status != 404 || !strings.HasPrefix(got, `{"error":`) {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
}

func TestInferRefusesAnEncodedBody(t *testing.T) {
	server := newTestServer(t, &doubler{})
	server.ready.Store(true)
	r := httptest.NewRequest("POST", "/v2/models/flights/infer", strings.NewReader(request("[7]")))
	r.Header.Set("Content-Encoding", "gzip")
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusUnsupportedMediaType || !strings.Contains(recorder.Body.String(), "encoded with gzip") {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
}

func TestMorePendingThanAllowedIsRefused(t *testing.T) {
	model := &doubler{hold: make(chan struct{}), entered: make(chan struct{}, 1)}
	server := newTestServer(t, model)
	server.config.MaxPending = 1
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	first := make(chan int)
	go func() {
		status, _ := call(t, server, "POST", "/v2/models/flights/infer", request("[7]"))
		first <- status
	}()
	<-model.entered
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, httptest.NewRequest("POST", "/v2/models/flights/infer", strings.NewReader(request("[8]"))))
	if recorder.Code != http.StatusServiceUnavailable || recorder.Header().Get("Retry-After") != "1" || !strings.Contains(recorder.Body.String(), "1 requests are waiting already") {
		t.Errorf("%d %v %s", recorder.Code, recorder.Header(), recorder.Body)
	}
	_, text := call(t, server, "GET", "/metrics", "")
	for _, want := range []string{
		`mainspring_serve_pending_requests{model="flights",version="v3"} 1`,
		`mainspring_serve_batch_rows_count{model="flights",version="v3"} 2`,
		`mainspring_serve_queue_seconds_count{model="flights",version="v3"} 2`,
		`mainspring_serve_model_info{model="flights",platform="onnx_onnxv1",provider="",version="v3"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	close(model.hold)
	if status := <-first; status != 200 {
		t.Errorf("the first request got %d", status)
	}
	if status, _ := call(t, server, "POST", "/v2/models/flights/infer", request("[0]")); status != 200 {
		t.Errorf("a request after the first got %d", status)
	}
}

func TestCallerThatWentAwayIsNoFault(t *testing.T) {
	server := newTestServer(t, broken{})
	server.ready.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, httptest.NewRequest("POST", "/v2/models/flights/infer", strings.NewReader(request("[7]"))).WithContext(ctx))
	if recorder.Code != statusClientGone {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
}
