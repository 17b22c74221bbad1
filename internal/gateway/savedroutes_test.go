package gateway

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// restarted is a new gateway process over the same store and state file.
func restarted(t *testing.T, old *stage, config Config) *stage {
	t.Helper()
	s := newStage(t, config)
	s.gateway.store, s.store = old.store, old.store
	s.follower.loadRoutes()
	return s
}

func TestRoutesOutliveTheGatewayWhileTheStoreIsOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "routes.json")
	first := newStage(t, Config{StateFile: file})
	first.replicas("v1", modelServer(t, "v1"))
	first.replicas("v2", modelServer(t, "v2"))
	first.route(7, 0)
	first.follower.saveRoutes()

	first.store.setOut(func(string, string) bool { return true })
	s := restarted(t, first, Config{StateFile: file})
	s.follower.look(context.Background())
	if r := s.infer("a", day(1, 1)); r.status != 200 || r.header.Get(HeaderVersion) != "v1" {
		t.Errorf("while the store is out: %+v", r)
	}
	if status := s.gateway.Status(); !strings.Contains(status.PollError, "routes from disk") || status.Polled.IsZero() || status.Endpoints[0].Generation != 7 {
		t.Errorf("status %+v", status)
	}

	// An older route in the store never wins; a newer one does.
	s.store.setOut(nil)
	s.route(6, 1)
	if r := s.infer("a", day(1, 1)); r.header.Get(HeaderVersion) != "v1" {
		t.Errorf("generation 6 was followed: %+v", r)
	}
	s.store.delete(models.ReplicasKey("flights", "v1"))
	s.route(8, 1)
	if r := s.infer("a", day(1, 1)); r.header.Get(HeaderVersion) != "v2" {
		t.Errorf("generation 8 was not followed: %+v", r)
	}
	if status := s.gateway.Status(); status.PollError != "" {
		t.Errorf("status %+v", status)
	}
	if e := (*s.gateway.known.Load())["flights"]; len(*e.pool("v1").replicas.Load()) != 0 {
		t.Error("a version that the store does not know any more has servers")
	}
}

func TestSavedRoutesThatMakeNoSenseAreNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "routes.json")
	if err := os.WriteFile(file, []byte(`{"routes":[{`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := restarted(t, newStage(t, Config{}), Config{StateFile: file})
	if r := s.infer("a", day(1, 1)); r.status != 503 || !strings.Contains(r.body, "has not read any routes yet") {
		t.Errorf("%+v", r)
	}
}
