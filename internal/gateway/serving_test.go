package gateway

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// realServer serves a test model with ONNX Runtime.
func realServer(t testing.TB, version string) *httptest.Server {
	t.Helper()
	if os.Getenv(serving.LibraryVariable) == "" {
		t.Skipf("SKIPPED: %s is not set; `make test` sets it", serving.LibraryVariable)
	}
	runtime, err := serving.OpenRuntime(serving.RuntimeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	model, err := runtime.Load(filepath.Join("..", "serving", "testdata", "flights"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := serving.NewServer(serving.Config{Name: "flights", Version: version, Inputs: model.Inputs, Outputs: model.Outputs}, model)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server)
	t.Cleanup(func() {
		listening.Close()
		if err := model.Close(); err != nil {
			t.Error(err)
		}
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
	})
	return listening
}

const flightBody = `{"inputs":[{"name":"carrier","datatype":"BYTES","shape":[1,1],"data":["%s"]},{"name":"distance","datatype":"INT64","shape":[1,1],"data":[700]}]}`

// TestRealServerBehindTheGateway splits traffic between a fake champion and a
// canary that really predicts, and finds the predictions in the log.
func TestRealServerBehindTheGateway(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", realServer(t, "v2"))
	s.route(7, 0.5)
	for i := range 100 {
		r := s.post("/v2/models/flights/infer", fmt.Sprintf(flightBody, "UA"), map[string]string{
			HeaderRequestID: fmt.Sprint("r", i), HeaderEventTime: day(1, 1).Format(time.RFC3339),
		})
		if r.status != 200 {
			t.Fatalf("%+v", r)
		}
	}
	s.flush()
	predicted := 0
	for _, row := range rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights")) {
		if row.Version != "v2" {
			continue
		}
		predicted++
		if !strings.HasPrefix(row.Outputs, `{"label":[1],"probability":[0.668`) || row.Inputs != `{"carrier":["UA"],"distance":[700]}` {
			t.Fatalf("row %+v", row)
		}
	}
	if predicted < 20 || predicted > 80 {
		t.Errorf("%d of 100 predictions by the canary", predicted)
	}
	if r := s.post("/v2/models/flights/infer", strings.Replace(fmt.Sprintf(flightBody, "UA"), "700", "7.5", 1), map[string]string{HeaderStickyKey: canaryKey(t, s)}); r.status != 400 || !strings.Contains(r.body, `input \"distance\"`) {
		t.Errorf("%+v", r)
	}
}

// canaryKey finds a sticky key that draws the canary.
func canaryKey(t *testing.T, s *stage) string {
	t.Helper()
	current := (*s.gateway.known.Load())["flights"].route.Load()
	for i := range 100 {
		if key := fmt.Sprint("user", i); current.draw(place(key)).Version == "v2" {
			return key
		}
	}
	t.Fatal("no key draws the canary")
	return ""
}

// BenchmarkGateway sends single rows through the gateway to a server with ONNX
// Runtime; client, gateway and server share the cores.
func BenchmarkGateway(b *testing.B) {
	s := newStage(b, Config{})
	s.replicas("v1", realServer(b, "v1"))
	s.route(1, 0)
	flushing, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.gateway.runFlusher(flushing)
	}()
	body := fmt.Sprintf(flightBody, "UA")
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := s.tryPost("/v2/models/flights/infer", body, nil); err != nil || r.status != 200 {
				b.Errorf("%v %+v", err, r)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	stop()
	<-done
}
