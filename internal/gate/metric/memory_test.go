package metric

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestMemory: an estimate is never far below what is allocated, and not absurdly
// above it.
func TestMemory(t *testing.T) {
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		s := sliced(world{task, 0.2, 0.2, 0.2, 1}.draw(rand.New(rand.NewPCG(1, 2)), 60, 40), 10, 0)
		set := Settings{Level: 0.1, Resamples: 2000}
		need := Memory(s, set)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Measure(s, set)
		runtime.ReadMemStats(&after)
		allocated := int64(after.TotalAlloc - before.TotalAlloc)
		if need < allocated/4 || need > 4*allocated {
			t.Errorf("%s: estimated %d bytes, %d were allocated", task, need, allocated)
		}
	}
}
