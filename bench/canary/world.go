package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// world is an endpoint with two versions for an hour.
type world struct {
	Base     float64 `json:"base"`               // champion's error rate
	Ratio    float64 `json:"ratio"`              // canary's error rate, in champion's
	Noise    float64 `json:"noise,omitempty"`    // deviation of the logarithm of each arm's rate, per minute
	Champion float64 `json:"champion,omitempty"` // the same of the champion alone, where it differs
	Outages  float64 `json:"outages,omitempty"`  // probability, per arm and minute, that half of the answers fail
	Storms   float64 `json:"storms,omitempty"`   // probability, per minute, that both arms have 20 times the errors
	Weight   float64 `json:"weight"`             // canary's share
	Rate     float64 `json:"rate"`               // requests per minute, of both arms
	Minutes  int     `json:"minutes"`
	Slower   float64 `json:"slower,omitempty"` // factor of the canary's latency; 0: latency is left out
	From     int     `json:"from,omitempty"`   // minute in which the canary turns bad
}

// shared is the deviation of the logarithm of what moves both arms alike.
const shared = 0.25

// latencies: log-normal with a median of 20 ms; the limit for a slow answer is
// the champion's P99.
const (
	latencyMedian    = 20.0
	latencyDeviation = 0.8
	normal99         = 2.3263478740408408
)

func slowAbove() float64 { return latencyMedian * math.Exp(latencyDeviation*normal99) }

// arm is what one version did in one minute.
type arm struct {
	requests, errors, slow int64
	latency                []float64 // milliseconds, sorted
}

func (a arm) rate() float64 { return float64(a.errors) / max(float64(a.requests), 1) }

// p99 of the minute's answers.
func (a arm) p99() float64 {
	if len(a.latency) == 0 {
		return 0
	}
	return a.latency[min(len(a.latency)*99/100, len(a.latency)-1)]
}

type minute struct{ champion, canary arm }

// simulate draws the minutes of one run.
func (w world) simulate(r *rand.Rand) []minute {
	minutes := make([]minute, w.Minutes)
	champion := w.Noise
	if w.Champion > 0 {
		champion = w.Champion
	}
	for i := range minutes {
		both := w.Base * lognormal(r, shared)
		if w.Storms > 0 && r.Float64() < w.Storms {
			both *= 20
		}
		ratio := w.Ratio
		if i < w.From {
			ratio = 1
		}
		minutes[i] = minute{
			champion: w.arm(r, (1-w.Weight)*w.Rate, both*w.stray(r, champion), 1),
			canary:   w.arm(r, w.Weight*w.Rate, both*ratio*w.stray(r, w.Noise), w.Slower),
		}
	}
	return minutes
}

// stray is the factor of one arm in one minute.
func (w world) stray(r *rand.Rand, deviation float64) float64 {
	factor := lognormal(r, deviation)
	if w.Outages > 0 && r.Float64() < w.Outages {
		factor = 0.5 / w.Base
	}
	return factor
}

func (w world) arm(r *rand.Rand, requests, errorRate, slower float64) arm {
	a := arm{requests: poisson(r, requests)}
	a.errors = min(poisson(r, float64(a.requests)*errorRate), a.requests)
	if w.Slower == 0 {
		return a
	}
	factor := lognormal(r, w.Noise)
	a.latency = make([]float64, a.requests)
	for i := range a.latency {
		a.latency[i] = slower * factor * latencyMedian * math.Exp(latencyDeviation*r.NormFloat64())
		if a.latency[i] > slowAbove() {
			a.slow++
		}
	}
	slices.Sort(a.latency)
	return a
}

// lognormal has mean 1.
func lognormal(r *rand.Rand, deviation float64) float64 {
	return math.Exp(deviation*r.NormFloat64() - deviation*deviation/2)
}

func poisson(r *rand.Rand, mean float64) int64 {
	if mean <= 0 {
		return 0
	}
	return int64(distuv.Poisson{Lambda: mean, Src: r}.Rand())
}
