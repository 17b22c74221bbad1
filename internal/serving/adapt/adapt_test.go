package adapt

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/serving/mlmodel"
	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// upstream is a model server that answers what it is told to and remembers what
// it was asked.
type upstream struct {
	status int
	answer string
	asked  []string // method, path and body
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.asked = append(u.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.EscapedPath(), body)))
	if u.status > 0 {
		w.WriteHeader(u.status)
	}
	_, _ = io.WriteString(w, u.answer)
}

// adapter puts an adapter in front of an upstream.
func adapter(t *testing.T, u *upstream, change func(*Config)) http.Handler {
	t.Helper()
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Upstream: at, Protocol: models.ProtocolMLflow, Name: "flights", Version: "3"}
	if change != nil {
		change(&config)
	}
	handler, err := Handler(config)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func ask(t *testing.T, handler http.Handler, method, path, body string) (int, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return recorder.Code, strings.TrimSpace(recorder.Body.String())
}

const twoRows = `{"id":"r1","inputs":[
  {"name":"distance","datatype":"INT64","shape":[2,1],"data":[[1400],[9007199254740993]]},
  {"name":"carrier","datatype":"BYTES","shape":[2],"data":["UA","A\"A"]}]}`

const infer = "/v2/models/flights/infer"

func TestInvocationsGetADataFrame(t *testing.T) {
	u := &upstream{answer: `{"predictions":[0.25,1]}`}
	status, got := ask(t, adapter(t, u, func(c *Config) { c.Prediction = "minutes" }), http.MethodPost, infer, twoRows)
	want := `{"model_name":"flights","model_version":"3","id":"r1","outputs":[{"name":"minutes","datatype":"FP64","shape":[2],"data":[0.25,1]}]}`
	if status != http.StatusOK || got != want {
		t.Errorf("got %d %s, want %s", status, got, want)
	}
	sent := `POST /invocations {"dataframe_split":{"columns":["distance","carrier"],"data":[[1400,"UA"],[9007199254740993,"A\"A"]]}}`
	if len(u.asked) != 1 || u.asked[0] != sent {
		t.Errorf("asked %q, want %q", u.asked, sent)
	}
}

func TestInvocationsGetTensors(t *testing.T) {
	tensor := func(name string) func(*Config) {
		return func(c *Config) {
			c.Signature.Inputs = fmt.Sprintf(`[{"name":%s"type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,2]}}]`, name)
		}
	}
	body := `{"inputs":[{"name":"x","datatype":"FP32","shape":[2,2],"data":[1,2,3,4.5]}]}`
	for name, want := range map[string]string{
		`"x",`:  `POST /invocations {"inputs":{"x":[[1,2],[3,4.5]]}}`,
		`null,`: `POST /invocations {"inputs":[[1,2],[3,4.5]]}`,
	} {
		u := &upstream{answer: `{"predictions":[[1],[2]]}`}
		if status, got := ask(t, adapter(t, u, tensor(name)), http.MethodPost, infer, body); status != http.StatusOK {
			t.Errorf("got %d %s", status, got)
		}
		if u.asked[0] != want {
			t.Errorf("asked %s, want %s", u.asked[0], want)
		}
	}
}

func TestPredictionsBecomeOutputs(t *testing.T) {
	binary := func(c *Config) { c.Task, c.Prediction = models.TaskBinary, "probability" }
	for name, test := range map[string]struct {
		answer string
		change func(*Config)
		want   string
	}{
		"plain":             {`{"predictions":[0.5,0.25]}`, binary, `[{"name":"probability","datatype":"FP64","shape":[2],"data":[0.5,0.25]}]`},
		"two columns":       {`{"predictions":[[0.9,0.1],[0.2,0.8]]}`, binary, `[{"name":"probability","datatype":"FP64","shape":[2],"data":[0.1,0.8]}]`},
		"one column":        {`{"predictions":[[0.1],[0.8]]}`, binary, `[{"name":"probability","datatype":"FP64","shape":[2,1],"data":[0.1,0.8]}]`},
		"two, not binary":   {`{"predictions":[[0.9,0.1],[0.2,0.8]]}`, nil, `[{"name":"predictions","datatype":"FP64","shape":[2,2],"data":[0.9,0.1,0.2,0.8]}]`},
		"a frame":           {`{"predictions":[{"b":1,"a":"x"},{"b":2,"a":"y"}]}`, nil, `[{"name":"a","datatype":"BYTES","shape":[2],"data":["x","y"]},{"name":"b","datatype":"INT64","shape":[2],"data":[1,2]}]`},
		"a series":          {`{"predictions":[{"0":0.5},{"0":0.25}]}`, binary, `[{"name":"probability","datatype":"FP64","shape":[2],"data":[0.5,0.25]}]`},
		"named tensors":     {`{"predictions":{"y":[[1],[2]]}}`, nil, `[{"name":"y","datatype":"INT64","shape":[2,1],"data":[1,2]}]`},
		"booleans":          {`{"predictions":[true,false]}`, nil, `[{"name":"predictions","datatype":"BOOL","shape":[2],"data":[true,false]}]`},
		"signature's type":  {`{"predictions":[1,2]}`, signed(`[{"name":"y","type":"float"}]`), `[{"name":"y","datatype":"FP32","shape":[2],"data":[1,2]}]`},
		"signature's order": {`{"predictions":[{"a":1,"b":2}]}`, signed(`[{"name":"b","type":"long"},{"name":"a","type":"double"}]`), `[{"name":"b","datatype":"INT64","shape":[1],"data":[2]},{"name":"a","datatype":"FP64","shape":[1],"data":[1]}]`},
	} {
		status, got := ask(t, adapter(t, &upstream{answer: test.answer}, test.change), http.MethodPost, infer, twoRows)
		var reply struct{ Outputs json.RawMessage }
		if err := json.Unmarshal([]byte(got), &reply); err != nil || status != http.StatusOK || string(reply.Outputs) != test.want {
			t.Errorf("%s: got %d %s, want %s", name, status, got, test.want)
		}
	}
}

func signed(outputs string) func(*Config) {
	return func(c *Config) { c.Signature = mlmodel.Signature{Outputs: outputs} }
}

// tritonclient's HTTP client speaks the binary tensor extension by default.
func TestBinaryTensorsAreTakenAndGiven(t *testing.T) {
	u := &upstream{answer: `{"predictions":[0.5]}`}
	head := `{"inputs":[{"name":"distance","datatype":"INT32","shape":[1],"parameters":{"binary_data_size":4}}],"outputs":[{"name":"predictions","parameters":{"binary_data":true}}]}`
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, infer, strings.NewReader(head+"\x2a\x00\x00\x00"))
	request.Header.Set(oip.HeaderLength, strconv.Itoa(len(head)))
	recorder := httptest.NewRecorder()
	adapter(t, u, nil).ServeHTTP(recorder, request)
	if want := `POST /invocations {"dataframe_split":{"columns":["distance"],"data":[[42]]}}`; len(u.asked) != 1 || u.asked[0] != want {
		t.Errorf("asked %q, want %q", u.asked, want)
	}
	reply, err := oip.ScanBinaryResponse(recorder.Body.Bytes(), recorder.Header().Get(oip.HeaderLength))
	if err != nil || recorder.Code != http.StatusOK || len(reply.Outputs) != 1 {
		t.Fatalf("got %d %q, %v", recorder.Code, recorder.Body, err)
	}
	if got, err := reply.Outputs[0].Decode(); err != nil || !reflect.DeepEqual(got.Data, []float64{0.5}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A failure of the model must count against it, and one of the caller must not.
func TestFailuresGoToTheirCauses(t *testing.T) {
	const mlflow = `{"error_code":"BAD_REQUEST","message":"%s"}`
	for name, test := range map[string]struct {
		upstream upstream
		body     string
		status   int
		says     string
	}{
		"the model raises":   {upstream{status: 400, answer: fmt.Sprintf(mlflow, "Encountered an unexpected error while evaluating the model. Verify")}, twoRows, 500, "unexpected error"},
		"schema refused":     {upstream{status: 400, answer: fmt.Sprintf(mlflow, "Failed to enforce schema of data")}, twoRows, 400, "enforce schema"},
		"server error":       {upstream{status: 500, answer: "oops"}, twoRows, 500, "oops"},
		"not JSON":           {upstream{answer: "oops"}, twoRows, 500, "not JSON"},
		"no predictions":     {upstream{answer: "{}"}, twoRows, 500, `no \"predictions\"`},
		"not finite":         {upstream{answer: `{"predictions":[null,1]}`}, twoRows, 500, "number 1 is no finite number"},
		"uneven":             {upstream{answer: `{"predictions":[[1,2],[3]]}`}, twoRows, 500, "row 1 has the shape"},
		"no JSON asked":      {upstream{}, `{`, 400, "ends early"},
		"nothing asked":      {upstream{}, `{"inputs":[]}`, 400, "empty"},
		"batches differ":     {upstream{}, `{"inputs":[{"name":"a","datatype":"INT64","shape":[2],"data":[1,2]},{"name":"b","datatype":"INT64","shape":[1],"data":[1]}]}`, 400, `input \"b\": has a batch of 1`},
		"shape does not fit": {upstream{}, `{"inputs":[{"name":"a","datatype":"INT64","shape":[3],"data":[1,2]}]}`, 400, "2 values"},
		"given twice":        {upstream{}, `{"inputs":[{"name":"a","datatype":"INT64","shape":[1],"data":[1]},{"name":"a","datatype":"INT64","shape":[1],"data":[1]}]}`, 400, "given twice"},
		"unknown output":     {upstream{answer: `{"predictions":[1,2]}`}, strings.Replace(twoRows, `"id":"r1"`, `"outputs":[{"name":"q"}]`, 1), 400, `output \"q\"`},
	} {
		status, got := ask(t, adapter(t, &test.upstream, nil), http.MethodPost, infer, test.body)
		if status != test.status || !strings.Contains(got, test.says) || !strings.Contains(got, `"error"`) {
			t.Errorf("%s: got %d %s, want %d and %q", name, status, got, test.status, test.says)
		}
	}
	gone, err := url.Parse("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	handler := adapter(t, &upstream{}, func(c *Config) { c.Upstream = gone })
	if status, got := ask(t, handler, http.MethodPost, infer, twoRows); status != http.StatusServiceUnavailable {
		t.Errorf("an upstream that is gone: got %d %s", status, got)
	}
	if status, _ := ask(t, handler, http.MethodGet, "/v2/health/ready", ""); status == http.StatusOK {
		t.Error("ready without an upstream")
	}
	if status, got := ask(t, handler, http.MethodPost, "/v2/models/other/infer", twoRows); status != http.StatusNotFound || !strings.Contains(got, "error") {
		t.Errorf("another model: got %d %s", status, got)
	}
}

func TestMLflowIsReadyAndDescribed(t *testing.T) {
	u := &upstream{}
	handler := adapter(t, u, func(c *Config) {
		c.Prediction = "minutes"
		c.Signature = mlmodel.Signature{Inputs: `[{"name":"distance","type":"long"}]`, Outputs: `[{"type":"double"}]`}
	})
	if status, _ := ask(t, handler, http.MethodGet, "/v2/models/flights/versions/3/ready", ""); status != http.StatusOK || u.asked[0] != "GET /ping" {
		t.Errorf("got %d, asked %q", status, u.asked)
	}
	_, got := ask(t, handler, http.MethodGet, "/v2/models/flights", "")
	want := `{"inputs":[{"name":"distance","datatype":"INT64","shape":[-1]}],"name":"flights","outputs":[{"name":"minutes","datatype":"FP64","shape":[-1]}],"platform":"mlflow_pyfunc","versions":["3"]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRenamingPassesBodiesThrough(t *testing.T) {
	u := &upstream{answer: `{"name":"resnet","versions":["1"],"platform":"x"}`}
	handler := adapter(t, u, func(c *Config) { c.Protocol, c.UpstreamModel = models.ProtocolV2, "res net" })
	for _, path := range []string{infer, "/v2/models/flights/versions/3/infer"} {
		if status, got := ask(t, handler, http.MethodPost, path, "\x00untouched"); status != http.StatusOK || got != u.answer {
			t.Errorf("%s: got %d %s", path, status, got)
		}
		if got := u.asked[len(u.asked)-1]; got != "POST /v2/models/res%20net/infer \x00untouched" {
			t.Errorf("%s: asked %q", path, got)
		}
	}
	if _, got := ask(t, handler, http.MethodGet, "/v2/models/flights", ""); got != `{"name":"flights","platform":"x","versions":["3"]}` {
		t.Errorf("metadata %s", got)
	}
	if _, got := ask(t, handler, http.MethodGet, "/v2/health/ready", ""); got != u.answer || u.asked[len(u.asked)-1] != "GET /v2/health/ready" {
		t.Errorf("health %s, asked %q", got, u.asked)
	}
	for _, path := range []string{"/v2/models/flightsx/infer", "/v2/models/flights/versions/4/infer", "/v2/models/res%20net/infer"} {
		if status, got := ask(t, handler, http.MethodPost, path, ""); status != http.StatusNotFound || !strings.Contains(got, "error") {
			t.Errorf("%s: got %d %s", path, status, got)
		}
	}
}

// TestACrashIsNoUnreadiness breaks the connection of a request that the upstream
// has read: were it answered 503, no version would ever be blamed for a crash.
func TestACrashIsNoUnreadiness(t *testing.T) {
	for _, protocol := range []models.ServerProtocol{models.ProtocolMLflow, models.ProtocolV2} {
		crashing := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}))
		defer crashing.Close()
		at, err := url.Parse(crashing.URL)
		if err != nil {
			t.Fatal(err)
		}
		handler, err := Handler(Config{Upstream: at, Protocol: protocol, Name: "flights", Version: "3"})
		if err != nil {
			t.Fatal(err)
		}
		if status, body := ask(t, handler, http.MethodPost, infer, twoRows); status != http.StatusBadGateway {
			t.Errorf("%s crashed: %d %s", protocol, status, body)
		}
		crashing.Close()
		if status, body := ask(t, handler, http.MethodPost, infer, twoRows); status != http.StatusServiceUnavailable {
			t.Errorf("%s away: %d %s", protocol, status, body)
		}
	}
}

// TestAClosedIdleConnectionIsNoFailure closes the connection under the second
// request, as a server does whose patience with an idle one ends just then.
func TestAClosedIdleConnectionIsNoFailure(t *testing.T) {
	asked := map[string]int{}
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		asked[r.RemoteAddr]++
		second := asked[r.RemoteAddr] == 2
		mu.Unlock()
		if second {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"predictions":[1,2]}`)
	}))
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := Handler(Config{Upstream: at, Protocol: models.ProtocolMLflow, Name: "flights", Version: "3"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if status, body := ask(t, handler, http.MethodPost, infer, twoRows); status != http.StatusOK {
			t.Errorf("request %d: %d %s", i, status, body)
		}
	}
	if len(asked) < 2 {
		t.Error("no connection was closed")
	}
}
