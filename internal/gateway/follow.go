package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// follower keeps the gateway's endpoints as the artifact store has them. Only
// its own goroutine uses it.
type follower struct {
	gateway *Gateway
	etags   map[string]string // of the objects taken over
	failing bool
	saved   []byte // the routes as they were saved last
	unsaved bool   // saving them failed
	// away: the store did not answer everything in this poll. Without it a poll
	// that failed is about objects that make no sense.
	away bool
}

// run polls until ctx ends.
func (f *follower) run(ctx context.Context) {
	ticker := time.NewTicker(f.gateway.config.Poll)
	defer ticker.Stop()
	for {
		f.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look polls once, and logs when the store starts or stops failing.
func (f *follower) look(ctx context.Context) {
	err := f.poll(ctx)
	if ctx.Err() != nil {
		return
	}
	log := f.gateway.config.Log
	switch {
	case err != nil && !f.failing:
		log.Warn("routes can't be read; the last good ones stay in use", slog.Any("error", err))
	case err == nil && f.failing:
		log.Info("routes can be read again")
	}
	f.failing = err != nil
	f.gateway.polled(!f.away, err)
	if !f.away {
		f.saveRoutes()
	}
}

// poll reads what has changed. An object that can't be read or makes no sense
// leaves the others unharmed.
func (f *follower) poll(ctx context.Context) error {
	f.away = false
	objects, err := f.gateway.store.List(ctx, models.RoutePrefix())
	if err != nil {
		f.away = true
		return fmt.Errorf("list routes: %w", err)
	}
	var failures []error
	for _, object := range objects {
		name, ok := strings.CutSuffix(strings.TrimPrefix(object.Key, models.RoutePrefix()), ".json")
		if !ok || strings.Contains(name, "/") {
			continue
		}
		failures = append(failures, f.takeRoute(ctx, name, object))
	}
	for _, e := range f.gateway.endpoints() {
		failures = append(failures, f.takeReplicas(ctx, e))
	}
	return errors.Join(failures...)
}

func (f *follower) takeRoute(ctx context.Context, name string, object Object) error {
	var next models.Route
	if changed, err := f.read(ctx, object, &next); err != nil || !changed {
		return err
	}
	e := f.gateway.endpoint(name)
	log := f.gateway.config.Log.With(slog.String("endpoint", name), slog.Int64("generation", next.Generation))
	// Replicas first: no request may meet a route whose servers are unknown.
	if err := f.takeReplicas(ctx, e); err != nil && !f.knowsServers(next) {
		return err
	}
	if e.follow(next) {
		log.Info("new route", slog.String("reason", next.Reason))
	} else if current := e.route.Load(); current.Generation > next.Generation {
		log.Warn("an older route was published and is not followed", slog.Int64("following", current.Generation))
	}
	f.etags[object.Key] = object.ETag
	return nil
}

// knowsServers reports whether the replicas of all arms have been read.
func (f *follower) knowsServers(route models.Route) bool {
	return !slices.ContainsFunc(route.Arms, func(a models.Arm) bool {
		return f.etags[models.ReplicasKey(route.Endpoint, a.Version)] == ""
	})
}

// takeReplicas follows a successful listing: a version that is not in it has
// no servers any more.
func (f *follower) takeReplicas(ctx context.Context, e *endpoint) error {
	prefix := models.ReplicasPrefix(e.name)
	objects, err := f.gateway.store.List(ctx, prefix)
	if err != nil {
		f.away = true
		return fmt.Errorf("list replicas of %s: %w", e.name, err)
	}
	var failures []error
	listed := map[string]bool{}
	for _, object := range objects {
		version, ok := strings.CutSuffix(strings.TrimPrefix(object.Key, prefix), ".json")
		if !ok {
			continue
		}
		listed[version] = true
		var replicas models.Replicas
		changed, err := f.read(ctx, object, &replicas)
		if err != nil || !changed {
			failures = append(failures, err)
			continue
		}
		urls, err := parseURLs(replicas.URLs)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", object.Key, err))
			continue
		}
		e.pool(version).publish(urls)
		f.etags[object.Key] = object.ETag
	}
	for _, version := range e.versions() {
		if key := models.ReplicasKey(e.name, version); !listed[version] && f.etags[key] != "" {
			e.pool(version).publish(nil)
			delete(f.etags, key)
		}
	}
	return errors.Join(failures...)
}

// read decodes an object unless it is the one taken over last.
func (f *follower) read(ctx context.Context, object Object, into any) (changed bool, err error) {
	if object.ETag != "" && f.etags[object.Key] == object.ETag {
		return false, nil
	}
	data, err := f.gateway.store.Get(ctx, object.Key)
	if err != nil {
		f.away = true
		return false, fmt.Errorf("read %s: %w", object.Key, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("decode %s: %w", object.Key, err)
	}
	return true, nil
}

func parseURLs(texts []string) ([]*url.URL, error) {
	urls := make([]*url.URL, 0, len(texts))
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("%q is not the URL of a server", text)
		}
		urls = append(urls, u)
	}
	return urls, nil
}
