package canary

import (
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// TestABlockIsCheap: whatever its size, since a workflow weighs dozens of them
// at once and must not think for a second.
func TestABlockIsCheap(t *testing.T) {
	c := FromSpec(models.CanarySpec{Latency: &models.LatencySpec{SLO: 1}})
	s := c.Open(models.JudgeState{}, models.CanaryStep{Weight: 0.1})
	quickest := time.Hour // of several tries: others may have the processor
	for range 10 {
		began := time.Now()
		c.Observe(s, Evidence{Blocks: []models.CanaryBlock{{
			Champion: models.BlockCounts{Requests: 9e6, Errors: 5e5, Slow: 4e6},
			Canary:   models.BlockCounts{Requests: 1e6, Errors: 5e4, Slow: 5e5},
		}}})
		quickest = min(quickest, time.Since(began))
	}
	if quickest > 15*time.Millisecond {
		t.Errorf("a block takes %s; activities return 60 at once", quickest)
	}
}
