package activities_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/models"
)

// blockTime is a moment so many seconds after a full minute.
func blockTime(seconds float64) time.Time {
	return time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

// counted is an arm of generation 8 with blocks of ten seconds: their starts in
// seconds, and how many requests each had.
func counted(version string, blocks ...[2]int64) models.ArmStats {
	arm := armStats(8, version, 0, 0, nil)
	for _, b := range blocks {
		arm.Requests += b[1]
		arm.Blocks = append(arm.Blocks, models.BlockStats{Start: blockTime(float64(b[0])), Requests: b[1], Errors: b[1] / 10, Slow: b[1] / 5})
	}
	return arm
}

func (m *routeMemory) setBlocks(t *testing.T, gateway string, written float64, arms ...models.ArmStats) {
	t.Helper()
	m.write(t, models.StatsPrefix("flights")+gateway+".json", models.GatewayStats{Gateway: gateway, Written: blockTime(written), Arms: arms})
}

func endedBlocks(after float64) models.ReadArmsRequest {
	return models.ReadArmsRequest{Endpoint: "flights", Generations: []int64{7, 8}, Champion: "1", Canary: "2",
		After: blockTime(after), Block: models.Duration(10 * time.Second)}
}

func block(start, champion, canary int64) models.CanaryBlock {
	counts := func(n int64) models.BlockCounts { return models.BlockCounts{Requests: n, Errors: n / 10, Slow: n / 5} }
	return models.CanaryBlock{Start: blockTime(float64(start)), Champion: counts(champion), Canary: counts(canary)}
}

func TestReadArmsReturnsBlocksThatHaveEnded(t *testing.T) {
	old := counted("1", [2]int64{0, 1000})
	old.Generation = 7
	alive := []models.ArmStats{old, counted("1", [2]int64{0, 40}, [2]int64{10, 20}, [2]int64{20, 90}), counted("2", [2]int64{10, 10}), counted("9", [2]int64{10, 500})}
	other := []models.ArmStats{counted("1", [2]int64{10, 30}, [2]int64{20, 70}), counted("2", [2]int64{0, 10}, [2]int64{20, 20})}
	first, second, third := block(0, 40, 10), block(10, 50, 10), block(20, 160, 20)
	for _, test := range []struct {
		name       string
		written    [2]float64 // by the two gateways
		now, after float64
		want       []models.CanaryBlock
		next       float64
	}{
		{name: "none has ended", written: [2]float64{9, 9.5}, now: 10, next: 0},
		{name: "ended a moment ago: an answer may still be on its way into the counters", written: [2]float64{10.5, 10.5}, now: 11, next: 0},
		{name: "one gateway is not that far", written: [2]float64{31, 19}, now: 31, want: []models.CanaryBlock{first}, next: 10},
		{name: "both are", written: [2]float64{31, 32}, now: 32, want: []models.CanaryBlock{first, second, third}, next: 30},
		{name: "after the cursor", written: [2]float64{31, 32}, now: 32, after: 10, want: []models.CanaryBlock{second, third}, next: 30},
		{name: "nothing new", written: [2]float64{31, 32}, now: 32, after: 30, next: 30},
		{name: "the cursor never goes back", written: [2]float64{31, 12}, now: 32, after: 30, next: 30},
		{name: "nobody waits for a dead gateway, whose counts count", written: [2]float64{35.1, 19}, now: 35.1, want: []models.CanaryBlock{first, second, third}, next: 30},
		{name: "all look dead", written: [2]float64{31, 32}, now: 60, next: 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newRouteMemory()
			store.setBlocks(t, "a", test.written[0], alive...)
			store.setBlocks(t, "b", test.written[1], other...)
			routing := &activities.Routing{Store: store, Now: func() time.Time { return blockTime(test.now) }}
			got, err := routing.ReadArms(context.Background(), endedBlocks(test.after))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Blocks, test.want) || got.More || !got.Next.Equal(blockTime(test.next)) {
				t.Errorf("got  %+v, more %v, next %s\nwant %+v, next %s", got.Blocks, got.More, got.Next, test.want, blockTime(test.next))
			}
		})
	}
}

func TestReadArmsWithoutABlockLengthHasNoBlocks(t *testing.T) {
	store := newRouteMemory()
	store.setBlocks(t, "a", 30, counted("1", [2]int64{0, 10}), counted("2", [2]int64{0, 10}))
	request := endedBlocks(0)
	request.Block, request.After = 0, time.Time{}
	got, err := (&activities.Routing{Store: store, Now: func() time.Time { return blockTime(30) }}).ReadArms(context.Background(), request)
	if err != nil || got.Blocks != nil || !got.Next.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReadArmsReturnsForBlocksWithTheCanary(t *testing.T) {
	for _, test := range []struct {
		name      string
		canary    [][2]int64
		minBlocks int
		returns   bool
	}{
		{"one with the canary", [][2]int64{{10, 10}}, 0, true},
		{"none with the canary", nil, 0, false},
		{"two are wanted, one is there", [][2]int64{{10, 10}}, 2, false},
		{"two are wanted and there", [][2]int64{{0, 10}, {10, 10}}, 2, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newRouteMemory()
			store.setBlocks(t, "a", 25, counted("1", [2]int64{0, 90}, [2]int64{10, 90}), counted("2", test.canary...))
			routing := &activities.Routing{Store: store, Poll: time.Millisecond, Now: func() time.Time { return blockTime(25) }}
			request := endedBlocks(0)
			request.MinNew, request.MinBlocks, request.Wait = 1000, test.minBlocks, models.Duration(time.Hour)
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			if test.returns {
				ctx = context.Background()
			}
			got, err := routing.ReadArms(ctx, request)
			if returned := err == nil; returned != test.returns {
				t.Errorf("returned %v (%v), want %v: %+v", returned, err, test.returns, got)
			}
		})
	}
}

func TestReadArmsReturnsManyBlocksInParts(t *testing.T) {
	store := newRouteMemory()
	var champion, canary [][2]int64
	for i := range int64(700) {
		champion, canary = append(champion, [2]int64{10 * i, 9}), append(canary, [2]int64{10 * i, 1})
	}
	store.setBlocks(t, "a", 7001, counted("1", champion...), counted("2", canary...))
	routing := &activities.Routing{Store: store, Now: func() time.Time { return blockTime(7001) }}
	request := endedBlocks(0)
	request.MinNew, request.MinBlocks, request.Wait = 1e9, 10_000, models.Duration(time.Minute)
	var sizes []int
	next := int64(0)
	for more := true; more; {
		if len(sizes) == 2 {
			request.Wait = 0 // the last part is not worth waiting for
		}
		got, err := routing.ReadArms(context.Background(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range got.Blocks {
			if !b.Start.Equal(blockTime(float64(next))) {
				t.Fatalf("block %s, want the one at %d s", b.Start, next)
			}
			next += 10
		}
		sizes, more, request.After = append(sizes, len(got.Blocks)), got.More, got.Next
	}
	if !reflect.DeepEqual(sizes, []int{60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 40}) || !request.After.Equal(blockTime(7000)) {
		t.Errorf("parts %v, next %s", sizes, request.After)
	}
}

// TestReadArmsReturnsEachBlockOnce plays gateways that count and write at random,
// and a reader that comes by at random: what it gets, added up, is what was
// counted, each block once and in order.
func TestReadArmsReturnsEachBlockOnce(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 6))
		store := newRouteMemory()
		truth, got := map[int64]int64{}, map[int64]int64{} // canary requests by the block's start
		counts := [3]map[int64]int64{{}, {}, {}}
		routing, now := &activities.Routing{Store: store}, 0.0
		routing.Now = func() time.Time { return blockTime(now) }
		request, last := endedBlocks(0), int64(-1)
		var written [3]float64
		write := func(g int) {
			var blocks [][2]int64
			for start := int64(0); start <= int64(now); start += 10 {
				if n := counts[g][start]; n > 0 {
					blocks = append(blocks, [2]int64{start, n})
				}
			}
			store.setBlocks(t, fmt.Sprint("g", g), now, counted("2", blocks...))
			written[g] = now
		}
		for g := range counts {
			write(g)
		}
		for now < 600 {
			now += random.Float64() * 3
			start := int64(now) / 10 * 10
			counts[random.IntN(3)][start]++
			truth[start]++
			for g := range counts {
				if random.IntN(3) == 0 || now-written[g] > 10 { // as gateways do
					write(g)
				}
			}
			if random.IntN(4) > 0 {
				continue
			}
			reading, err := routing.ReadArms(context.Background(), request)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range reading.Blocks {
				at := int64(b.Start.Sub(blockTime(0)).Seconds())
				if at <= last {
					t.Fatalf("seed %d: the block at %d s after the one at %d s", seed, at, last)
				}
				got[at], last = b.Canary.Requests, at
			}
			request.After = reading.Next
		}
		for start, n := range truth {
			if start <= last && got[start] != n {
				t.Errorf("seed %d: the block at %d s has %d requests, want %d", seed, start, got[start], n)
			}
		}
		if last < 500 {
			t.Errorf("seed %d: the last block read is that at %d s of 600 s", seed, last)
		}
	}
}
