package gateway

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func testRoute(generation int64, canary float64) *route {
	e := newEndpoint("flights", 10)
	e.follow(models.Route{Generation: generation, Arms: []models.Arm{
		{Version: "v1", Role: models.RoleChampion, Weight: 1 - canary},
		{Version: "v2", Role: models.RoleCanary, Weight: canary},
	}})
	return e.route.Load()
}

func TestDrawFollowsTheWeights(t *testing.T) {
	const n = 100_000
	for _, canary := range []float64{0, 0.01, 0.1, 0.5, 1} {
		r, got := testRoute(7, canary), 0
		for i := range n {
			if r.draw(placeRequest(fmt.Sprintf("2013-01-01-UA-%d", i), 7)).Version == "v2" {
				got++
			}
		}
		// Five standard deviations of a binomial.
		if limit := 5 * math.Sqrt(n*canary*(1-canary)); math.Abs(float64(got)-n*canary) > limit {
			t.Errorf("canary %v: drew %d of %d, more than %.0f off", canary, got, n, limit)
		}
	}
}

func TestDrawIsStableAndFreshPerGeneration(t *testing.T) {
	changed := 0
	for i := range 1000 {
		id := fmt.Sprint("r", i)
		if placeRequest(id, 7) != placeRequest(id, 7) {
			t.Fatal("the same request was placed twice")
		}
		if (placeRequest(id, 7) < 0.5) != (placeRequest(id, 8) < 0.5) {
			changed++
		}
	}
	if changed < 400 || changed > 600 {
		t.Errorf("%d of 1000 requests changed sides between generations, want about half", changed)
	}
}

func TestStickyKeyKeepsTheCanaryWhileItsShareGrows(t *testing.T) {
	few, many := testRoute(7, 0.1), testRoute(8, 0.5)
	canaries := 0
	for i := range 1000 {
		u := place(fmt.Sprint("user", i))
		if few.draw(u).Version == "v2" {
			canaries++
			if many.draw(u).Version != "v2" {
				t.Fatalf("user%d lost the canary when its share grew", i)
			}
		}
	}
	if canaries == 0 {
		t.Error("nobody drew the canary")
	}
}

func TestDrawNeverPicksAnArmWithoutWeight(t *testing.T) {
	r := testRoute(1, 0)
	for _, u := range []float64{0, 0.5, math.Nextafter(1, 0)} {
		if got := r.draw(u); got.Version != "v1" {
			t.Errorf("draw(%v) = %s", u, got.Version)
		}
	}
	empty := &route{}
	if empty.draw(0.5) != nil {
		t.Error("a route without arms drew one")
	}
}

func TestFollowIgnoresOlderAndEqualGenerations(t *testing.T) {
	e := newEndpoint("flights", 10)
	for _, step := range []struct {
		generation int64
		taken      bool
	}{{3, true}, {2, false}, {3, false}, {4, true}} {
		if got := e.follow(models.Route{Generation: step.generation}); got != step.taken {
			t.Errorf("generation %d: taken %v, want %v", step.generation, got, step.taken)
		}
	}
	if got := e.route.Load().Generation; got != 4 {
		t.Errorf("following %d", got)
	}
}

func TestQuantile(t *testing.T) {
	bounds := models.LatencyBounds()
	buckets := func(counts map[int]int64) []int64 {
		latency := make([]int64, len(bounds)+1)
		for i, n := range counts {
			latency[i] = n
		}
		return latency
	}
	for _, test := range []struct {
		counts map[int]int64
		q      float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{map[int]int64{0: 10}, 0.5, bounds[0] / 2},
		{map[int]int64{3: 10}, 1, bounds[3]},
		{map[int]int64{3: 99, 9: 1}, 0.99, bounds[3]},
		{map[int]int64{3: 50, 9: 50}, 0.75, bounds[8] + (bounds[9]-bounds[8])/2},
		{map[int]int64{len(bounds): 4}, 0.5, bounds[len(bounds)-1]},
	} {
		if got := Quantile(buckets(test.counts), test.q); got != test.want {
			t.Errorf("%v at %v: %v, want %v", test.counts, test.q, got, test.want)
		}
	}
}

func TestCountersPutALatencyInItsBucket(t *testing.T) {
	bounds := models.LatencyBounds()
	c := newCounters(countRules{bounds: bounds})
	for _, latency := range []time.Duration{0, bounds[0], bounds[0] + 1, time.Hour} {
		c.answered(200, latency, time.Now())
	}
	got := c.read(1, "v").Latency
	if got[0] != 2 || got[1] != 1 || got[len(bounds)] != 1 {
		t.Errorf("buckets %v", got)
	}
}
