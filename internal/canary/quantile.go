package canary

import (
	"math"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// quantilePart is the share of the latency's Alpha that the quantile gets.
const quantilePart = 0.1

// slower is whether the canary's quantile of latency is proven higher than the
// champion's: the confidence sequences of both, over all looks of the step,
// lie apart.
func (c Config) slower(e Evidence) bool {
	if !c.judgesQuantile() {
		return false
	}
	alpha := c.Alpha / float64(c.judged()) * quantilePart / float64(max(c.Steps, 1)) / 2
	lower, _ := between(e.Canary.Latency, c.Quantile, alpha)
	_, upper := between(e.Champion.Latency, c.Quantile, alpha)
	return lower >= upper
}

// judgesQuantile is so only where requests are weighed one by one: the
// confidence sequence needs latencies that are independent of each other.
func (c Config) judgesQuantile() bool {
	return c.byRequest() && c.Latency.Tolerance > 0 && c.Quantile > 0 && c.Quantile < 1
}

// between are a lower and an upper bound of a quantile that hold at all times
// together with probability 1-alpha, by the edges of the buckets in which they
// lie. An upper bound above the last bucket is for ever.
func between(histogram []int64, p, alpha float64) (lower, upper time.Duration) {
	const forever = time.Duration(math.MaxInt64)
	bounds := models.LatencyBounds()
	total := 0.0
	for _, n := range histogram {
		total += float64(max(n, 0))
	}
	if total == 0 || len(histogram) != len(bounds)+1 {
		return 0, forever
	}
	upper = forever
	if i := bucket(histogram, total*(p+deviation(total, p, alpha))); i < len(bounds) {
		upper = bounds[i]
	}
	if i := bucket(histogram, total*(p-deviation(total, 1-p, alpha))); i > 0 {
		lower = bounds[min(i, len(bounds))-1]
	}
	return lower, upper
}

// bucket is the first one up to which there are at least so many answers; that
// after the last when there are not. A rank of 0 or less has the first.
func bucket(histogram []int64, rank float64) int {
	if rank <= 0 {
		return 0
	}
	below := 0.0
	i := slices.IndexFunc(histogram, func(n int64) bool {
		below += float64(max(n, 0))
		return below >= rank
	})
	if i < 0 {
		return len(histogram)
	}
	return i
}

// deviation is how far the empirical distribution function may be from p, at
// the p-quantile, after t independent values at any time: the double stitching
// bound of Howard and Ramdas (Sequential estimation of quantiles, 2022) with
// δ = 0.5, s = 1.4, η = 2, tightest around a thousand values.
func deviation(t, p, alpha float64) float64 {
	const (
		delta, s, eta = 0.5, 1.4, 2.0
		zeta          = 3.105547277977567 // Riemann's ζ(s)
		best          = 1000.0
	)
	m := max(t, best)
	logit := math.Log(p / (1 - p))
	j := math.Sqrt(m/best)*math.Abs(logit)/(2*delta) + 1
	level := s*math.Log(math.Log(eta*m/best)) + s*math.Log(j) +
		math.Log(2*zeta*(2*zeta+1)/(alpha*math.Pow(math.Log(eta), s)))
	r := p
	if p < 0.5 {
		r = min(0.5, 1/(1+math.Exp(-(logit+2*delta*math.Sqrt(best*eta/m)))))
	}
	variance := r * (1 - r)
	k1, k2 := (math.Pow(eta, 0.25)+math.Pow(eta, -0.25))/math.Sqrt2, (math.Sqrt(eta)+1)/2
	skew := k2 * (1 - 2*p) / 3 * level
	return (delta*math.Sqrt(eta*m*variance/best) + math.Sqrt(k1*k1*variance*m*level+skew*skew) + skew) / t
}
