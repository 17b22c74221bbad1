package gateway

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// counters count one version's answers under one route generation.
type counters struct {
	bounds    []time.Duration
	requests  atomic.Int64
	errors    atomic.Int64
	failovers atomic.Int64 // requests that drew this arm and were answered by another
	latency   []atomic.Int64
}

func newCounters(bounds []time.Duration) *counters {
	return &counters{bounds: bounds, latency: make([]atomic.Int64, len(bounds)+1)}
}

func (c *counters) answered(status int, latency time.Duration) {
	c.requests.Add(1)
	if status >= 500 {
		c.errors.Add(1)
	}
	bucket, _ := slices.BinarySearch(c.bounds, latency) // the first bound ≥ latency
	c.latency[bucket].Add(1)
}

// crashed counts a lost server as one failed request, which has no latency.
func (c *counters) crashed() {
	c.requests.Add(1)
	c.errors.Add(1)
}

func (c *counters) read(generation int64, version string) models.ArmStats {
	stats := models.ArmStats{Generation: generation, Version: version, Latency: make([]int64, len(c.latency))}
	// Errors first: a reader never sees more errors than requests.
	stats.Errors = c.errors.Load()
	stats.Requests = c.requests.Load()
	for i := range c.latency {
		stats.Latency[i] = c.latency[i].Load()
	}
	return stats
}

// Quantile interpolates in the buckets of models.ArmStats. Without answers it
// is 0; what lies above the last bound counts as the last bound.
func Quantile(latency []int64, q float64) time.Duration {
	bounds := models.LatencyBounds()
	total := int64(0)
	for _, n := range latency {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank, below := q*float64(total), int64(0)
	for i, n := range latency {
		if i >= len(bounds) {
			break
		}
		if n > 0 && float64(below+n) >= rank {
			lower := time.Duration(0)
			if i > 0 {
				lower = bounds[i-1]
			}
			inside := (rank - float64(below)) / float64(n)
			return lower + time.Duration(inside*float64(bounds[i]-lower))
		}
		below += n
	}
	return bounds[len(bounds)-1]
}
