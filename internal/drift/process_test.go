package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestProcess: the final e-value averages at most 1 without a change, and tells
// the direction and the moment of a change.
func TestProcess(t *testing.T) {
	const runs, level = 400, 20.0
	for _, side := range []Side{Rise, Fall, Either} {
		crossed, mean := 0, 0.0
		for run := range runs {
			r := rand.New(rand.NewPCG(uint64(run), 11))
			evidence := Process(gauss(r, 30, 0), gauss(r, 100, 0), side, uint64(run))
			mean += min(evidence.Final, 1000) / runs
			if evidence.Highest >= level {
				crossed++
			}
		}
		t.Logf("side %d: mean %.3f, ever at %v: %.4f", side, mean, level, float64(crossed)/runs)
		if mean > 1.3 || float64(crossed)/runs > 1/level {
			t.Errorf("side %d: mean %.3f, ever at %v: %d of %d", side, mean, level, crossed, runs)
		}
	}
	for _, test := range []struct {
		side Side
		by   float64
		rose bool
	}{{Rise, 1, true}, {Fall, -1, false}, {Either, 1, true}, {Either, -1, false}} {
		r := rand.New(rand.NewPCG(1, 12))
		live := append(gauss(r, 60, 0), gauss(r, 60, test.by)...)
		got := Process(gauss(r, 60, 0), live, test.side, 1)
		if got.Final < 1000 || got.Rose != test.rose || got.Since < 45 || got.Since > 75 {
			t.Errorf("side %d, change by %v: %+v", test.side, test.by, got)
		}
	}
}

// TestProcessKnowsNoFuture: what was found by a block is the same whenever the
// caller stops. A value that depends on how many blocks follow would be none that
// Lift holds for at an alarm, a moment that the loss chose.
func TestProcessKnowsNoFuture(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 14))
	reference, live := gauss(r, 30, 0), append(gauss(r, 40, 0), gauss(r, 60, 0.7)...)
	highest := 1.0
	for n := range len(live) + 1 {
		got := Process(reference, live[:n], Either, 1)
		if highest = max(highest, got.Final); got.Highest != highest {
			t.Fatalf("after %d blocks the highest was %v, of which %v had been seen before", n, got.Highest, highest)
		}
	}
	if highest < 100 {
		t.Errorf("a rise is not found: %v", highest)
	}
}

// TestLift: ∫ Lift(e)/e² de from 1 to infinity is 1, so that the lifted maximum
// has expectation at most 1; with e = 1/x it is ∫ Lift(1/x) dx over (0, 1].
func TestLift(t *testing.T) {
	sum := 0.0
	const n = 1_000_000
	for i := range n {
		x := (float64(i) + 0.5) / n
		y := x * x * x // most of it lies near 0
		sum += Lift(1/y) * 3 * x * x / n
	}
	// Substituting leaves a tail that falls like 1/log; what is missing is known.
	missing := 1 / (3 * math.Log(2*n))
	if sum > 1 || sum+missing < 0.99 {
		t.Errorf("integral %v, at most %v missing", sum, missing)
	}
	if Lift(0) != 0.5 || math.Abs(Lift(1.0001)-Lift(1.01)) > 0.01 || Lift(10) >= Lift(20) {
		t.Errorf("Lift(0, 1.0001, 1.01, 10, 20) = %v, %v, %v, %v, %v", Lift(0), Lift(1.0001), Lift(1.01), Lift(10), Lift(20))
	}
}

func TestReject(t *testing.T) {
	for _, test := range []struct {
		evalues []float64
		level   float64
		want    []bool
	}{
		{nil, 0.1, []bool{}},
		{[]float64{10}, 0.1, []bool{true}},
		{[]float64{9.9}, 0.1, []bool{false}},
		{[]float64{19, 1, 20}, 0.1, []bool{true, false, true}}, // neither alone reaches 30
		{[]float64{14, 1, 30}, 0.1, []bool{false, false, true}},
		{[]float64{10, 10, 10}, 0.1, []bool{true, true, true}},
		{[]float64{math.NaN(), 20, 25}, 0.1, []bool{false, true, true}},
		{[]float64{1, 2, 3}, 0, []bool{false, false, false}},
	} {
		if got := Reject(test.evalues, test.level); !slices.Equal(got, test.want) {
			t.Errorf("%v at %v: %v, want %v", test.evalues, test.level, got, test.want)
		}
	}
}

// TestOddsAreFair: over a uniform p they average 1, for every belief.
func TestOddsAreFair(t *testing.T) {
	for _, shift := range []int{4, 16, 32} {
		for _, diluted := range []float64{0, 0.1, 0.5, 0.97, 1} {
			mean, last := 0.0, math.Inf(1)
			const n = 200_000
			for i := range n {
				x := (float64(i) + 0.5) / n
				p := x * x * x
				o := odds(placed(p, p+1e-6*x), shift, diluted)
				mean += o * 3 * x * x / n
				if o > last+1e-5 {
					t.Fatalf("shift %d, diluted %v: odds rise to %v at p = %v", shift, diluted, o, p)
				}
				last = o
			}
			if math.Abs(mean-1) > 1e-4 {
				t.Errorf("shift %d, diluted %v: mean %v", shift, diluted, mean)
			}
		}
	}
}

// TestForget: whatever is forgotten, and with ties, p-values stay uniform and
// one does not tell the next.
func TestForget(t *testing.T) {
	for name, loss := range map[string]func(*rand.Rand) float64{
		"continuous": func(r *rand.Rand) float64 { return r.NormFloat64() },
		"few values": func(r *rand.Rand) float64 { return float64(r.IntN(7)) },
		"mixed": func(r *rand.Rand) float64 {
			return math.Round(3*r.NormFloat64()) * float64(r.IntN(2)) / 3 * r.Float64()
		},
	} {
		var ps, products []float64
		for run := range 3000 {
			r := rand.New(rand.NewPCG(uint64(run), 13))
			s := models.Stratum{}
			last := 0.0
			for i := range 40 {
				at := rank(&s, loss(r), r.Float64())
				p := at.from + r.Float64()*(at.to-at.from)
				forget(&s, 5)
				if i >= 25 {
					ps = append(ps, p)
					products = append(products, (p-0.5)*(last-0.5))
				}
				last = p
			}
			if size(s) != 40 || len(s.Losses) > 5 {
				t.Fatalf("%s: %d losses, %d kept", name, size(s), len(s.Losses))
			}
		}
		slices.Sort(ps)
		for i, p := range ps {
			allowed := 1.95 / math.Sqrt(float64(len(ps))) // Kolmogorov's 0.1 % point
			if name == "mixed" {
				allowed = 0.015
			}
			if distance := math.Abs(p - (float64(i)+0.5)/float64(len(ps))); distance > allowed {
				t.Fatalf("%s: quantile %d of %d is %v", name, i, len(ps), p)
			}
		}
		mean := 0.0
		for _, product := range products {
			mean += product / float64(len(products))
		}
		if noise := 1.0 / 12 / math.Sqrt(float64(len(products))); math.Abs(mean) > 4*noise {
			t.Errorf("%s: consecutive p-values have covariance %v, noise %v", name, mean, noise)
		}
	}
}

func gauss(r *rand.Rand, n int, mean float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = mean + r.NormFloat64()
	}
	return values
}
