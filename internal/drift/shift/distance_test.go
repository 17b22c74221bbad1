package shift

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestDistances against numpy and scipy 1.17: scipy.stats.chi2.sf,
// scipy.spatial.distance.jensenshannon(base=2), scipy.stats.chi2_contingency.
func TestDistances(t *testing.T) {
	for _, test := range []struct {
		before, now         []float64
		psi, psiP, js, chiP float64
	}{
		{[]float64{50, 30, 15, 5, 0}, []float64{20, 30, 25, 15, 10}, 0.6305461607863642, 3.6195993143869214e-07, 0.35481430068526393, 4.139714171282063e-06},
		{[]float64{500, 300, 150, 50}, []float64{18, 30, 25, 7}, 0.3341804790014339, 4.090287272799978e-06, 0.25761751865576726, 5.6417098392826485e-06},
	} {
		got := PSI(test.before, test.now)
		near(t, "PSI", got.PSI, test.psi, 1e-12)
		near(t, "its p-value", got.P/test.psiP, 1, 1e-9)
		near(t, "JS distance", JensenShannon(test.before, test.now), test.js, 1e-12)
		near(t, "chi-squared p-value", ChiSquared(test.before, test.now)/test.chiP, 1, 1e-9)
	}
}

func TestDistancesOfNothing(t *testing.T) {
	for _, now := range [][]float64{{10, 20, 30}, {0, 0, 0}} {
		before := []float64{10, 20, 30}
		if s := PSI(before, now); s.P < 0.99 || s.PSI > 1e-9 {
			t.Errorf("%v: PSI %+v", now, s)
		}
		if js, p := JensenShannon(before, now), ChiSquared(before, now); js != 0 || p != 1 {
			t.Errorf("%v: JS %v, chi-squared p %v", now, js, p)
		}
	}
	near(t, "JS of histograms apart", JensenShannon([]float64{7, 0}, []float64{0, 3}), 1, 1e-15)
	near(t, "bins empty in both count for nothing", PSI([]float64{5, 0, 0, 7}, []float64{9, 0, 0, 2}).P, PSI([]float64{5, 7}, []float64{9, 2}).P, 1e-15)
}

// TestWasserstein: values on a grid against scipy.stats.wasserstein_distance
// (0.9), and closed forms of the normal distribution: a shift by δ is δ, a scale
// of 2 is E|Z| = √(2/π).
func TestWasserstein(t *testing.T) {
	edges := []float64{-0.5, 0.5, 1.5, 2.5, 3.5, 4.5}
	near(t, "a grid", Wasserstein(edges, []float64{0, 50, 30, 15, 5, 0, 0}, []float64{0, 20, 30, 25, 15, 10, 0}), 0.9, 1e-12)
	var fine []float64
	for x := -12.0; x <= 12; x += 0.05 {
		fine = append(fine, x)
	}
	normal := func(mean, sigma float64) []float64 {
		counts, below := []float64{}, 0.0
		for _, x := range fine {
			at := math.Erfc(-(x-mean)/sigma/math.Sqrt2) / 2
			counts, below = append(counts, at-below), at
		}
		return append(counts, 1-below)
	}
	near(t, "a shift", Wasserstein(fine, normal(0, 1), normal(0.5, 1)), 0.5, 1e-6)
	near(t, "a scale", Wasserstein(fine, normal(0, 1), normal(0, 2)), math.Sqrt(2/math.Pi), 1e-3)
	near(t, "crossing", between(1, -1), 0.5, 1e-15)
}

// TestWassersteinFromBins: the bins of a feature lose little of the distance
// between two samples, which is the mean difference of their sorted values.
func TestWassersteinFromBins(t *testing.T) {
	const n = 20_000
	for _, by := range []float64{0.1, 0.5, 2, 5} {
		for name, draw := range map[string]func(r *rand.Rand) (before, now float64){
			"normal":      func(r *rand.Rand) (float64, float64) { return r.NormFloat64(), r.NormFloat64() + by },
			"exponential": func(r *rand.Rand) (float64, float64) { return r.ExpFloat64(), r.ExpFloat64() * (1 + by) },
		} {
			r := rand.New(rand.NewPCG(1, 2))
			before, now := make([]float64, n), make([]float64, n)
			for i := range before {
				before[i], now[i] = draw(r)
			}
			f := cutFeature(&dataset.Series{Name: "x", Type: dataset.TypeFloat64, Floats: before}, 16)
			count := func(values []float64) []float64 {
				counts := make([]float64, f.Missing())
				for _, v := range values {
					counts[bin(f.Edges, v)]++
				}
				return counts
			}
			got := Wasserstein(f.Edges, count(before), count(now))
			slices.Sort(before)
			slices.Sort(now)
			exact := 0.0
			for i := range before {
				exact += math.Abs(before[i]-now[i]) / n
			}
			near(t, name, got/exact, 1, 0.06)
		}
	}
}
