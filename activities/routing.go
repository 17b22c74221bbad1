package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Routing publishes what the gateways follow and reads what they count.
type Routing struct {
	Store artifact.Store // of the bucket that the gateways follow
	// Poll is how often ReadArms looks at the counters; 0: 250 ms.
	Poll time.Duration
	// Now is the clock that ReadArms holds the gateways' against; nil: time.Now.
	Now func() time.Time
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
