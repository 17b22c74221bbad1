package artifact

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
)

// Routed is a store that holds what lies below a prefix.
type Routed struct {
	Prefix string // s3://bucket/ or s3://bucket/prefix/
	Store  Store
}

// Stores is one bucket in front of several stores. A URI alone decides which of
// them holds an object: that with the longest prefix of it, else the usual one.
// Whoever has a Stores reads and writes any URI without knowing where it lies.
type Stores struct {
	bucket string
	routes *routes
}

type routes struct {
	usual  Store
	routed []Routed // the longest prefix first
}

var _ Store = (*Stores)(nil)

// NewStores returns the usual store's bucket, from which the others are reached.
func NewStores(usual Store, routed ...Routed) *Stores {
	routed = slices.Clone(routed)
	slices.SortFunc(routed, func(a, b Routed) int {
		return cmp.Or(cmp.Compare(len(b.Prefix), len(a.Prefix)), strings.Compare(a.Prefix, b.Prefix))
	})
	return &Stores{bucket: usual.Bucket(), routes: &routes{usual: usual, routed: routed}}
}

// Routed are the stores beside the usual one.
func (s *Stores) Routed() []Routed { return slices.Clone(s.routes.routed) }

// Usual is the store of what no prefix covers.
func (s *Stores) Usual() Store { return s.routes.usual }

// Profile is the prefix that a URI falls under; empty: the usual store has it.
func (s *Stores) Profile(uri string) string {
	if i := s.routes.find(uri); i >= 0 {
		return s.routes.routed[i].Prefix
	}
	return ""
}

// find is the index of the store that holds a URI; -1: the usual one.
func (r *routes) find(uri string) int {
	return slices.IndexFunc(r.routed, func(to Routed) bool { return strings.HasPrefix(uri, to.Prefix) })
}

// holder is the store of a key, in this bucket.
func (s *Stores) holder(key string) Store { return s.bucketAt(s.routes.find(URI(s, key))) }

func (s *Stores) bucketAt(route int) Store {
	at := s.routes.usual
	if route >= 0 {
		at = s.routes.routed[route].Store
	}
	if at.Bucket() == s.bucket {
		return at
	}
	return at.InBucket(s.bucket)
}

// EnsureBucket creates the bucket, where a store can, unless it exists.
func (s *Stores) EnsureBucket(ctx context.Context) error {
	if at, can := s.holder("").(interface{ EnsureBucket(context.Context) error }); can {
		return at.EnsureBucket(ctx)
	}
	return nil
}

// Probe asks the store of a prefix for one object's name, where it can be asked:
// see S3.Probe.
func (s *Stores) Probe(ctx context.Context, prefix string) error {
	if at, can := s.holder(prefix).(*S3); can {
		return at.Probe(ctx, prefix)
	}
	return nil
}

// Bucket implements Store.
func (s *Stores) Bucket() string { return s.bucket }

// InBucket implements Store.
func (s *Stores) InBucket(bucket string) Store { return &Stores{bucket: bucket, routes: s.routes} }

// Put implements Store.
func (s *Stores) Put(ctx context.Context, key string, r io.Reader, size int64, o PutOptions) (Info, error) {
	return s.holder(key).Put(ctx, key, r, size, o)
}

// Upload implements Store.
func (s *Stores) Upload(ctx context.Context, key string, r io.ReaderAt, size int64, o PutOptions) (Info, error) {
	return s.holder(key).Upload(ctx, key, r, size, o)
}

// Get implements Store.
func (s *Stores) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	return s.holder(key).Get(ctx, key)
}

// GetRange implements Store.
func (s *Stores) GetRange(ctx context.Context, key string, offset, length int64, etag string) (io.ReadCloser, Info, error) {
	return s.holder(key).GetRange(ctx, key, offset, length, etag)
}

// Stat implements Store.
func (s *Stores) Stat(ctx context.Context, key string) (Info, error) {
	return s.holder(key).Stat(ctx, key)
}

// Delete implements Store.
func (s *Stores) Delete(ctx context.Context, key string) error {
	return s.holder(key).Delete(ctx, key)
}

// List implements Store. A prefix may cover several stores: each lists its own.
func (s *Stores) List(ctx context.Context, prefix string) ([]Info, error) {
	uri := URI(s, prefix)
	home := s.routes.find(uri)
	found, err := s.listOwn(ctx, home, prefix)
	if err != nil {
		return nil, err
	}
	for i, to := range s.routes.routed {
		if i == home || !strings.HasPrefix(to.Prefix, uri) {
			continue
		}
		more, err := s.listOwn(ctx, i, strings.TrimPrefix(to.Prefix, URI(s, "")))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
	return found, nil
}

// listOwn leaves out what lies in one store and belongs to another.
func (s *Stores) listOwn(ctx context.Context, route int, prefix string) ([]Info, error) {
	found, err := s.bucketAt(route).List(ctx, prefix)
	return slices.DeleteFunc(found, func(i Info) bool { return s.routes.find(URI(s, i.Key)) != route }), err
}
