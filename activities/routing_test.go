package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// routeMemory is a store in memory that counts reads and lets others in.
type routeMemory struct {
	artifact.Store
	reads  atomic.Int64
	before func() // runs ahead of the next put, once: somebody else writing first
	fail   error
}

func newRouteMemory() *routeMemory { return &routeMemory{Store: artifact.NewMemory("bucket")} }

func (m *routeMemory) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	if m.fail != nil {
		return nil, artifact.Info{}, m.fail
	}
	m.reads.Add(1)
	return m.Store.Get(ctx, key)
}

func (m *routeMemory) List(ctx context.Context, prefix string) ([]artifact.Info, error) {
	if m.fail != nil {
		return nil, m.fail
	}
	return m.Store.List(ctx, prefix)
}

func (m *routeMemory) Put(ctx context.Context, key string, r io.Reader, size int64, o artifact.PutOptions) (artifact.Info, error) {
	if m.fail != nil {
		return artifact.Info{}, m.fail
	}
	if before := m.before; before != nil {
		m.before = nil
		before()
	}
	return m.Store.Put(ctx, key, r, size, o)
}

// write puts a JSON object past the counters and failures.
func (m *routeMemory) write(t *testing.T, key string, value any) {
	t.Helper()
	data, err := json.Marshal(value)
	if err == nil {
		_, err = artifact.PutBytes(context.Background(), m.Store, key, data, artifact.PutOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (m *routeMemory) text(t *testing.T, key string) string {
	t.Helper()
	data, _, err := artifact.GetBytes(context.Background(), m.Store, key, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func testRoute(generation int64, reason string) models.Route {
	return models.Route{
		Endpoint: "flights", Model: "m", Generation: generation, Reason: reason,
		Arms: []models.Arm{{Version: "1", Role: models.RoleChampion, Weight: 1}},
	}
}

func wantRoutingKind(t *testing.T, err error, kind models.ErrorKind) {
	t.Helper()
	var rich *models.Error
	if !errors.As(err, &rich) || rich.Kind != kind {
		t.Errorf("error %v, want kind %s", err, kind)
	}
}

func TestPublishRouteNeverGoesBack(t *testing.T) {
	ctx, store := context.Background(), newRouteMemory()
	routing := &activities.Routing{Store: store}
	if got, err := routing.ReadRoute(ctx, "flights"); err != nil || !reflect.DeepEqual(got, models.Route{Endpoint: "flights"}) {
		t.Errorf("no route: %+v, %v", got, err)
	}
	for _, generation := range []int64{1, 3} {
		if err := routing.PublishRoute(ctx, testRoute(generation, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if err := routing.PublishRoute(ctx, testRoute(3, "a")); err != nil {
		t.Errorf("the same route again: %v", err)
	}
	wantRoutingKind(t, routing.PublishRoute(ctx, testRoute(3, "b")), models.KindStaleRoute)
	wantRoutingKind(t, routing.PublishRoute(ctx, testRoute(2, "a")), models.KindStaleRoute)
	if got, err := routing.ReadRoute(ctx, "flights"); err != nil || !reflect.DeepEqual(got, testRoute(3, "a")) {
		t.Errorf("route %+v, %v", got, err)
	}
}

func TestPublishRouteJudgesWhatWasWrittenMeanwhile(t *testing.T) {
	for _, test := range []struct {
		meanwhile models.Route
		stale     bool
		want      int64
	}{
		{testRoute(4, "other"), false, 5},
		{testRoute(5, "a"), false, 5}, // our own write, whose answer was lost
		{testRoute(5, "other"), true, 5},
		{testRoute(6, "other"), true, 6},
	} {
		for _, empty := range []bool{true, false} {
			ctx, store := context.Background(), newRouteMemory()
			routing := &activities.Routing{Store: store}
			if !empty {
				if err := routing.PublishRoute(ctx, testRoute(1, "first")); err != nil {
					t.Fatal(err)
				}
			}
			store.before = func() {
				store.write(t, models.RouteKey("flights"), test.meanwhile)
			}
			err := routing.PublishRoute(ctx, testRoute(5, "a"))
			if test.stale {
				wantRoutingKind(t, err, models.KindStaleRoute)
			} else if err != nil {
				t.Error(err)
			}
			if got, err := routing.ReadRoute(ctx, "flights"); err != nil || got.Generation != test.want {
				t.Errorf("generation %d, %v; want %d", got.Generation, err, test.want)
			}
		}
	}
}

func TestRoutingOutageIsRetried(t *testing.T) {
	ctx, store := context.Background(), newRouteMemory()
	store.fail = &artifact.Error{Op: "get", Message: "connection refused", Class: artifact.ErrUnavailable}
	routing := &activities.Routing{Store: store}
	wantRoutingKind(t, routing.PublishRoute(ctx, testRoute(1, "a")), models.KindUnavailable)
	wantRoutingKind(t, routing.PublishReplicas(ctx, models.Replicas{Endpoint: "flights", Version: "1"}), models.KindUnavailable)
	_, err := routing.ReadRoute(ctx, "flights")
	wantRoutingKind(t, err, models.KindUnavailable)
	_, err = routing.ReadArms(ctx, models.ReadArmsRequest{Endpoint: "flights"})
	wantRoutingKind(t, err, models.KindUnavailable)
}

func TestPublishReplicasSortsThem(t *testing.T) {
	ctx, store := context.Background(), newRouteMemory()
	routing := &activities.Routing{Store: store}
	urls := []string{"http://b", "http://a"}
	if err := routing.PublishReplicas(ctx, models.Replicas{Endpoint: "flights", Version: "2", URLs: urls}); err != nil {
		t.Fatal(err)
	}
	if got, want := store.text(t, "replicas/flights/2.json"), `{"endpoint":"flights","version":"2","urls":["http://a","http://b"]}`; got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
	if urls[0] != "http://b" {
		t.Error("the caller's list was changed")
	}
	if err := routing.PublishReplicas(ctx, models.Replicas{Endpoint: "flights", Version: "2"}); err != nil {
		t.Fatal(err)
	}
	if got, want := store.text(t, "replicas/flights/2.json"), `{"endpoint":"flights","version":"2","urls":[]}`; got != want {
		t.Errorf("wrote %s, want %s", got, want)
	}
}

func (m *routeMemory) setStats(t *testing.T, gateway string, arms ...models.ArmStats) {
	t.Helper()
	m.write(t, models.StatsPrefix("flights")+gateway+".json", models.GatewayStats{Gateway: gateway, Arms: arms})
}

func armStats(generation int64, version string, requests, failed int64, buckets map[int]int64) models.ArmStats {
	latency := make([]int64, len(models.LatencyBounds())+1)
	for i, n := range buckets {
		latency[i] = n
	}
	return models.ArmStats{Generation: generation, Version: version, Requests: requests, Errors: failed, Latency: latency}
}

func slow(stats models.ArmStats, n int64) models.ArmStats {
	stats.Slow = n
	return stats
}

func TestReadArmsAddsUpGateways(t *testing.T) {
	store := newRouteMemory()
	store.setStats(t, "a-1", armStats(7, "1", 10, 1, map[int]int64{0: 10}), armStats(7, "2", 4, 0, map[int]int64{0: 4}), armStats(6, "1", 99, 9, nil),
		slow(armStats(8, "2", 2, 1, map[int]int64{5: 2}), 1))
	store.setStats(t, "b-1", armStats(7, "1", 30, 2, map[int]int64{2: 30}), slow(armStats(8, "2", 5, 0, nil), 2))
	routing := &activities.Routing{Store: store}
	got, err := routing.ReadArms(context.Background(), models.ReadArmsRequest{Endpoint: "flights", Generations: []int64{7, 8}, Canary: "2"})
	if err != nil {
		t.Fatal(err)
	}
	bounds := models.LatencyBounds()
	millis := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	between := func(i int, share float64) float64 {
		return millis(bounds[i-1] + time.Duration(share*float64(bounds[i]-bounds[i-1])))
	}
	want := models.ArmReading{Arms: []models.ArmCounts{
		{Generation: 7, Version: "1", Requests: 40, Errors: 3, P50Millis: between(2, 10.0/30), P99Millis: between(2, 29.6/30)},
		{Generation: 7, Version: "2", Requests: 4, P50Millis: millis(bounds[0]) / 2, P99Millis: millis(99 * time.Microsecond)},
		{Generation: 8, Version: "2", Requests: 7, Errors: 1, Slow: 3, P50Millis: between(5, 0.5), P99Millis: between(5, 0.99),
			Latency: armStats(8, "2", 0, 0, map[int]int64{5: 2}).Latency}, // of the newest generation only
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReadArmsWaitsForTheCanary(t *testing.T) {
	store := newRouteMemory()
	store.setStats(t, "a-1", armStats(7, "2", 100, 0, nil), armStats(8, "2", 3, 0, nil))
	routing := &activities.Routing{Store: store, Poll: time.Millisecond}
	request := models.ReadArmsRequest{Endpoint: "flights", Generations: []int64{7, 8}, Canary: "2", Seen: 3, MinNew: 2, Wait: models.Duration(time.Hour)}
	answered := make(chan models.ArmReading, 1)
	go func() {
		reading, err := routing.ReadArms(context.Background(), request)
		if err != nil {
			t.Error(err)
		}
		answered <- reading
	}()
	store.setStats(t, "b-1", armStats(8, "2", 1, 0, nil))
	select {
	case got := <-answered:
		t.Fatalf("answered with one new request: %+v", got)
	case <-time.After(30 * time.Millisecond):
	}
	store.setStats(t, "b-1", armStats(8, "2", 2, 0, nil))
	select {
	case got := <-answered:
		if got.Arms[1].Requests != 5 {
			t.Errorf("got %+v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("never answered")
	}
}

func TestReadArmsGivesUpAfterWait(t *testing.T) {
	store := newRouteMemory()
	store.setStats(t, "a-1", armStats(8, "2", 3, 0, nil))
	routing := &activities.Routing{Store: store, Poll: time.Millisecond}
	request := models.ReadArmsRequest{Endpoint: "flights", Generations: []int64{8}, Canary: "2", MinNew: 1000, Wait: models.Duration(40 * time.Millisecond)}
	got, err := routing.ReadArms(context.Background(), request)
	if err != nil || len(got.Arms) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := store.reads.Load(); got != 1 {
		t.Errorf("the same counters were read %d times", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	request.Wait = models.Duration(time.Hour)
	if _, err := routing.ReadArms(ctx, request); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}
