package metric

import (
	"math"
	"testing"
)

// TestExpand against tables: t(0.9; 4) = 1.5332 times √(5/4) is the normal
// quantile of 0.0433.
func TestExpand(t *testing.T) {
	near(t, "5 blocks", expand(0.1, 5), 0.0433, 1e-4)
	near(t, "14 blocks", expand(0.1, 14), 0.0805, 1e-4)
	near(t, "many", expand(0.1, 1_000_000), 0.1, 1e-5)
	near(t, "one", expand(0.1, 1), 0.1, 0)
	near(t, "no level", expand(0.7, 10), 0.7, 0)
}

// TestPercentiles: of a normal distribution, inside and where values run out.
func TestPercentiles(t *testing.T) {
	normal := make([]float64, 1000)
	for i := range normal {
		normal[i] = -math.Sqrt2 * math.Erfcinv(2*(float64(i)+0.5)/1000)
	}
	for level, want := range map[float64]float64{0.1: 1.2816, 0.005: 2.5758, 0.001: 3.0902, 0.0001: 3.7190, 1e-9: 4.7534} {
		low, high := percentiles(normal, level)
		near(t, "low", low, -want, 0.02)
		near(t, "high", high, want, 0.02)
	}
	for _, few := range [][]float64{{1}, {1, 1, 1}, {1, 2}} {
		if low, high := percentiles(few, 0.01); !(low <= high) || !finite(low) || !finite(high) {
			t.Errorf("%v: from %v to %v", few, low, high)
		}
	}
}

func TestDrawBlocks(t *testing.T) {
	draws := drawBlocks(8, 2000, 3)
	if draws.count() != 2001 {
		t.Fatalf("%d resamples", draws.count())
	}
	totals := make([]float64, 8)
	for i := range draws.count() {
		sum := float32(0)
		for b, w := range draws.of(i) {
			sum += w
			totals[b] += float64(w) / 2001
			if i == 0 && w != 1 {
				t.Errorf("block %d of the sample itself counts %v times", b, w)
			}
		}
		if sum != 8 {
			t.Errorf("resample %d has %v blocks", i, sum)
		}
	}
	for _, mean := range totals {
		near(t, "mean weight", mean, 1, 0.1)
	}
}
