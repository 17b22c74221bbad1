package gateway

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

var testLimits = models.BreakerSpec{MaxPending: 4, Failures: 3, OpenFor: models.Duration(10 * time.Second)}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	var b breaker
	start := time.Unix(1000, 0)
	ask := func(after time.Duration, want admission, how conduct) {
		t.Helper()
		now := start.Add(after)
		if got := b.enter(now, testLimits); got != want {
			t.Fatalf("after %v: admission %d, want %d", after, got, want)
		}
		b.leave(now, testLimits, want, how)
	}
	ask(0, passed, faulty)
	ask(0, passed, faulty)
	ask(0, passed, proper) // the failures are not in a row
	ask(0, passed, faulty)
	ask(0, passed, silent) // no answer interrupts nothing
	ask(0, passed, faulty)
	ask(0, passed, faulty) // opens
	ask(time.Second, refused, silent)
	ask(9999*time.Millisecond, refused, silent)
	ask(10*time.Second, probe, faulty) // opens again
	ask(19*time.Second, refused, silent)
	if got := b.retryAfter(start.Add(18500 * time.Millisecond)); got != 2 {
		t.Errorf("retry after %d s, want 2", got)
	}
	ask(20*time.Second, probe, silent) // says nothing: the next one probes
	ask(20*time.Second, probe, proper) // closes
	ask(20*time.Second, passed, faulty)
	ask(20*time.Second, passed, faulty)
	ask(20*time.Second, passed, proper)
	if got := b.pending.Load(); got != 0 {
		t.Errorf("%d requests are inside after all have left", got)
	}
}

func TestBreakerHalfOpenAdmitsOneOfMany(t *testing.T) {
	var b breaker
	limits := models.BreakerSpec{MaxPending: 1000, Failures: 1, OpenFor: models.Duration(time.Second)}
	start := time.Unix(1000, 0)
	b.leave(start, limits, b.enter(start, limits), faulty)
	var probes atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if b.enter(start.Add(time.Second), limits) == probe {
				probes.Add(1)
			}
		})
	}
	wg.Wait()
	if probes.Load() != 1 {
		t.Errorf("%d requests probe at once", probes.Load())
	}
}

// TestBreakerAgainstAPlainOne drives the breaker and a simple model of it by
// the same random requests, some of which overlap.
func TestBreakerAgainstAPlainOne(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	var b breaker
	var inside []admission
	now, failures, open, probing := time.Unix(1000, 0), 0, time.Time{}, false
	for step := range 200_000 {
		now = now.Add(time.Duration(random.IntN(4000)) * time.Millisecond)
		if random.IntN(2) == 0 {
			want := refused
			switch {
			case len(inside) == testLimits.MaxPending:
			case open.IsZero():
				want = passed
			case !now.Before(open) && !probing:
				want, probing = probe, true
			}
			if got := b.enter(now, testLimits); got != want {
				t.Fatalf("step %d: admission %d, want %d", step, got, want)
			}
			if want != refused {
				inside = append(inside, want)
			}
			continue
		}
		if len(inside) == 0 {
			continue
		}
		i := random.IntN(len(inside))
		as, how := inside[i], conduct(random.IntN(3))
		inside = append(inside[:i], inside[i+1:]...)
		b.leave(now, testLimits, as, how)
		until := now.Add(time.Duration(testLimits.OpenFor))
		switch how {
		case proper:
			failures = 0
			if as == probe {
				open = time.Time{}
			}
		case faulty:
			failures++
			if as == probe || (open.IsZero() && failures >= testLimits.Failures) {
				open = until
			}
		case silent:
		}
		probing = probing && as != probe
	}
}

// failing answers 500 as long as it is told to, and counts what it is asked.
type failing struct {
	broken atomic.Bool
	asked  atomic.Int64
}

func (f *failing) as(version string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if f.broken.Load() {
			http.Error(w, `{"error":"broke"}`, 500)
			return
		}
		answerAs(w, r, version)
	}
}

// traffic publishes a route with these settings, blocks and all.
func (s *stage) traffic(generation int64, canary models.Arm, traffic models.TrafficSpec) {
	s.t.Helper()
	s.store.putJSON(s.t, models.RouteKey("flights"), models.Route{
		Endpoint: "flights", Model: "m", Generation: generation, Reason: "test", Traffic: traffic,
		SlowAbove: models.Duration(time.Hour), Block: models.Duration(time.Minute),
		Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1 - canary.Weight}, canary},
	})
	s.look()
}

func TestOpenBreakerDivertsToTheChampion(t *testing.T) {
	s := newStage(t, Config{})
	var canary failing
	canary.broken.Store(true)
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", customServer(t, canary.as("v2")))
	open := 300 * time.Millisecond
	s.traffic(7, models.Arm{Version: "v2", Role: models.RoleCanary, Weight: 1},
		models.TrafficSpec{Breaker: models.BreakerSpec{Failures: 3, OpenFor: models.Duration(open)}})
	for i := range 3 {
		if r := s.infer(strconv.Itoa(i), day(1, 1)); r.status != 500 || r.header.Get(HeaderVersion) != "v2" {
			t.Fatalf("%+v", r)
		}
	}
	opened := time.Now()
	for i := range 5 {
		r := s.infer(strconv.Itoa(10+i), day(1, 1))
		if time.Since(opened) > open {
			t.Skip("SKIPPED: the machine is too slow to ask within the breaker's time")
		}
		if r.status != 200 || r.header.Get(HeaderVersion) != "v1" {
			t.Fatalf("%+v", r)
		}
	}
	if got := canary.asked.Load(); got != 3 {
		t.Errorf("the canary was asked %d times, want 3", got)
	}
	s.wantArm("v2@7", 8, 8)
	s.wantArm("v1@7", 0, 0)
	if got := s.arms()["v2@7"]; got.Diverted != 5 || blockTotals(got).Errors != 8 {
		t.Errorf("%+v", got)
	}
	s.flush()
	for _, row := range rowsUnder[models.InferenceRow](t, s.store, models.InferenceRoot("flights")) {
		if row.Drawn != "v2" || (row.Status == 200) != (row.Version == "v1") {
			t.Errorf("row %+v", row)
		}
	}
	canary.broken.Store(false)
	time.Sleep(open)
	for i := range 2 {
		if r := s.infer(strconv.Itoa(20+i), day(1, 1)); r.status != 200 || r.header.Get(HeaderVersion) != "v2" {
			t.Errorf("after the breaker's time: %+v", r)
		}
	}
	s.wantArm("v2@7", 10, 8)
}

func TestOpenBreakerOfTheChampionFailsFast(t *testing.T) {
	s := newStage(t, Config{})
	var champion failing
	champion.broken.Store(true)
	s.replicas("v1", customServer(t, champion.as("v1")))
	s.traffic(7, models.Arm{Version: "v2", Role: models.RoleCanary},
		models.TrafficSpec{Breaker: models.BreakerSpec{Failures: 2, OpenFor: models.Duration(time.Hour)}})
	for i := range 2 {
		s.infer(strconv.Itoa(i), day(1, 1))
	}
	r := s.infer("r", day(1, 1))
	if after, err := strconv.Atoi(r.header.Get("Retry-After")); r.status != 503 || err != nil || after < 3500 || !strings.Contains(r.body, "is not asked for the moment") {
		t.Errorf("%+v", r)
	}
	if got := champion.asked.Load(); got != 2 {
		t.Errorf("asked %d times", got)
	}
	s.wantArm("v1@7", 3, 3)
	if got := s.arms()["v1@7"]; got.Diverted != 0 {
		t.Errorf("%+v", got)
	}
}

// TestBulkheadBoundsWhoWaits has a canary that hangs: two requests wait for
// it, the others get the champion's answer.
func TestBulkheadBoundsWhoWaits(t *testing.T) {
	s := newStage(t, Config{})
	entered, release := make(chan struct{}, 2), make(chan struct{})
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
		answerAs(w, r, "v2")
	}))
	s.traffic(7, models.Arm{Version: "v2", Role: models.RoleCanary, Weight: 1}, models.TrafficSpec{Breaker: models.BreakerSpec{MaxPending: 2}})
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			if r, err := s.tryPost("/v2/models/flights/infer", inferBody, map[string]string{HeaderRequestID: strconv.Itoa(i)}); err != nil || r.header.Get(HeaderVersion) != "v2" {
				t.Errorf("%v %+v", err, r)
			}
		})
		<-entered
	}
	if r := s.infer("r", day(1, 1)); r.status != 200 || r.header.Get(HeaderVersion) != "v1" {
		t.Errorf("%+v", r)
	}
	close(release)
	wg.Wait()
	if got := s.arms()["v2@7"]; got.Requests != 3 || got.Errors != 1 || got.Diverted != 1 {
		t.Errorf("%+v", got)
	}
}

// TestNamedRequestsOpenNoBreaker: whoever tries a canary out with requests that
// break it must not make errors of those that chance assigned.
func TestNamedRequestsOpenNoBreaker(t *testing.T) {
	s := newStage(t, Config{})
	var canary failing
	canary.broken.Store(true)
	s.replicas("v1", modelServer(t, "v1"))
	s.replicas("v2", customServer(t, canary.as("v2")))
	s.traffic(7, models.Arm{Version: "v2", Role: models.RoleCanary, Weight: 1},
		models.TrafficSpec{Breaker: models.BreakerSpec{Failures: 3, OpenFor: models.Duration(time.Hour)}})
	for range 10 {
		if r := s.post("/v2/models/flights/versions/v2/infer", inferBody, nil); r.status != 500 {
			t.Fatalf("%+v", r)
		}
	}
	canary.broken.Store(false)
	if r := s.infer("drawn", day(1, 1)); r.status != 200 || r.header.Get(HeaderVersion) != "v2" {
		t.Errorf("%+v", r)
	}
	s.wantArm("v2@7", 1, 0)
}
