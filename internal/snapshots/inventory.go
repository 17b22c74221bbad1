package snapshots

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// Item is a snapshot as it was found.
type Item struct {
	Snapshot string
	// Manifest is nil where there is none: a preparation that has not ended, or
	// what a killed collection has left.
	Manifest *models.SnapshotManifest
	Uses     []models.SnapshotUse // oldest first
	Files    []string             // digests of the objects that it needs, sorted
	Bytes    int64                // of these
	Made     time.Time            // when the manifest was written, or whatever there is
	Since    time.Time            // when its newest object was written, uses aside
	state    stored
	own      int64 // bytes of its other objects
}

// Phase is where it stands.
func (i Item) Phase() Phase {
	if i.state.etag == "" {
		return Live
	}
	return i.state.Phase
}

// LastUse is the newest use; ok is false where none is recorded.
func (i Item) LastUse() (use models.SnapshotUse, ok bool) {
	if len(i.Uses) == 0 {
		return use, false
	}
	return i.Uses[len(i.Uses)-1], true
}

// List finds all snapshots, sorted by digest. Of each the state is read before
// the uses: see the package comment.
func (c Catalog) List(ctx context.Context) ([]Item, error) {
	there, err := c.Store.List(ctx, Prefix)
	if err != nil {
		return nil, err
	}
	keys := map[string][]artifact.Info{}
	var names []string
	for _, info := range there {
		name, _, ok := owner(Prefix, info.Key)
		if !ok || !isDigest(name) {
			continue // not ours
		}
		if keys[name] == nil {
			names = append(names, name)
		}
		keys[name] = append(keys[name], info)
	}
	items := make([]Item, len(names))
	group, inGroup := c.group(ctx)
	for i, name := range names {
		group.Go(func() (err error) {
			items[i], err = c.item(inGroup, name, keys[name])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	// What a deletion has emptied in the meantime is no snapshot any more.
	return slices.DeleteFunc(items, func(i Item) bool {
		return i.Manifest == nil && i.state.etag == "" && len(i.Uses) == 0 && i.Since.IsZero()
	}), nil
}

func (c Catalog) item(ctx context.Context, name string, there []artifact.Info) (Item, error) {
	item := Item{Snapshot: name}
	var err error
	if item.state, err = c.state(ctx, name); err != nil {
		return item, err
	}
	for _, info := range there {
		item.own += info.Size
		if !strings.HasPrefix(info.Key, UsesPrefix(name)) && info.Modified.After(item.Since) {
			item.Since = info.Modified
		}
		if item.Made.IsZero() || info.Key == ManifestKey(name) {
			item.Made = info.Modified
		}
	}
	manifest, err := c.manifest(ctx, name)
	if err != nil {
		return item, err
	}
	item.Files = item.state.Files
	if manifest != nil {
		decoded, err := dataset.Decode(manifest)
		if err != nil {
			return item, malformed(artifact.URI(c.Store, ManifestKey(name)), "a manifest", err)
		}
		item.Manifest, item.Files = &decoded, Files(decoded)
		item.Bytes = int64(len(manifest)) + decoded.Profile.Size
		for _, f := range decoded.Files {
			item.Bytes += f.Size
		}
	}
	item.Uses, err = c.Uses(ctx, name)
	return item, err
}

// named are the files of all snapshots but one, as their states and manifests say
// now.
func (g *Collector) named(ctx context.Context, except string) (map[string]bool, error) {
	there, err := g.Catalog.Store.List(ctx, Prefix)
	if err != nil {
		return nil, err
	}
	lists := make([][]string, len(there))
	group, inGroup := g.Catalog.group(ctx)
	for i, info := range there {
		name, rest, _ := owner(Prefix, info.Key)
		if name == except || !isDigest(name) || (rest != stateName && rest != manifestName) {
			continue
		}
		version := info.Key + " " + info.ETag
		if files, known := g.read[version]; known {
			lists[i] = files
			continue
		}
		group.Go(func() (err error) {
			lists[i], err = g.Catalog.filesOf(inGroup, name, rest)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for i, list := range lists {
		g.read[there[i].Key+" "+there[i].ETag] = list
		for _, digest := range list {
			named[digest] = true
		}
	}
	return named, nil
}

// filesOf are the files that a snapshot's state or manifest names.
func (c Catalog) filesOf(ctx context.Context, snapshot, object string) ([]string, error) {
	if object == stateName {
		found, err := c.state(ctx, snapshot)
		return found.Files, err
	}
	raw, err := c.manifest(ctx, snapshot)
	if raw == nil || err != nil {
		return nil, err
	}
	decoded, err := dataset.Decode(raw)
	return Files(decoded), err
}

// stat is an object's size and age; ok is false where it is gone.
func (c Catalog) stat(ctx context.Context, key string) (info artifact.Info, ok bool, err error) {
	info, err = c.Store.Stat(ctx, key)
	if errors.Is(err, artifact.ErrNotFound) {
		return info, false, nil
	}
	return info, err == nil, err
}
