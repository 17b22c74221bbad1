package copying

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// Destination is where a copy goes. Everything that it takes appears complete
// and with the digest that was named, or not at all, and replaces what was
// there. It is safe for concurrent use.
type Destination interface {
	// URI is that of a key.
	URI(key string) string
	// Begin fails if nothing can be copied there. The function that it returns is
	// called once, with whether everything was copied.
	Begin(ctx context.Context) (end func(whole bool) error, err error)
	// Has reports whether an object with that digest and size is there.
	Has(ctx context.Context, key, sha256 string, size int64) (bool, error)
	// Read returns what is there, at most limit bytes, or ErrNotFound.
	Read(ctx context.Context, key string, limit int64) ([]byte, error)
	// PutBytes stores content whose digest is known.
	PutBytes(ctx context.Context, key string, content []byte, sha256 string) error
	// Fetch stores the object that a source's item names. moved may be told how
	// many bytes have come.
	Fetch(ctx context.Context, source artifact.Store, item Item, moved func(int64)) error
}

// Open returns the destination that a URI names: s3://bucket/prefix/ on any
// store that s reaches, or file:///directory/.
func Open(s artifact.Store, uri string) (Destination, error) {
	if path, ok := artifact.LocalPath(uri); ok {
		return newDirectory(path), nil
	}
	bucket, prefix, err := artifact.ParseURI(uri)
	if err != nil {
		return nil, &artifact.Error{Op: "copy to", URI: uri, Message: "not a place that can be copied to", Class: artifact.ErrInvalid,
			Hint: "write s3://bucket/prefix/ or file:///absolute/directory/"}
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		return nil, &artifact.Error{Op: "copy to", URI: uri, Message: "a destination is a prefix", Class: artifact.ErrInvalid,
			Hint: "write it with a slash at its end: " + uri + "/"}
	}
	return &bucketPrefix{store: s.InBucket(bucket), prefix: prefix}, nil
}

// bucketPrefix is a prefix of a bucket.
type bucketPrefix struct {
	store  artifact.Store
	prefix string // empty, or ending with a slash
}

var _ Destination = (*bucketPrefix)(nil)

func (d *bucketPrefix) key(key string) string { return d.prefix + key }

// URI implements Destination.
func (d *bucketPrefix) URI(key string) string { return artifact.URI(d.store, d.key(key)) }

// Begin implements Destination.
func (d *bucketPrefix) Begin(ctx context.Context) (end func(bool) error, err error) {
	if at, can := d.store.(interface {
		Probe(ctx context.Context, prefix string) error
	}); can {
		err = at.Probe(ctx, d.prefix)
	}
	return func(bool) error { return nil }, err
}

// Has implements Destination. The digest is what whoever stored the object has
// vouched for; one that nobody vouched for is read.
func (d *bucketPrefix) Has(ctx context.Context, key, sha256 string, size int64) (bool, error) {
	there, err := d.store.Stat(ctx, d.key(key))
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return false, nil
	case err != nil || there.Size != size || there.SHA256 != "":
		return err == nil && there.Size == size && there.SHA256 == sha256, err
	}
	stream, _, err := d.store.Get(ctx, d.key(key))
	if err != nil {
		return false, err
	}
	got, _, err := digestOf(stream)
	return got == sha256, errors.Join(err, stream.Close())
}

// Read implements Destination.
func (d *bucketPrefix) Read(ctx context.Context, key string, limit int64) ([]byte, error) {
	b, _, err := artifact.GetBytes(ctx, d.store, d.key(key), limit)
	return b, err
}

// PutBytes implements Destination.
func (d *bucketPrefix) PutBytes(ctx context.Context, key string, content []byte, sha256 string) error {
	_, err := d.store.Put(ctx, d.key(key), bytes.NewReader(content), int64(len(content)), artifact.PutOptions{SHA256: sha256})
	return err
}

// Fetch implements Destination. The store keeps the parts that have arrived, and
// makes an object of them when all are there and the digest is the right one.
func (d *bucketPrefix) Fetch(ctx context.Context, source artifact.Store, item Item, moved func(int64)) error {
	content, err := openItem(ctx, source, item, moved)
	if err != nil {
		return err
	}
	_, err = d.store.Upload(ctx, d.key(item.Key), content, item.Size, artifact.PutOptions{SHA256: item.SHA256})
	if errors.Is(err, artifact.ErrChanged) {
		err = unlike(item, err)
	}
	return errors.Join(err, content.Close())
}
