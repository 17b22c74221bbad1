package activities

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/gateway"
	"github.com/mainspring-ml/mainspring/models"
)

// Routing publishes what the gateways follow and reads what they count.
type Routing struct {
	Store artifact.Store // of the bucket that the gateways follow
	// Poll is how often ReadArms looks at the counters; 0: 250 ms.
	Poll time.Duration
}

var _ models.Routing = (*Routing)(nil)

// publishTries bounds how often a route is read and written again because
// somebody else wrote in between.
const publishTries = 8

const (
	// maxRouting bounds an object of the data plane; the largest, a gateway's
	// counters, have a few hundred bytes per route generation.
	maxRouting = 64 << 20
	jsonType   = "application/json"
)

// PublishRoute implements models.Routing. It writes only what it has compared:
// a route that somebody else wrote meanwhile is read and judged again.
func (r *Routing) PublishRoute(ctx context.Context, next models.Route) error {
	key := models.RouteKey(next.Endpoint)
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode route: %w", err)
	}
	for range publishTries {
		current, etag, err := r.readRoute(ctx, next.Endpoint)
		if err != nil {
			return err
		}
		if etag != "" && current.Generation >= next.Generation {
			return sameRoute(current, next)
		}
		_, err = artifact.PutBytes(ctx, r.Store, key, data, artifact.PutOptions{IfAbsent: etag == "", IfMatch: etag, ContentType: jsonType})
		if !errors.Is(err, artifact.ErrPreconditionFailed) {
			return unavailable(key, "the route can't be written", err)
		}
	}
	return &models.Error{
		Kind: models.KindUnavailable, Subject: key,
		Message: fmt.Sprintf("the route changed %d times while it was being written", publishTries),
		Hint:    "only the endpoint's rollout may publish routes; look for a second one",
	}
}

// sameRoute accepts the route that is in place already, so that publishing
// twice is success, and refuses every other one.
func sameRoute(current, next models.Route) error {
	inPlace, err := json.Marshal(current)
	if err != nil {
		return fmt.Errorf("encode route: %w", err)
	}
	wanted, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode route: %w", err)
	}
	if bytes.Equal(inPlace, wanted) {
		return nil
	}
	message := fmt.Sprintf("generation %d is in place, which is newer than %d", current.Generation, next.Generation)
	if current.Generation == next.Generation {
		message = fmt.Sprintf("another route of generation %d is in place (%s)", current.Generation, current.Reason)
	}
	return &models.Error{
		Kind: models.KindStaleRoute, Subject: models.RouteKey(next.Endpoint), Message: message,
		Hint: "read the route and continue from its generation",
	}
}

// ReadRoute implements models.Routing.
func (r *Routing) ReadRoute(ctx context.Context, endpoint string) (models.Route, error) {
	route, _, err := r.readRoute(ctx, endpoint)
	return route, err
}

// readRoute returns no ETag when there is no route.
func (r *Routing) readRoute(ctx context.Context, endpoint string) (route models.Route, etag string, err error) {
	key := models.RouteKey(endpoint)
	data, info, err := artifact.GetBytes(ctx, r.Store, key, maxRouting)
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return models.Route{Endpoint: endpoint}, "", nil
	case err != nil:
		return route, "", unavailable(key, "the route can't be read", err)
	}
	if err := json.Unmarshal(data, &route); err != nil {
		return route, "", unavailable(key, "the route can't be decoded; was it written by hand?", err)
	}
	return route, info.ETag, nil
}

// PublishReplicas implements models.Routing. The last writer wins: one Serve
// workflow speaks for a version.
func (r *Routing) PublishReplicas(ctx context.Context, replicas models.Replicas) error {
	replicas.URLs = slices.Sorted(slices.Values(replicas.URLs))
	if replicas.URLs == nil {
		replicas.URLs = []string{} // an object with no servers, rather than null
	}
	data, err := json.Marshal(replicas)
	if err != nil {
		return fmt.Errorf("encode replicas: %w", err)
	}
	key := models.ReplicasKey(replicas.Endpoint, replicas.Version)
	_, err = artifact.PutBytes(ctx, r.Store, key, data, artifact.PutOptions{ContentType: jsonType})
	return unavailable(key, "the replicas can't be written", err)
}

// ReadArms implements models.Routing. It heartbeats at every look.
func (r *Routing) ReadArms(ctx context.Context, request models.ReadArmsRequest) (models.ArmReading, error) {
	reader := armReader{store: r.Store, request: request, read: map[string]cachedStats{}}
	deadline := time.NewTimer(request.Wait.Std())
	defer deadline.Stop()
	ticker := time.NewTicker(cmp.Or(r.Poll, 250*time.Millisecond))
	defer ticker.Stop()
	for {
		reading, err := reader.look(ctx)
		if err != nil {
			return models.ArmReading{}, err
		}
		fresh := reader.canaryRequests(reading) - request.Seen
		recordProgress(ctx, fresh)
		if fresh >= request.MinNew {
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

func (a *armReader) look(ctx context.Context) (models.ArmReading, error) {
	prefix := models.StatsPrefix(a.request.Endpoint)
	objects, err := a.store.List(ctx, prefix)
	if err != nil {
		return models.ArmReading{}, unavailable(prefix, "the gateways' counters can't be listed", err)
	}
	var all []models.ArmStats
	for _, object := range objects {
		stats, err := a.stats(ctx, object)
		if err != nil {
			return models.ArmReading{}, err
		}
		all = append(all, stats.Arms...)
	}
	return addArms(all, a.request.Generations), nil
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
	if len(a.request.Generations) == 0 {
		return 0
	}
	newest := slices.Max(a.request.Generations)
	for _, arm := range reading.Arms {
		if arm.Generation == newest && arm.Version == a.request.Canary {
			return arm.Requests
		}
	}
	return 0
}

// addArms adds up the counters of the given generations over all gateways.
func addArms(stats []models.ArmStats, generations []int64) models.ArmReading {
	type key struct {
		generation int64
		version    string
	}
	sums := map[key]*models.ArmStats{}
	for _, s := range stats {
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
		for i := range min(len(s.Latency), len(sum.Latency)) {
			sum.Latency[i] += s.Latency[i]
		}
	}
	reading := models.ArmReading{Arms: make([]models.ArmCounts, 0, len(sums))}
	for _, sum := range sums {
		reading.Arms = append(reading.Arms, models.ArmCounts{
			Generation: sum.Generation, Version: sum.Version, Requests: sum.Requests, Errors: sum.Errors,
			P50Millis: gateway.Quantile(sum.Latency, 0.5).Seconds() * 1e3,
			P99Millis: gateway.Quantile(sum.Latency, 0.99).Seconds() * 1e3,
		})
	}
	slices.SortFunc(reading.Arms, func(a, b models.ArmCounts) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Version, b.Version))
	})
	return reading
}
