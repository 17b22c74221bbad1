package metric

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// each runs jobs 0 to n-1 on all cores. A job writes to its own place only, so
// what comes out doesn't depend on who ran it when.
func each(n int, job func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				job(i)
			}
		})
	}
	wait.Wait()
}
