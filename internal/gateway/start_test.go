package gateway

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// heldStore answers no list before it is let go.
type heldStore struct {
	*memoryStore
	letGo chan struct{}
}

func (s heldStore) List(ctx context.Context, prefix string) ([]Object, error) {
	select {
	case <-s.letGo:
		return s.memoryStore.List(ctx, prefix)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestCallersOfAStartingGatewayWait: a request that comes before the routes are
// read is answered once they are, instead of being sent away.
func TestCallersOfAStartingGatewayWait(t *testing.T) {
	store := heldStore{newMemoryStore(), make(chan struct{})}
	server := modelServer(t, "v1")
	store.putJSON(t, models.ReplicasKey("flights", "v1"), models.Replicas{URLs: []string{server.URL}})
	store.putJSON(t, models.RouteKey("flights"), models.Route{Endpoint: "flights", Generation: 1, Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1}}})
	g, err := New(Config{Name: "gw", Poll: time.Hour, Flush: time.Hour}, store)
	if err != nil {
		t.Fatal(err)
	}
	listeners := Listeners{Data: listen(t), Admin: listen(t)}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx, listeners) }()
	answered := make(chan reply, 1)
	s := &stage{t: t, store: store.memoryStore, gateway: g, url: "http://" + listeners.Data.Addr().String(), client: http.DefaultClient}
	go func() {
		r, err := s.tryPost("/v2/models/flights/infer", inferBody, nil)
		if err != nil {
			r.body = err.Error()
		}
		answered <- r
	}()
	select {
	case r := <-answered:
		t.Errorf("answered before the routes were read: %+v", r)
	case <-time.After(50 * time.Millisecond):
	}
	close(store.letGo)
	if r := <-answered; r.status != http.StatusOK {
		t.Errorf("got %+v", r)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
