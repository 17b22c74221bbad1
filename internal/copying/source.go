package copying

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// FindSnapshot returns the URI of the manifest of the snapshot whose digest
// begins with prefix, in the store's bucket.
func FindSnapshot(ctx context.Context, store artifact.Store, prefix string) (string, error) {
	const dir = "snapshots/"
	found, err := store.List(ctx, dir+prefix)
	if err != nil {
		return "", err
	}
	var digests []string
	for _, info := range found {
		if _, digest, ok := dataset.SplitManifestURI(artifact.URI(store, info.Key)); ok {
			digests = append(digests, digest)
		}
	}
	switch len(digests) {
	case 0:
		return "", fmt.Errorf("%s has no snapshot whose digest begins with %s", artifact.URI(store, ""), prefix)
	case 1:
		return artifact.URI(store, dataset.ManifestKey(digests[0])), nil
	}
	const most = 5
	return "", fmt.Errorf("%d snapshots have a digest that begins with %s: write more of it (%s)", len(digests), prefix, strings.Join(digests[:min(most, len(digests))], ", "))
}

var snapshotDirectory = regexp.MustCompile(`/snapshots/[0-9a-f]{64}/?$`)

// At plans the copy of what a URI names: a snapshot by its manifest or its
// directory, a tree by its manifest or its prefix, one object, or all that lies
// below a prefix.
func At(ctx context.Context, store artifact.Store, uri string) (Plan, error) {
	if _, _, ok := dataset.SplitManifestURI(uri); ok {
		return Snapshot(ctx, store, uri)
	}
	if snapshotDirectory.MatchString(uri) {
		return Snapshot(ctx, store, strings.TrimSuffix(uri, "/")+"/manifest.json")
	}
	if strings.HasSuffix(uri, "/") {
		return Objects(ctx, store, uri)
	}
	manifest := uri
	if path.Ext(uri) != ".json" {
		manifest += ".json"
	}
	key := strings.TrimSuffix(path.Base(manifest), ".json")
	plan, err := Tree(ctx, store, models.Ref{URI: manifest}, key)
	// What is there and no tree is an object like any other.
	if err == nil || !errors.Is(err, artifact.ErrNotFound) && !errors.Is(err, artifact.ErrCorrupt) && !errors.Is(err, artifact.ErrTooLarge) {
		return plan, err
	}
	return Objects(ctx, store, uri)
}
