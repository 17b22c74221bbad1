package rivals

import "math"

// Stream is a rule that sees one value after the other.
type Stream interface {
	// Update is whether the rule calls drift at this value. It starts anew then.
	Update(value float64) bool
}

// PageHinkley sums up how far values lie from their running mean, and calls
// drift when the sum has come far from its extreme, upwards or downwards.
type PageHinkley struct {
	delta, threshold, forget float64
	least                    int // values before the first call

	n        int
	mean     float64
	up, down float64 // the two sums
	low      float64 // smallest of up
	high     float64 // largest of down
}

// NewPageHinkley has the defaults of river: 30 values at least, δ 0.005, λ 50,
// both directions.
func NewPageHinkley() *PageHinkley {
	p := &PageHinkley{delta: 0.005, threshold: 50, forget: 1 - 0.0001, least: 30}
	p.reset()
	return p
}

func (p *PageHinkley) reset() {
	p.n, p.mean, p.up, p.down = 0, 0, 0, 0
	p.low, p.high = math.Inf(1), -1
}

// Update implements Stream.
func (p *PageHinkley) Update(value float64) bool {
	p.n++
	p.mean += (value - p.mean) / float64(p.n)
	away := value - p.mean
	p.up = p.forget*p.up + away - p.delta
	p.down = p.forget*p.down + away + p.delta
	p.low, p.high = min(p.low, p.up), max(p.high, p.down)
	drifted := p.n >= p.least && (p.up-p.low > p.threshold || p.high-p.down > p.threshold)
	if drifted {
		p.reset()
	}
	return drifted
}

// CUSUM is Page's one-sided sum for a stream whose mean and deviation somebody
// knows. No tool offers it like that: it shows what knowing them is worth.
type CUSUM struct {
	Mean, Deviation float64
	// Allowance is what is taken off each value, in deviations: half of the rise
	// that is to be found soonest. Threshold is where the sum calls drift.
	Allowance, Threshold float64
	sum                  float64
}

// Update implements Stream.
func (c *CUSUM) Update(value float64) bool {
	c.sum = max(c.sum+(value-c.Mean)/c.Deviation-c.Allowance, 0)
	if c.sum < c.Threshold {
		return false
	}
	c.sum = 0
	return true
}
