package copying

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// Item is one object of a plan.
type Item struct {
	From string // URI
	Key  string // below the destination
	Size int64
	// SHA256 is what the bytes must have; empty: what the source's store says of
	// them, if it does.
	SHA256 string
	// ETag is the source's when it was listed; empty: not known.
	ETag string
	// Late items are copied after all others.
	Late bool
}

// Seal is an object that is written after all items.
type Seal struct {
	Key     string // below the destination
	Content []byte
}

// Plan is everything that one copy writes.
type Plan struct {
	What  string // such as "snapshot 5f1c…", for people
	Items []Item // sorted by key, each once
	Seals []Seal // in the order in which they are written
	// IsSnapshot says that the last seal is a snapshot's manifest.
	IsSnapshot bool
}

// Bytes is the size of all items.
func (p Plan) Bytes() (total int64) {
	for _, i := range p.Items {
		total += i.Size
	}
	return total
}

// sorted puts the items in order and leaves out those that are named twice.
func (p Plan) sorted() Plan {
	slices.SortFunc(p.Items, func(a, b Item) int { return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.From, b.From)) })
	p.Items = slices.CompactFunc(p.Items, func(a, b Item) bool { return a.Key == b.Key && a.From == b.From })
	return p
}

// Limits of what a plan holds in memory.
const (
	maxManifest = 32 << 20
	maxReport   = 32 << 20
)

// Snapshot plans the copy of a snapshot, given the URI of its manifest.json. At
// the destination it lies as it does at its source: snapshots/<digest>/ and
// objects/<digest>, below one root.
func Snapshot(ctx context.Context, store artifact.Store, manifestURI string) (Plan, error) {
	root, digest, ok := dataset.SplitManifestURI(manifestURI)
	if !ok {
		return Plan{}, fmt.Errorf("%s is not the manifest of a snapshot, which lies at snapshots/<SHA-256>/manifest.json", manifestURI)
	}
	encoded, err := readURI(ctx, store, manifestURI, maxManifest)
	if err != nil {
		return Plan{}, err
	}
	if got := artifact.Digest(encoded); got != digest {
		return Plan{}, corrupt(manifestURI, got, digest)
	}
	manifest, err := dataset.Decode(encoded)
	if err != nil {
		return Plan{}, fmt.Errorf("%s: %w", manifestURI, err)
	}
	plan := Plan{What: "snapshot " + digest, IsSnapshot: true}
	object := func(ref models.Ref) {
		key := dataset.ObjectKey(ref.SHA256)
		plan.Items = append(plan.Items, Item{From: join(root, key), Key: key, Size: ref.Size, SHA256: ref.SHA256})
	}
	for _, f := range manifest.Files {
		object(f.Ref)
	}
	if manifest.Profile.SHA256 != "" {
		object(manifest.Profile)
	}
	reportURI := strings.TrimSuffix(manifestURI, "manifest.json") + "report.json"
	report, err := readURI(ctx, store, reportURI, maxReport)
	switch {
	case err == nil:
		plan.Seals = append(plan.Seals, Seal{Key: strings.TrimPrefix(reportURI, root), Content: report})
	case !errors.Is(err, artifact.ErrNotFound):
		return Plan{}, err
	}
	plan.Seals = append(plan.Seals, Seal{Key: dataset.ManifestKey(digest), Content: encoded})
	return plan.sorted(), nil
}

// Tree plans the copy of a tree, given the reference of its manifest. Its files
// come to lie at <key>/<path>, and its manifest at <key>.json.
func Tree(ctx context.Context, store artifact.Store, manifest models.Ref, key string) (Plan, error) {
	encoded, err := readURI(ctx, store, manifest.URI, maxManifest)
	if err != nil {
		return Plan{}, err
	}
	if got := artifact.Digest(encoded); manifest.SHA256 != "" && got != manifest.SHA256 {
		return Plan{}, corrupt(manifest.URI, got, manifest.SHA256)
	}
	tree, err := artifact.ParseTree(encoded, manifest.URI)
	if err != nil {
		return Plan{}, err
	}
	from, _ := strings.CutSuffix(manifest.URI, ".json")
	plan := Plan{What: "tree " + from, Seals: []Seal{{Key: artifact.TreeKey(key), Content: encoded}}}
	for _, f := range tree.Files {
		plan.Items = append(plan.Items, Item{From: join(from+"/", f.Path), Key: path.Join(key, f.Path), Size: f.Size, SHA256: f.SHA256})
	}
	return plan.sorted(), nil
}

// Objects plans the copy of all that a URI covers. One object keeps its name;
// what lies below a prefix keeps its path below it. Objects that name others
// come last: <name>.json beside a directory <name>, and every manifest.json.
func Objects(ctx context.Context, store artifact.Store, uri string) (Plan, error) {
	found, err := artifact.ListURI(ctx, store, uri)
	if err != nil {
		return Plan{}, err
	}
	root := strings.TrimSuffix(uri, "/") + "/"
	if local, ok := artifact.LocalPath(uri); ok { // what is listed is written in one way, whatever a person wrote
		root = strings.TrimSuffix(artifact.FileURI(local), "/") + "/"
	}
	plan := Plan{What: uri}
	dirs := map[string]bool{}
	for _, f := range found {
		key := keyBelow(root, f.URI)
		for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
			dirs[dir] = true
		}
		plan.Items = append(plan.Items, Item{From: f.URI, Key: key, Size: f.Size, ETag: f.ETag})
	}
	for i, item := range plan.Items {
		name, isJSON := strings.CutSuffix(item.Key, ".json")
		plan.Items[i].Late = isJSON && dirs[name] || path.Base(item.Key) == "manifest.json"
	}
	return plan.sorted(), nil
}

func readURI(ctx context.Context, store artifact.Store, uri string, limit int64) ([]byte, error) {
	stream, source, err := artifact.OpenURI(ctx, store, uri)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }() // only read from
	return readAll(stream, source, limit)
}

// join is the URI of a key below a root that ends with a slash.
func join(root, key string) string {
	if strings.HasPrefix(root, "file://") {
		return root + (&url.URL{Path: key}).EscapedPath()
	}
	return root + key
}

// keyBelow is the key of a URI below a root, or its name if it is not below.
func keyBelow(root, uri string) string {
	key, below := strings.CutPrefix(uri, root)
	if !below {
		key = path.Base(uri)
	}
	if plain, err := url.PathUnescape(key); err == nil && strings.HasPrefix(uri, "file://") {
		return plain
	}
	return key
}
