package canary

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

// TestMixtureAgainstClosedForm: the reference's formula, where the incomplete
// beta function can compute it.
func TestMixtureAgainstClosedForm(t *testing.T) {
	closed := func(tr trials, theta, tail float64) float64 {
		return mathext.Lbeta(1+tr.k, 1+tr.n-tr.k) + math.Log(tail) - tr.k*math.Log(theta) - (tr.n-tr.k)*math.Log1p(-theta)
	}
	for _, theta := range []float64{0.001, 0.02, 0.1, 1.0 / 7, 0.5, 0.9} {
		for _, n := range []float64{1, 2, 5, 30, 300, 3000} {
			for _, part := range []float64{0, 0.005, 0.02, 0.1, 0.3, 0.6, 1} {
				tr := trials{k: math.Round(part * n), n: n}
				under := mathext.RegIncBeta(1+tr.k, 1+tr.n-tr.k, theta)
				over := mathext.RegIncBeta(1+tr.n-tr.k, 1+tr.k, 1-theta)
				name := fmt.Sprintf("%v of %v at %v", tr.k, tr.n, theta)
				if over > 1e-290 && over < 1-1e-9 {
					near(t, "above "+name, above(tr, theta), closed(tr, theta, over)-math.Log1p(-theta), 1e-9)
				}
				if under > 1e-290 && under < 1-1e-9 {
					near(t, "below "+name, below(tr, theta), closed(tr, theta, under)-math.Log(theta), 1e-9)
				}
			}
		}
	}
}

// TestMixtureAgainstRectangles: a million rectangles, for what the closed form
// can't reach.
func TestMixtureAgainstRectangles(t *testing.T) {
	dumb := func(tr trials, theta, lo, hi float64) float64 {
		const n = 1_000_000
		logs, top := make([]float64, n), math.Inf(-1)
		for i := range logs {
			p := lo + (hi-lo)*(float64(i)+0.5)/n
			logs[i] = tr.k*math.Log(p/theta) + (tr.n-tr.k)*math.Log((1-p)/(1-theta))
			top = max(top, logs[i])
		}
		sum := 0.0
		for _, l := range logs {
			sum += math.Exp(l - top)
		}
		return top + math.Log(sum/n)
	}
	for _, c := range []struct {
		t     trials
		theta float64
	}{
		{trials{0, 50_000}, 0.1}, {trials{3, 20_000}, 0.02}, {trials{900, 1_000}, 0.02}, {trials{2_100, 100_000}, 0.02}, {trials{1_000, 1_000}, 0.1},
	} {
		name := fmt.Sprintf("%v of %v at %v", c.t.k, c.t.n, c.theta)
		near(t, "above "+name, above(c.t, c.theta), dumb(c.t, c.theta, c.theta, 1), 1e-4)
		near(t, "below "+name, below(c.t, c.theta), dumb(c.t, c.theta, 0, c.theta), 1e-4)
	}
}

// TestMixtureByHand: values one can derive with a pencil.
func TestMixtureByHand(t *testing.T) {
	near(t, "no data", above(trials{0, 0}, 0.02), 0, 0)
	near(t, "no usable limit", below(trials{1, 2}, 1), 0, 0)
	// one success: ∫_θ^1 p/θ dp/(1-θ) = (1+θ)/(2θ)
	near(t, "1 of 1 above 0.1", above(trials{1, 1}, 0.1), math.Log(1.1/0.2), 1e-12)
	// one success: ∫_0^θ p/θ dp/θ = 1/2
	near(t, "1 of 1 below 0.1", below(trials{1, 1}, 0.1), math.Log(0.5), 1e-12)
	// no success in n: (1-(1-θ)^(n+1)) / ((n+1) θ (1-θ)^n)
	for _, n := range []float64{1, 100, 264, 10_000} {
		want := math.Log(-math.Expm1((n+1)*math.Log1p(-0.02))) - math.Log(n+1) - math.Log(0.02) - n*math.Log1p(-0.02)
		near(t, fmt.Sprintf("0 of %v below 0.02", n), below(trials{0, n}, 0.02), want, 1e-11)
	}
	// no success in n: ((1-θ)^(n+1) / (n+1)) / ((1-θ)^(n+1)) = 1/(n+1)
	for _, n := range []float64{1, 1_000, 1e9} {
		near(t, fmt.Sprintf("0 of %v above 0.1", n), above(trials{0, n}, 0.1), -math.Log(n+1), 1e-8)
	}
	// a billion requests at exactly the limit: half a Gaussian of deviation √(θ(1-θ)/n)
	half := math.Log(math.Sqrt(math.Pi/2) * math.Sqrt(0.02*0.98/1e9))
	near(t, "2e7 of 1e9 below 0.02", below(trials{2e7, 1e9}, 0.02), half-math.Log(0.02), 1e-4)
}

// FuzzMixture: always finite, and monotone in the successes.
func FuzzMixture(f *testing.F) {
	f.Add(uint32(3), uint32(100), 0.02)
	f.Add(uint32(0), uint32(4_000_000_000), 0.5)
	f.Fuzz(func(t *testing.T, k, n uint32, theta float64) {
		if !(theta > 1e-9 && theta < 1-1e-9) || k >= n {
			t.Skip()
		}
		few, more := trials{float64(k), float64(n)}, trials{float64(k) + 1, float64(n)}
		for _, e := range []float64{above(few, theta), above(more, theta), below(few, theta), below(more, theta)} {
			if math.IsNaN(e) || math.IsInf(e, 0) {
				t.Fatalf("%v at %v: %v", few, theta, e)
			}
		}
		slack := 1e-12 * float64(n)
		if above(more, theta) < above(few, theta)-slack || below(more, theta) > below(few, theta)+slack {
			t.Fatalf("%v at %v: above %v then %v, below %v then %v", few, theta,
				above(few, theta), above(more, theta), below(few, theta), below(more, theta))
		}
	})
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*max(1, math.Abs(want))) {
		t.Errorf("%s: %.15g, want %.15g", what, got, want)
	}
}

func BenchmarkMixture(b *testing.B) {
	for b.Loop() {
		below(trials{12, 4_000}, 0.02)
	}
}
