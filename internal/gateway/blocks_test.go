package gateway

import (
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func blockTotals(stats models.ArmStats) (total models.BlockStats) {
	for _, b := range stats.Blocks {
		total.Requests += b.Requests
		total.Errors += b.Errors
		total.Slow += b.Slow
	}
	return total
}

// TestBlocksAddUpUnderConcurrency counts from many sides at once, a little out
// of order, while a reader looks.
func TestBlocksAddUpUnderConcurrency(t *testing.T) {
	c := newCounters(countRules{bounds: models.LatencyBounds(), slowAbove: 5 * time.Millisecond, block: time.Second})
	start := time.Unix(1_700_000_000, 0)
	const workers, each = 8, 20_000
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range each {
				status, latency := 200, time.Millisecond
				if i%10 == 0 {
					status = 500
				}
				if i%4 == 0 {
					latency = 6 * time.Millisecond
				}
				// Ten blocks; each worker lags behind by its number of half blocks.
				c.answered(status, latency, start.Add(time.Duration(i)*500*time.Microsecond+time.Duration(worker)*500*time.Millisecond))
			}
		})
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			stats := c.read(1, "v")
			for _, b := range stats.Blocks {
				if b.Errors > b.Requests || b.Slow > b.Requests {
					t.Errorf("block %+v has more faults than requests", b)
				}
			}
			if total := blockTotals(stats); total.Requests > stats.Requests {
				t.Errorf("%d requests in blocks, %d in all", total.Requests, stats.Requests)
			}
		}
	})
	wg.Wait()
	close(stop)
	reader.Wait()
	stats := c.read(1, "v")
	total := blockTotals(stats)
	if stats.Requests != workers*each || stats.Errors != workers*each/10 || stats.Slow != workers*each/4 {
		t.Errorf("totals %d, %d, %d", stats.Requests, stats.Errors, stats.Slow)
	}
	if total.Requests != stats.Requests || total.Errors != stats.Errors || total.Slow != stats.Slow {
		t.Errorf("blocks add up to %+v, totals are %d, %d, %d", total, stats.Requests, stats.Errors, stats.Slow)
	}
	if len(stats.Blocks) != 14 {
		t.Errorf("%d blocks", len(stats.Blocks))
	}
	for i, b := range stats.Blocks {
		if want := start.Add(time.Duration(i) * time.Second); !b.Start.Equal(want) {
			t.Errorf("block %d starts %v, want %v", i, b.Start, want)
		}
	}
}

func TestBlocksKeepTheNewest(t *testing.T) {
	b := blocks{length: time.Minute}
	start := time.Unix(60_000_000, 0)
	for i := range maxBlocks + 10 {
		b.add(start.Add(time.Duration(i)*time.Minute), fault{failed: true})
	}
	b.add(start, fault{}) // too old by now
	got := b.read()
	if len(got) != maxBlocks || !got[0].Start.Equal(start.Add(10*time.Minute)) {
		t.Errorf("%d blocks from %v", len(got), got[0].Start)
	}
	if last := got[len(got)-1]; last != (models.BlockStats{Start: start.Add((maxBlocks + 9) * time.Minute).UTC(), Requests: 1, Errors: 1}) {
		t.Errorf("last block %+v", last)
	}
	b.forget()
	b.add(start, fault{})
	if got := b.read(); len(got) != 0 {
		t.Errorf("%d blocks after they were forgotten", len(got))
	}
}

func TestBlocksOfOldGenerationsAreForgotten(t *testing.T) {
	e := newEndpoint("flights", 10)
	for generation := range int64(4) {
		e.follow(models.Route{Generation: generation + 1, Block: models.Duration(time.Minute), Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1}}})
		e.route.Load().champion.counters.answered(200, time.Millisecond, time.Unix(1000, 0))
	}
	for _, stats := range e.stats() {
		if want := stats.Generation >= 3; (len(stats.Blocks) == 1) != want || stats.Requests != 1 {
			t.Errorf("generation %d: %d blocks of %d requests", stats.Generation, len(stats.Blocks), stats.Requests)
		}
	}
}

func TestWithoutABlockLengthOnlyTotalsCount(t *testing.T) {
	c := newCounters(countRules{bounds: models.LatencyBounds()})
	c.answered(500, time.Hour, time.Unix(1000, 0))
	if got := c.read(1, "v"); got.Blocks != nil || got.Slow != 0 || got.Errors != 1 {
		t.Errorf("%+v", got)
	}
}
