package canary

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// expectation of an e-value over all counts of two arms whose requests fail
// independently with the probabilities given.
func expectation(canary, champion, nCanary, nChampion float64, e func(arms) float64) float64 {
	total := 0.0
	binomial := func(n, p, k float64) float64 {
		return math.Round(math.Exp(choose(n, k))) * math.Pow(p, k) * math.Pow(1-p, n-k)
	}
	for i := 0.0; i <= nCanary; i++ {
		for j := 0.0; j <= nChampion; j++ {
			total += binomial(nCanary, canary, i) * binomial(nChampion, champion, j) * e(arms{canary: trials{i, nCanary}, champion: trials{j, nChampion}})
		}
	}
	return total
}

// sizes of both arms, such as a tenth and nine tenths of the traffic.
var sizes = [][2]float64{{4, 4}, {3, 9}, {9, 2}, {1, 12}, {0, 5}, {6, 0}}

// TestHarmIsAnEValue: by enumeration, not by simulation. The rates of the arms
// in a block are drawn from anything, as long as either arm is as likely to have
// the higher one: then every bet is expected to keep its capital, exactly. If
// the canary's rate is lower, it loses.
func TestHarmIsAnEValue(t *testing.T) {
	for _, size := range sizes {
		for _, rates := range [][2]float64{{0.02, 0.02}, {0.001, 0.6}, {0.3, 0.45}, {0, 1}, {0.9, 0.8}} {
			for _, w := range worse {
				e := func(a arms) float64 { return w.factor(a.harmful()) }
				one := expectation(rates[0], rates[1], size[0], size[1], e)
				other := expectation(rates[1], rates[0], size[0], size[1], e)
				near(t, "expected harm", (one+other)/2, 1, 1e-9)
				if rates[0] < rates[1] && one > 1+1e-9 {
					t.Errorf("a better canary (%v against %v, %v requests): expected %v", rates[0], rates[1], size, one)
				}
			}
		}
	}
}

// TestSafeIsAnEValue: the same where the canary has 1+τ times the champion's
// rate, in whichever state each arm's host is.
func TestSafeIsAnEValue(t *testing.T) {
	limits := Limits{Tolerance: 0.5}
	for _, size := range sizes {
		for _, rates := range [][2]float64{{0.02, 0.02}, {0.001, 0.6}, {0.3, 0.45}, {0, 0.66}} {
			for _, b := range limits.better() {
				e := func(a arms) float64 { return b.factor(a.harmless(0.5)) }
				one := expectation(1.5*rates[0], rates[1], size[0], size[1], e)
				other := expectation(1.5*rates[1], rates[0], size[0], size[1], e)
				near(t, "expected safety", (one+other)/2, 1, 1e-9)
				worst := expectation(1.5*rates[1], rates[0]*0.9, size[0], size[1], e) + expectation(1.5*rates[0], rates[1]*0.9, size[0], size[1], e)
				if worst/2 > 1+1e-9 {
					t.Errorf("a canary even worse: expected %v", worst/2)
				}
			}
		}
	}
}

// TestLimitIsAnEValue: at the limit, with and without straying, and beyond.
func TestLimitIsAnEValue(t *testing.T) {
	const limit, n = 0.02, 400.0
	straying := map[string][]float64{
		"none":      {1},
		"two-fold":  {0.5, 1.5},
		"logarithm": lognormalFactors(0.5),
	}
	for name, factors := range straying {
		for _, beyond := range []float64{1, 1.3, 3} {
			for _, g := range guesses {
				total := 0.0
				for _, f := range factors {
					d := distuv.Poisson{Lambda: n * limit * f * beyond}
					for k := 0.0; k < 300; k++ {
						total += d.Prob(k) * keeps(trials{k, n}, limit, g.value) / float64(len(factors))
					}
				}
				if total > 1+1e-6 {
					t.Errorf("straying %s, %v times the limit, guess %v: expected %v", name, beyond, g.value, total)
				}
			}
		}
	}
}

// TestBreaksIsAnEValue: for every pair of rates of which the canary's is not
// the higher one, on whichever side of the limit they are.
func TestBreaksIsAnEValue(t *testing.T) {
	for _, rates := range [][2]float64{{0.02, 0.02}, {0.001, 0.02}, {0.2, 0.2}, {0.05, 0.9}, {0.01, 0.3}} {
		for _, s := range stakes {
			got := expectation(rates[0], rates[1], 20, 60, func(a arms) float64 { return a.breaks(0.02, s.value) })
			if got > 1+1e-9 {
				t.Errorf("rates %v, stake %v: expected %v", rates, s.value, got)
			}
		}
	}
}

// lognormalFactors are the quantiles of a log-normal distribution, scaled to mean 1.
func lognormalFactors(deviation float64) []float64 {
	const n = 2000
	factors, sum := make([]float64, n), 0.0
	for i := range factors {
		factors[i] = math.Exp(deviation * distuv.UnitNormal.Quantile((float64(i)+0.5)/n))
		sum += factors[i]
	}
	for i := range factors {
		factors[i] *= n / sum
	}
	return factors
}

// TestThinning holds the probabilities against another library's, and the
// shortened tails to nothing.
func TestThinning(t *testing.T) {
	for _, n := range []float64{1, 7, 300, 200_000} {
		m, sum := kept(n, 0.3), 0.0
		for i, p := range m.mass {
			near(t, "binomial", p, distuv.Binomial{N: n, P: 0.3}.Prob(m.from+float64(i)), 1e-7)
			sum += p
		}
		if sum > 1+1e-9 || sum < 1-1e-8 {
			t.Errorf("of %v: the probabilities add up to %v", n, sum)
		}
	}
	for _, all := range []trials{{1, 9}, {5, 20}, {3000, 1e6}, {1e6, 1e6}, {40, 40}} {
		for _, n := range []float64{0, 1, all.n / 3, all.n - 1} {
			m, sum := drawn(all, math.Floor(n)), 0.0
			for _, p := range m.mass {
				sum += p
			}
			if !(sum <= 1+1e-7 && sum > 1-1e-7) {
				t.Errorf("%v of %+v: the probabilities add up to %v", n, all, sum)
			}
		}
	}
}
