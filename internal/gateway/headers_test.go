package gateway

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// mirror answers with the body it got and remembers the request's header.
func mirror(t testing.TB, seen *http.Header, answer map[string]string) *stage {
	s := newStage(t, Config{})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		*seen = r.Header.Clone()
		seen.Set("Path", r.URL.Path)
		for name, value := range answer {
			w.Header().Set(name, value)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	s.route(7, 0)
	return s
}

func TestHeadersEndToEnd(t *testing.T) {
	var seen http.Header
	s := mirror(t, &seen, map[string]string{
		"Content-Type": "application/json; charset=utf-8", "X-Model-Note": "n", "Keep-Alive": "timeout=5",
		"Connection": "X-Secret", "X-Secret": "s", HeaderRequestID: "theirs",
	})
	trace := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r := s.post("/v2/models/flights/infer", inferBody, map[string]string{
		"X-Request-Id": "r1", "Traceparent": trace, "Tracestate": "a=1", "Baggage": "k=v", "Content-Type": "application/json",
		"Connection": "close, X-Hop", "X-Hop": "h", "Te": "trailers", "Proxy-Authorization": "p", "Upgrade": "h2c", "User-Agent": "caller/1",
	})
	if r.status != 200 || r.body != inferBody {
		t.Fatalf("%+v", r)
	}
	for name, want := range map[string]string{
		HeaderRequestID: "r1", "X-Request-Id": "r1", "Traceparent": trace, "Tracestate": "a=1", "Baggage": "k=v",
		"Content-Type": "application/json", "User-Agent": "caller/1", "Path": "/v2/models/flights/infer",
		"Connection": "", "X-Hop": "", "Te": "", "Proxy-Authorization": "", "Upgrade": "",
	} {
		if got := seen.Get(name); got != want {
			t.Errorf("the server saw %s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		HeaderRequestID: "r1", "X-Request-Id": "r1", HeaderVersion: "v1", HeaderArm: "champion", "X-Model-Note": "n",
		"Content-Type": "application/json; charset=utf-8", "X-Secret": "", "Keep-Alive": "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("the caller got %s: %q, want %q", name, got, want)
		}
	}
	if r := s.post("/v2/models/flights/infer", inferBody, map[string]string{"X-Request-Id": "r1", HeaderRequestID: "r2"}); r.header.Get("X-Request-Id") != "r2" {
		t.Errorf("of two names, %q is answered", r.header.Get("X-Request-Id"))
	}
}

func TestCompressedBodiesPassUntouched(t *testing.T) {
	var seen http.Header
	s := mirror(t, &seen, map[string]string{"Content-Encoding": "gzip"})
	var compressed bytes.Buffer
	zip := gzip.NewWriter(&compressed)
	fmt.Fprint(zip, strings.Replace(inferBody, "inputs", `outputs":[],"inputs`, 1))
	zip.Close()
	r := s.post("/v2/models/flights/infer", compressed.String(), map[string]string{"Content-Encoding": "gzip", "Accept-Encoding": "gzip"})
	if r.status != 200 || r.body != compressed.String() || r.header.Get("Content-Encoding") != "gzip" || seen.Get("Content-Encoding") != "gzip" {
		t.Errorf("%+v", r)
	}
	s.flush()
	if rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights")); len(rows) != 1 || rows[0].Inputs != `{"carrier":["UA"],"distance":[700]}` {
		t.Errorf("rows %+v", rows)
	}
	if r := s.post("/v2/models/flights/infer", "no gzip", map[string]string{"Content-Encoding": "gzip"}); r.status != 400 {
		t.Errorf("%+v", r)
	}
}

// TestBinaryTensorsPassUntouched sends the bytes of a client that uses the
// binary tensor extension, as tritonclient does.
func TestBinaryTensorsPassUntouched(t *testing.T) {
	text := `{"inputs":[{"name":"gain","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},{"name":"n","datatype":"INT64","shape":[1],"data":[5]}],` +
		`"outputs":[{"name":"gain","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}`
	body := []byte(text)
	for _, value := range []float32{0.1, -2.5} {
		body = binary.LittleEndian.AppendUint32(body, math.Float32bits(value))
	}
	length := strconv.Itoa(len(text))
	var seen http.Header
	s := mirror(t, &seen, map[string]string{"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": length})
	r := s.post("/v2/models/flights/infer", string(body), map[string]string{"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": length, HeaderRequestID: "b"})
	if r.status != 200 || r.body != string(body) || r.header.Get("Inference-Header-Content-Length") != length || r.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%+v", r)
	}
	if seen.Get("Inference-Header-Content-Length") != length {
		t.Errorf("the server saw %v", seen)
	}
	s.flush()
	rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights"))
	if len(rows) != 1 || rows[0].Inputs != `{"gain":[0.1,-2.5],"n":[5]}` || rows[0].Outputs != `{"gain":[0.1,-2.5]}` {
		t.Errorf("rows %+v", rows)
	}
}

func TestANamedVersionIsAskedAndNoEvidence(t *testing.T) {
	s := newStage(t, Config{})
	var seen http.Header
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		seen.Set("Path", r.URL.Path)
		answerAs(w, r, "v2")
	}))
	s.route(7, 0.000001)
	for i := range 10 {
		r := s.post("/v2/models/flights/versions/v2/infer", inferBody, map[string]string{HeaderRequestID: strconv.Itoa(i)})
		if r.status != 200 || r.header.Get(HeaderVersion) != "v2" || seen.Get("Path") != "/v2/models/flights/infer" {
			t.Fatalf("%+v %v", r, seen)
		}
	}
	s.wantArm("v2@7", 0, 0)
	s.flush()
	for _, row := range rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights")) {
		if row.Drawn != "" || row.ArmShare != 1 || row.Version != "v2" {
			t.Fatalf("row %+v", row)
		}
	}
	response, err := http.Get(s.url + "/v2/models/flights/versions/v2/ready")
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, response)
	if response.StatusCode != 200 || seen.Get("Path") != "/v2/models/flights/ready" || response.Header.Get(HeaderVersion) != "v2" {
		t.Errorf("%d %v", response.StatusCode, seen)
	}
	response, err = http.Get(s.url + "/v2/models/flights/versions/v9")
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, response); response.StatusCode != 404 || !strings.Contains(body, `no version \"v9\"`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	// Nobody stands in for a version that was named.
	s.replicas("v2")
	s.look()
	if r := s.post("/v2/models/flights/versions/v2/infer", inferBody, nil); r.status != 503 {
		t.Errorf("%+v", r)
	}
}

// TestAnIDWithALineBreakIsRefused: it would be refused on the way to a server,
// which would look as if the server broke the connection.
func TestAnIDWithALineBreakIsRefused(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", modelServer(t, "v1"))
	s.route(7, 0)
	for _, id := range []string{`a\r\nX-Evil: 1`, `a\u0000`, `a\u007f`} {
		body := strings.Replace(inferBody, "{", `{"id":"`+id+`",`, 1)
		if r := s.post("/v2/models/flights/infer", body, nil); r.status != 400 || !strings.Contains(r.body, "control characters") {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if r := s.post("/v2/models/flights/infer", strings.Replace(inferBody, "{", `{"id":"Größe 7",`, 1), nil); r.status != 200 || r.header.Get(HeaderRequestID) != "Größe 7" {
		t.Errorf("%+v", r)
	}
	s.wantArm("v1@7", 1, 0)
	if !s.gateway.Status().Endpoints[0].Arms[1].Replicas[0].Up {
		t.Error("an ID has the server passed over")
	}
}
