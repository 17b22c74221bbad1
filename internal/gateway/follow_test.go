package gateway

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestOneBrokenRouteHarmsNoOther: a gateway that starts while an object makes no
// sense is ready for all other endpoints, and says what is wrong.
func TestOneBrokenRouteHarmsNoOther(t *testing.T) {
	state := filepath.Join(t.TempDir(), "routes.json")
	s := newStage(t, Config{StateFile: state})
	s.replicas("v1", modelServer(t, "v1"))
	s.store.putJSON(t, models.RouteKey("flights"), models.Route{Endpoint: "flights", Generation: 7, Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1}}})
	s.store.putJSON(t, models.RouteKey("broken"), "no route")
	s.follower.look(t.Context())
	ready := func() int {
		recorder := httptest.NewRecorder()
		s.gateway.Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/v2/health/ready", nil))
		return recorder.Code
	}
	if got := ready(); got != http.StatusOK {
		t.Errorf("health %d", got)
	}
	if r := s.post("/v2/models/flights/infer", inferBody, nil); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := s.post("/v2/models/unknown/infer", inferBody, nil); r.status != http.StatusNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := s.gateway.Status().PollError; !strings.Contains(got, "routes/broken.json") {
		t.Errorf("status says %q", got)
	}
	again := newStage(t, Config{StateFile: state})
	again.follower.loadRoutes()
	if r := again.post("/v2/models/flights/infer", inferBody, nil); r.status != http.StatusOK {
		t.Errorf("from the saved routes: %d %s", r.status, r.body)
	}
}

// TestNotReadyWhileTheStoreIsOut: without one good look there is nothing to be
// ready for.
func TestNotReadyWhileTheStoreIsOut(t *testing.T) {
	s := newStage(t, Config{})
	s.store.putJSON(t, models.RouteKey("flights"), models.Route{Endpoint: "flights", Generation: 7})
	for _, operation := range []string{"list", "get"} {
		s.store.setOut(func(o, _ string) bool { return o == operation })
		s.follower.look(t.Context())
		if s.gateway.lastPoll.Load() != nil {
			t.Errorf("ready though %s fails", operation)
		}
	}
}
