package activities

import (
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Every gateway counts in blocks of time by its own clock, and writes its
// counters every so often. A block of a rollout has ended once every gateway
// that lives has written after its end; only then are its counts the same
// however often one reads them.
const (
	// gatewayDead is how old a gateway's counters are when nobody waits for it
	// any more. One that lives writes at least every ten seconds. What it counted
	// before counts; what it should write after all comes too late for blocks
	// that were returned without it, and is left out of them. It lacks on both
	// arms alike.
	gatewayDead = 15 * time.Second
	// blockSettles is for an answer that is counted in the last moment of a block
	// while the counters are being written.
	blockSettles = time.Second
	// blocksAtOnce keeps the judge within a workflow task, which must not think
	// for a second: a block with thousands of bad answers takes it some
	// milliseconds.
	blocksAtOnce = 60
)

// addBlocks adds the blocks of the newest generation that have ended and were
// not returned before.
func addBlocks(reading *models.ArmReading, gateways []models.GatewayStats, request models.ReadArmsRequest, now time.Time) {
	reading.Next = request.After
	ended := endedBefore(gateways, request.Block.Std(), now)
	if !ended.After(request.After) {
		return
	}
	for _, block := range blockSums(gateways, request, ended) {
		reading.Blocks = append(reading.Blocks, *block)
	}
	slices.SortFunc(reading.Blocks, func(a, b models.CanaryBlock) int { return a.Start.Compare(b.Start) })
	reading.Next = ended
	if len(reading.Blocks) > blocksAtOnce {
		reading.Next, reading.More = reading.Blocks[blocksAtOnce].Start, true
		reading.Blocks = reading.Blocks[:blocksAtOnce]
	}
}

// blockSums adds up both arms over all gateways, block by block from the
// request's cursor up to ended.
func blockSums(gateways []models.GatewayStats, request models.ReadArmsRequest, ended time.Time) map[time.Time]*models.CanaryBlock {
	newest := newestGeneration(request.Generations)
	sums := map[time.Time]*models.CanaryBlock{}
	for _, g := range gateways {
		for _, arm := range g.Arms {
			if arm.Generation != newest || arm.Version != request.Champion && arm.Version != request.Canary {
				continue
			}
			for _, b := range arm.Blocks {
				if b.Start.Before(request.After) || !b.Start.Before(ended) {
					continue
				}
				start := b.Start.UTC()
				if sums[start] == nil {
					sums[start] = &models.CanaryBlock{Start: start}
				}
				into := &sums[start].Champion
				if arm.Version == request.Canary {
					into = &sums[start].Canary
				}
				into.Requests += b.Requests
				into.Errors += b.Errors
				into.Slow += b.Slow
			}
		}
	}
	return sums
}

// endedBefore is the start of the oldest block that has not ended on every
// gateway that lives; zero when none does, or when no blocks are asked for.
// Without a gateway there are no requests, and nothing to hurry for: after an
// outage of the store all of them look dead for a moment.
func endedBefore(gateways []models.GatewayStats, block time.Duration, now time.Time) (ended time.Time) {
	if block <= 0 {
		return ended
	}
	for _, g := range gateways {
		if now.Sub(g.Written) > gatewayDead {
			continue
		}
		if settled := g.Written.Add(-blockSettles); ended.IsZero() || settled.Before(ended) {
			ended = settled
		}
	}
	if ended.IsZero() {
		return ended
	}
	return blockStart(ended, block)
}

// blockStart is the start of the block that holds t: multiples of its length
// since 1970, as the gateways have it.
func blockStart(t time.Time, block time.Duration) time.Time {
	nanos := t.UnixNano()
	return time.Unix(0, nanos-nanos%int64(block)).UTC()
}

// canaryBlocks are those from which one learns about the canary.
func canaryBlocks(blocks []models.CanaryBlock) (n int) {
	for _, b := range blocks {
		if b.Canary.Requests > 0 {
			n++
		}
	}
	return n
}
