package canary

import "math"

// trials are k successes among n; float64, since they enter logarithms only.
type trials struct{ k, n float64 }

func (t trials) share() float64 { return t.k / max(t.n, 1) }

// above is the logarithm of the e-value against "the probability is at most
// theta": the likelihood ratio averaged over the probabilities above it,
//
//	1/(1-θ) ∫_θ^1 (p/θ)^k ((1-p)/(1-θ))^(n-k) dp
//	= B(1+k, 1+n-k) (1 - I_θ(1+k, 1+n-k)) / ((1-θ) θ^k (1-θ)^(n-k))
func above(t trials, theta float64) float64 { return mixture(t, theta, theta, 1) }

// below is the logarithm of the e-value against "the probability is at least
// theta", averaged over the probabilities below it.
func below(t trials, theta float64) float64 { return mixture(t, theta, 0, theta) }

// drop is how far, in logarithms, the integrand may fall below its peak before
// the rest is left out.
const drop = 40

// mixture integrates the likelihood ratio over [lo, hi]. It does so numerically
// in place of the closed form: the incomplete beta function underflows once
// the data are far on the other side of theta, and its continued fraction does
// not converge for millions of requests. The integrand is log-concave, so its
// mass lies around one peak.
func mixture(t trials, theta, lo, hi float64) float64 {
	if t.n == 0 || !(theta > 0 && theta < 1) {
		return 0
	}
	ratio := func(p float64) float64 {
		return power(t.k, p/theta) + power(t.n-t.k, (1-p)/(1-theta))
	}
	mode := min(max(t.k/t.n, lo), hi)
	peak := ratio(mode)
	height := func(p float64) float64 { return math.Exp(ratio(p) - peak) }
	floor := func(p float64) bool { return ratio(p) < peak-drop }
	mass := integrate(height, edge(floor, mode, lo), mode) + integrate(height, mode, edge(floor, mode, hi))
	return peak + math.Log(mass/(hi-lo))
}

// power is log(x^k) with 0^0 = 1.
func power(k, x float64) float64 {
	if k == 0 {
		return 0
	}
	return k * math.Log(x)
}

// edge is a point between mode and bound, at most a tenth too far out, beyond
// which the integrand is negligible.
func edge(negligible func(float64) bool, mode, bound float64) float64 {
	if !negligible(bound) {
		return bound
	}
	in, out := mode, bound
	for range 100 {
		if math.Abs(out-in) <= 0.1*math.Abs(in-mode) {
			break
		}
		if middle := in + (out-in)/2; negligible(middle) {
			out = middle
		} else {
			in = middle
		}
	}
	return out
}

// integrate applies the ten-point Gauss-Legendre rule to eight panels: exact to
// rounding for a function that falls by no more than drop.
func integrate(f func(float64) float64, from, to float64) float64 {
	const panels = 8
	nodes := [5]float64{0.1488743389816312, 0.4333953941292472, 0.6794095682990244, 0.8650633666889845, 0.9739065285171717}
	weights := [5]float64{0.2955242247147529, 0.2692667193099963, 0.2190863625159820, 0.1494513491505806, 0.0666713443086881}
	half := (to - from) / (2 * panels)
	if half == 0 {
		return 0
	}
	sum := 0.0
	for panel := range panels {
		centre := from + half*float64(2*panel+1)
		for i, x := range nodes {
			sum += weights[i] * (f(centre-half*x) + f(centre+half*x))
		}
	}
	return sum * half
}
