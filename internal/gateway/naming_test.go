package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// TestANameThatNoHeaderCanCarryIsTheCallersFault: the ID in a body is sent on in
// a header. One that does not fit there must not look like a lost server.
func TestANameThatNoHeaderCanCarryIsTheCallersFault(t *testing.T) {
	for name, id := range map[string]string{
		"line break": `a\nMainspring-Event-Time: 2013`, "control character": `\u0001`, "delete": `\u007f`, "long": strings.Repeat("x", maxRequestID+1),
	} {
		t.Run(name, func(t *testing.T) {
			s := readyStage(t, Config{})
			body := `{"id":"` + id + `",` + inferBody[1:]
			if r := s.post("/v2/models/flights/infer", body, nil); r.status != http.StatusBadRequest || !strings.Contains(r.body, "request ID") {
				t.Errorf("%d %.200s", r.status, r.body)
			}
			s.wantArm("v1@7", 0, 0)
			if r := s.post("/v2/models/flights/infer", inferBody, nil); r.status != http.StatusOK {
				t.Errorf("the next request got %d %s", r.status, r.body)
			}
		})
	}
	s := readyStage(t, Config{})
	if r := s.post("/v2/models/flights/infer", `{"id":"Flüge",`+inferBody[1:], nil); r.status != http.StatusOK || r.header.Get(HeaderRequestID) != "Flüge" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestNoEventIsInTheFarFuture: the watermark would never come back from there.
func TestNoEventIsInTheFarFuture(t *testing.T) {
	s := readyStage(t, Config{})
	if r := s.infer("wrong", time.Now().Add(2*maxAhead)); r.status != http.StatusBadRequest || !strings.Contains(r.body, "in the future") {
		t.Errorf("%d %s", r.status, r.body)
	}
	ahead := time.Now().Add(maxAhead / 2).Truncate(time.Microsecond)
	if r := s.infer("clock", ahead); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
	s.flush()
	if got := s.watermark(); !got.Equal(ahead) {
		t.Errorf("watermark %v", got)
	}
}

// TestNoEventIsBeforeAllTime: a monitor would begin there, or find no day in the
// name of its folder.
func TestNoEventIsBeforeAllTime(t *testing.T) {
	s := readyStage(t, Config{})
	for _, at := range []string{"0001-01-01T00:00:00Z", "0000-01-01T00:00:00+14:00"} {
		r := s.post("/v2/models/flights/infer", inferBody, map[string]string{HeaderEventTime: at})
		if r.status != http.StatusBadRequest || !strings.Contains(r.body, "no event's time") {
			t.Errorf("%s: %d %s", at, r.status, r.body)
		}
	}
	s.flush()
	if logged, err := s.store.List(t.Context(), models.InferenceRoot("flights")); err != nil || len(logged) > 0 {
		t.Errorf("logged %v, %v", logged, err)
	}
}
