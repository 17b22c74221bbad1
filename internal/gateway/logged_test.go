package gateway

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

func (s *stage) logs(generation int64, log models.LogSpec) {
	s.t.Helper()
	s.store.putJSON(s.t, models.RouteKey("flights"), models.Route{
		Endpoint: "flights", Model: "m", Generation: generation, Traffic: models.TrafficSpec{Log: log},
		Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1}},
	})
	s.look()
}

func TestSampleIsByRequestAndCounted(t *testing.T) {
	const n = 2000
	s := newStage(t, Config{})
	s.replicas("v1", modelServer(t, "v1"))
	s.logs(1, models.LogSpec{Sample: 25})
	for i := range n {
		s.infer(fmt.Sprint("r", i), day(1, 1))
	}
	s.flush()
	rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights"))
	if limit := 5 * math.Sqrt(0.25*0.75*n); math.Abs(float64(len(rows))-n/4) > limit {
		t.Errorf("%d of %d rows at 25 %%", len(rows), n)
	}
	log := (*s.gateway.known.Load())["flights"].log
	if got := int(log.unsampled.Load()) + len(rows); got != n {
		t.Errorf("%d rows and %d left out of %d", len(rows), log.unsampled.Load(), n)
	}
	for _, row := range rows {
		if row.LogShare != 0.25 || !log.wants(row.ID, models.LogSpec{Sample: 25}) || !log.wants(row.ID, models.LogSpec{Sample: 60}) {
			t.Fatalf("row %+v", row)
		}
	}
	if s.watermark().IsZero() {
		t.Error("what is left out holds the watermark back")
	}
}

// TestSampleIsIndependentOfTheDraw compares the arms' shares in the sample with
// those in the traffic.
func TestSampleIsIndependentOfTheDraw(t *testing.T) {
	log, canary, sampled := newInferenceLog(1), 0, 0
	const n = 200_000
	for i := range n {
		id := fmt.Sprint("r", i)
		if log.wants(id, models.LogSpec{Sample: 10}) {
			sampled++
			if placeRequest(id, 7) < 0.1 {
				canary++
			}
		}
	}
	if limit := 5 * math.Sqrt(0.1*0.9*float64(sampled)); math.Abs(float64(canary)-0.1*float64(sampled)) > limit {
		t.Errorf("%d of %d sampled requests drew an arm of 10 %%", canary, sampled)
	}
}

func TestSensitiveValuesAreNeverWritten(t *testing.T) {
	s := newStage(t, Config{SpoolDir: t.TempDir()})
	s.replicas("v1", modelServer(t, "v1"))
	s.logs(1, models.LogSpec{Sensitive: []string{"carrier", "probability"}})
	s.infer("a", day(1, 1))
	s.flush()
	rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights"))
	if len(rows) != 1 || rows[0].Inputs != `{"distance":[700],"carrier":null}` || rows[0].Outputs != `{"probability":null}` {
		t.Fatalf("rows %+v", rows)
	}
	for key, data := range s.store.objects {
		if strings.Contains(string(data), "UA") {
			t.Errorf("%s has the carrier", key)
		}
	}
	tensors := []oip.RawTensor{{Name: `q"`, Datatype: "INT64", Shape: []int64{1}, Data: []byte("[1]")}}
	kept, masked, _ := maskTensors(tensors, []string{`q"`})
	if got := tensorsJSON(kept, masked, 400); got != `{"q\"":null}` {
		t.Error(got)
	}
}

// TestLargeValuesAreLeftOut: a picture must not keep its request waiting while it
// becomes text for the log.
func TestLargeValuesAreLeftOut(t *testing.T) {
	s := readyStage(t, Config{})
	ask := func(id, more string, data []byte) {
		t.Helper()
		text := `{"inputs":[{"name":"n","datatype":"INT64","shape":[1],"data":[7]},` + more + `]}`
		header := map[string]string{HeaderRequestID: id, HeaderEventTime: "2013-01-01T01:00:00Z"}
		if data != nil {
			header[oip.HeaderLength] = strconv.Itoa(len(text))
		}
		if r := s.post("/v2/models/flights/infer", text+string(data), header); r.status != 200 {
			t.Fatalf("%+v", r)
		}
	}
	pixels := func(n int) string {
		return fmt.Sprintf(`{"name":"x","datatype":"UINT8","shape":[%d],"parameters":{"binary_data_size":%d}}`, n, n)
	}
	ask("a", pixels(3), []byte{1, 2, 3})
	ask("b", pixels(1<<17), make([]byte, 1<<17))
	ask("c", `{"name":"x","datatype":"UINT8","shape":[1000000],"data":[0`+strings.Repeat(",0", 999_999)+`]}`, nil)
	s.flush()
	rows := rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights"))
	slices.SortFunc(rows, func(a, b models.InferenceRow) int { return strings.Compare(a.ID, b.ID) })
	for i, want := range []string{`{"n":[7],"x":[1,2,3]}`, `{"n":[7],"x":null}`, `{"n":[7],"x":null}`} {
		if rows[i].Inputs != want || rows[i].Outputs != `{"probability":[0.25]}` {
			t.Errorf("row %.300v", rows[i])
		}
	}
	if got := s.gateway.Status().Endpoints[0].Large; got != 2 {
		t.Errorf("%d large tensors", got)
	}
}
