package canary

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func latencies(r *rand.Rand, n int, slower float64, into []int64) []int64 {
	bounds := models.LatencyBounds()
	if into == nil {
		into = make([]int64, len(bounds)+1)
	}
	for range n {
		at, _ := slices.BinarySearch(bounds, time.Duration(slower*20e6*math.Exp(0.8*r.NormFloat64())))
		into[at]++
	}
	return into
}

func TestBetween(t *testing.T) {
	bounds := models.LatencyBounds()
	histogram := make([]int64, len(bounds)+1)
	histogram[10] = 100_000
	lower, upper := between(histogram, 0.5, 0.01)
	if lower != bounds[9] || upper != bounds[10] {
		t.Errorf("all in one bucket (%v, %v]: %v to %v", bounds[9], bounds[10], lower, upper)
	}
	for _, few := range [][]int64{nil, {1, 2}, make([]int64, len(bounds)+1)} {
		if lower, upper := between(few, 0.99, 0.01); lower != 0 || upper != math.MaxInt64 {
			t.Errorf("%v: %v to %v", few, lower, upper)
		}
	}
	histogram[10], histogram[len(bounds)] = 0, 100_000
	if lower, upper := between(histogram, 0.5, 0.01); lower != bounds[len(bounds)-1] || upper != math.MaxInt64 {
		t.Errorf("all above the last bound: %v to %v", lower, upper)
	}
}

// TestSlower: at every look of many runs the quantile of a canary that is as
// fast is proven higher at most as often as its share of Alpha allows, and a
// slow one is found. Where blocks are weighed the quantile has no say.
func TestSlower(t *testing.T) {
	spec := models.CanarySpec{
		Steps: []float64{50}, FalseAlarm: 0.5, Evidence: models.EvidenceRequests,
		Latency: &models.LatencySpec{SLO: models.Duration(time.Hour), Quantile: 0.9},
	}
	run := func(c Config, seed uint64, slower float64) bool {
		r := rand.New(rand.NewPCG(seed, 3))
		s := c.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.5})
		var champion, canary []int64
		for range 20 {
			champion, canary = latencies(r, 200, 1, champion), latencies(r, 200, slower, canary)
			s = c.Observe(s, Evidence{Champion: models.ArmCounts{Requests: 1, Latency: champion}, Canary: models.ArmCounts{Requests: 1, Latency: canary}})
		}
		return c.Judge(s).Verdict == models.VerdictFail
	}
	false0 := 0
	for seed := range uint64(60) {
		if run(FromSpec(spec), seed, 1) {
			false0++
		}
	}
	withinBudget(t, "quantile of an equal canary", float64(false0)/60, 0.5/2*quantilePart, 60)
	if !run(FromSpec(spec), 1, 2) {
		t.Error("twice as slow, and not found")
	}
	spec.Evidence = models.EvidenceBlocks
	if run(FromSpec(spec), 1, 2) {
		t.Error("the quantile decides where blocks are weighed")
	}
}
