package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/gateway"
	"github.com/mainspring-ml/mainspring/models"
)

// ReadArms implements models.Routing. It heartbeats at every look.
func (r *Routing) ReadArms(ctx context.Context, request models.ReadArmsRequest) (models.ArmReading, error) {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	reader := armReader{store: r.Store, request: request, read: map[string]cachedStats{}}
	deadline := time.NewTimer(request.Wait.Std())
	defer deadline.Stop()
	ticker := time.NewTicker(cmp.Or(r.Poll, 250*time.Millisecond))
	defer ticker.Stop()
	for {
		reading, err := reader.look(ctx, now())
		if err != nil {
			return models.ArmReading{}, err
		}
		fresh := reader.canaryRequests(reading) - request.Seen
		recordProgress(ctx, fresh)
		if fresh >= request.MinNew || reading.More || canaryBlocks(reading.Blocks) >= max(request.MinBlocks, 1) {
			return reading, nil
		}
		select {
		case <-ctx.Done():
			return models.ArmReading{}, ctx.Err()
		case <-deadline.C:
			return reading, nil
		case <-ticker.C:
		}
	}
}

// armReader adds up the gateways' counters, reading only what has changed.
type armReader struct {
	store   artifact.Store
	request models.ReadArmsRequest
	read    map[string]cachedStats // by key
}

type cachedStats struct {
	etag  string
	stats models.GatewayStats
}

func (a *armReader) look(ctx context.Context, now time.Time) (models.ArmReading, error) {
	prefix := models.StatsPrefix(a.request.Endpoint)
	objects, err := a.store.List(ctx, prefix)
	if err != nil {
		return models.ArmReading{}, unavailable(prefix, "the gateways' counters can't be listed", err)
	}
	var all []models.GatewayStats
	for _, object := range objects {
		stats, err := a.stats(ctx, object)
		if err != nil {
			return models.ArmReading{}, err
		}
		all = append(all, stats)
	}
	reading := models.ArmReading{Arms: addArms(all, a.request.Generations)}
	addBlocks(&reading, all, a.request, now)
	return reading, nil
}

func (a *armReader) stats(ctx context.Context, object artifact.Info) (models.GatewayStats, error) {
	if cached, ok := a.read[object.Key]; ok && object.ETag != "" && cached.etag == object.ETag {
		return cached.stats, nil
	}
	var stats models.GatewayStats
	data, info, err := artifact.GetBytes(ctx, a.store, object.Key, maxRouting)
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return stats, nil // removed since it was listed
	case err != nil:
		return stats, unavailable(object.Key, "the gateway's counters can't be read", err)
	}
	if err := json.Unmarshal(data, &stats); err != nil {
		return stats, unavailable(object.Key, "the gateway's counters can't be decoded", err)
	}
	a.read[object.Key] = cachedStats{info.ETag, stats}
	return stats, nil
}

// canaryRequests are those of the canary under the newest generation.
func (a *armReader) canaryRequests(reading models.ArmReading) int64 {
	newest := newestGeneration(a.request.Generations)
	for _, arm := range reading.Arms {
		if arm.Generation == newest && arm.Version == a.request.Canary {
			return arm.Requests
		}
	}
	return 0
}

// newestGeneration is 0, which no route has, when there is none.
func newestGeneration(generations []int64) int64 {
	if len(generations) == 0 {
		return 0
	}
	return slices.Max(generations)
}

// addArms adds up the counters of the given generations over all gateways,
// those that have ended included.
func addArms(gateways []models.GatewayStats, generations []int64) []models.ArmCounts {
	type key struct {
		generation int64
		version    string
	}
	sums := map[key]*models.ArmStats{}
	for _, g := range gateways {
		for _, s := range g.Arms {
			if !slices.Contains(generations, s.Generation) {
				continue
			}
			sum, ok := sums[key{s.Generation, s.Version}]
			if !ok {
				sum = &models.ArmStats{Generation: s.Generation, Version: s.Version, Latency: make([]int64, len(models.LatencyBounds())+1)}
				sums[key{s.Generation, s.Version}] = sum
			}
			sum.Requests += s.Requests
			sum.Errors += s.Errors
			sum.Slow += s.Slow
			for i := range min(len(s.Latency), len(sum.Latency)) {
				sum.Latency[i] += s.Latency[i]
			}
		}
	}
	counts := make([]models.ArmCounts, 0, len(sums))
	for _, sum := range sums {
		counts = append(counts, countsOf(sum, sum.Generation == newestGeneration(generations)))
	}
	slices.SortFunc(counts, func(a, b models.ArmCounts) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Version, b.Version))
	})
	return counts
}

func countsOf(sum *models.ArmStats, whole bool) models.ArmCounts {
	counts := models.ArmCounts{
		Generation: sum.Generation, Version: sum.Version, Requests: sum.Requests, Errors: sum.Errors, Slow: sum.Slow,
		P50Millis: gateway.Quantile(sum.Latency, 0.5).Seconds() * 1e3,
		P99Millis: gateway.Quantile(sum.Latency, 0.99).Seconds() * 1e3,
	}
	if whole {
		counts.Latency = sum.Latency
	}
	return counts
}
