package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// savedRoutes is the content of Config.StateFile: the routes and replicas that
// a gateway followed last, for one that starts while the store is out.
type savedRoutes struct {
	Saved    time.Time         `json:"saved"` // wall clock
	Routes   []models.Route    `json:"routes"`
	Replicas []models.Replicas `json:"replicas"`
}

// loadRoutes follows the saved routes. What is in the store replaces them when
// it can be read, except where it is older. A file that makes no sense is as
// good as none.
func (f *follower) loadRoutes() {
	g := f.gateway
	if g.config.StateFile == "" {
		return
	}
	data, err := os.ReadFile(g.config.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var saved savedRoutes
	if err == nil {
		err = json.Unmarshal(data, &saved)
	}
	if err != nil {
		g.config.Log.Warn("the saved routes can't be read; the gateway waits for the store", slog.String("file", g.config.StateFile), slog.Any("error", err))
		return
	}
	for _, r := range saved.Replicas {
		urls, err := parseURLs(r.URLs)
		if err != nil {
			continue // the route will say that it has no server
		}
		g.endpoint(r.Endpoint).pool(r.Version).publish(urls)
		// A version that the store does not know any more loses its servers.
		f.etags[models.ReplicasKey(r.Endpoint, r.Version)] = fromDisk
	}
	for _, route := range saved.Routes {
		g.endpoint(route.Endpoint).follow(route)
	}
	if len(saved.Routes) == 0 {
		return
	}
	g.lastPoll.Store(&pollResult{
		succeeded: saved.Saved, fromDisk: true,
		err: fmt.Errorf("routes from disk, as they were at %s; the store has not been read yet", saved.Saved.Format(time.RFC3339)),
	})
	g.config.Log.Info("routes from disk are in use until the store can be read", slog.Time("saved", saved.Saved), slog.Int("routes", len(saved.Routes)))
}

// fromDisk is the tag of an object that was not read from the store.
const fromDisk = "from disk"

// saveRoutes writes the routes and replicas in use, when they have changed.
func (f *follower) saveRoutes() {
	if f.gateway.config.StateFile == "" {
		return
	}
	var next savedRoutes
	for _, e := range f.gateway.endpoints() {
		current := e.route.Load()
		if current == nil {
			continue
		}
		next.Routes = append(next.Routes, current.Route)
		for _, version := range e.versions() {
			replicas := models.Replicas{Endpoint: e.name, Version: version, URLs: []string{}}
			for _, r := range *e.pool(version).replicas.Load() {
				replicas.URLs = append(replicas.URLs, r.base.String())
			}
			next.Replicas = append(next.Replicas, replicas)
		}
	}
	content, err := json.Marshal(next)
	if err == nil && bytes.Equal(content, f.saved) {
		return
	}
	next.Saved = time.Now().UTC()
	var data []byte
	if err == nil {
		data, err = json.MarshalIndent(next, "", "  ")
	}
	if err == nil {
		err = replaceFile(f.gateway.config.StateFile, data)
	}
	switch {
	case err != nil && !f.unsaved:
		f.gateway.config.Log.Warn("the routes can't be saved; a gateway that starts while the store is out will have none", slog.Any("error", err))
	case err == nil:
		f.saved = content
	}
	f.unsaved = err != nil
}

// replaceFile leaves the old file or the new one, whenever it is interrupted.
func replaceFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
