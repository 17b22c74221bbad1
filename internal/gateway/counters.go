package gateway

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// counters count one version's answers under one route generation. Requests
// write them without locks.
type counters struct {
	countRules
	requests  atomic.Int64
	errors    atomic.Int64
	refusals  atomic.Int64 // answers of 4xx: the caller's fault
	slow      atomic.Int64
	diverted  atomic.Int64 // answered by the champion, because the breaker was open
	skipped   atomic.Int64 // copies that were not sent, or reached no server
	failovers atomic.Int64 // requests that drew this arm and were answered by another
	named     atomic.Int64 // requests whose caller named the version: no evidence, in no other count
	latency   []atomic.Int64
	blocks    blocks
}

// countRules say how the answers of one generation are counted.
type countRules struct {
	role      models.Role
	bounds    []time.Duration // of the latency buckets
	slowAbove time.Duration   // 0: no answer is slow
	block     time.Duration   // 0: no blocks
	// paired: an answer comes into a block together with that of its copy, see
	// shadowCopy; what only one of both has comes into none.
	paired bool
}

// fault is what one answer adds to the counts.
type fault struct {
	failed bool
	slow   bool
}

func newCounters(rules countRules) *counters {
	return &counters{
		countRules: rules, latency: make([]atomic.Int64, len(rules.bounds)+1),
		blocks: blocks{length: rules.block},
	}
}

// judge says what an answer counts as.
func (c *counters) judge(status int, latency time.Duration) fault {
	return fault{failed: status >= 500, slow: c.slowAbove > 0 && latency > c.slowAbove}
}

// answered counts an answer that was given at the moment now.
func (c *counters) answered(status int, latency time.Duration, now time.Time) {
	counted := c.judge(status, latency)
	c.requests.Add(1)
	switch {
	case counted.failed:
		c.errors.Add(1)
	case status >= 400:
		c.refusals.Add(1)
	}
	if counted.slow {
		c.slow.Add(1)
	}
	bucket, _ := slices.BinarySearch(c.bounds, latency) // the first bound ≥ latency
	c.latency[bucket].Add(1)
	if !c.paired {
		c.blocks.add(now, counted)
	}
}

// failedUnasked counts a request that the version owed an answer, which has no
// latency: its breaker was open, or a server was lost.
func (c *counters) failedUnasked(now time.Time) {
	c.requests.Add(1)
	c.errors.Add(1)
	if !c.paired {
		c.blocks.add(now, fault{failed: true})
	}
}

func (c *counters) read(generation int64, version string) models.ArmStats {
	stats := models.ArmStats{Generation: generation, Version: version, Latency: make([]int64, len(c.latency))}
	// What is counted last comes first: a reader never sees more errors than
	// requests.
	stats.Blocks = c.blocks.read()
	stats.Slow = c.slow.Load()
	stats.Errors = c.errors.Load()
	stats.Diverted = min(c.diverted.Load(), stats.Errors)
	stats.Requests = c.requests.Load()
	stats.Skipped = c.skipped.Load()
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
