package gateway

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// maxBlocks is how many blocks an arm keeps; the oldest are forgotten.
const maxBlocks = 1440

// blocks count answers by wall-clock block. Only the first answer of a block
// takes the lock, and one that comes late.
type blocks struct {
	length  time.Duration         // 0: nothing is counted
	current atomic.Pointer[block] // the newest; nil: there is none

	mu        sync.Mutex
	kept      []*block // by start
	forgotten bool     // forget was called
}

type block struct {
	start    int64 // Unix nanoseconds, a multiple of the length
	requests atomic.Int64
	errors   atomic.Int64
	slow     atomic.Int64
}

// add counts an answer that was given at the moment now.
func (b *blocks) add(now time.Time, counted fault) {
	if b.length <= 0 {
		return
	}
	at := now.UnixNano()
	start := at - at%int64(b.length)
	into := b.current.Load()
	if into == nil || into.start != start {
		if into = b.find(start); into == nil {
			return
		}
	}
	into.requests.Add(1)
	if counted.failed {
		into.errors.Add(1)
	}
	if counted.slow {
		into.slow.Add(1)
	}
}

// find returns the block that starts there and makes it when it is new; nil:
// it is older than all that are kept.
func (b *blocks) find(start int64) *block {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forgotten {
		return nil
	}
	at, found := slices.BinarySearchFunc(b.kept, start, func(k *block, start int64) int {
		return int(min(1, max(-1, k.start-start)))
	})
	if found {
		return b.kept[at]
	}
	if at == 0 && len(b.kept) == maxBlocks {
		return nil
	}
	made := &block{start: start}
	b.kept = slices.Insert(b.kept, at, made)
	if len(b.kept) > maxBlocks {
		b.kept = slices.Delete(b.kept, 0, 1)
	}
	b.current.Store(b.kept[len(b.kept)-1])
	return made
}

// forget drops the blocks for good.
func (b *blocks) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept, b.forgotten = nil, true
	b.current.Store(nil)
}

// read leaves blocks without requests out.
func (b *blocks) read() []models.BlockStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	var stats []models.BlockStats
	for _, k := range b.kept {
		read := models.BlockStats{Start: time.Unix(0, k.start).UTC(), Slow: k.slow.Load(), Errors: k.errors.Load()}
		if read.Requests = k.requests.Load(); read.Requests > 0 {
			stats = append(stats, read)
		}
	}
	return stats
}
