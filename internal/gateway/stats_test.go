package gateway

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// TestCountersHaveTheirOwnPace wants the counters while the log is neither due
// nor possible.
func TestCountersHaveTheirOwnPace(t *testing.T) {
	s := readyStage(t, Config{Flush: time.Hour, Stats: time.Millisecond})
	s.store.setOut(func(operation, key string) bool { return operation == "put" && strings.HasPrefix(key, "inference/") })
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.gateway.runFlusher(ctx)
	}()
	s.infer("a", day(1, 1))
	var stats models.GatewayStats
	for deadline := time.Now().Add(10 * time.Second); len(stats.Arms) == 0 || stats.Arms[0].Requests != 1; time.Sleep(time.Millisecond) {
		s.store.read(t, models.StatsPrefix("flights")+"gw-b1.json", &stats)
		if time.Now().After(deadline) {
			t.Fatalf("counters %+v", stats)
		}
	}
	stop()
	<-done
	if !s.watermark().IsZero() {
		t.Error("the counters moved the watermark")
	}
}

func TestIdleCountersAreRefreshed(t *testing.T) {
	s := readyStage(t, Config{})
	s.infer("a", day(1, 1))
	s.flush()
	s.store.kinds()
	if err := s.gateway.count(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.store.kinds(); got != nil {
		t.Errorf("idle counters were written at once: %v", got)
	}
	e := (*s.gateway.known.Load())["flights"]
	e.written.at = e.written.at.Add(-refreshStats)
	if err := s.gateway.count(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.store.kinds(); !reflect.DeepEqual(got, []string{"stats"}) {
		t.Errorf("wrote %v", got)
	}
}

// TestCountersAreAsOldAsTheyAre holds the counters up while they are read. The
// moment that they are written for must be the one before: a request that is
// answered meanwhile is not in them, and its block must not look ended.
func TestCountersAreAsOldAsTheyAre(t *testing.T) {
	s := readyStage(t, Config{})
	s.infer("a", day(1, 1))
	e := (*s.gateway.known.Load())["flights"]
	e.mu.Lock()
	done := make(chan error, 1)
	go func() { done <- s.gateway.count(t.Context()) }()
	for e.written.mu.TryLock() { // until the counters are about to be read
		e.written.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	answered := time.Now()
	time.Sleep(time.Millisecond)
	e.mu.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var stats models.GatewayStats
	if !s.store.read(t, models.StatsPrefix("flights")+"gw-b1.json", &stats) || stats.Written.After(answered) {
		t.Errorf("written for %v, but %v is not in it", stats.Written, answered)
	}
}
