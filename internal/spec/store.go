package spec

import (
	"context"
	"errors"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// StoreUploader uploads to a bucket.
type StoreUploader struct{ Store artifact.Store }

var _ Uploader = StoreUploader{}

// URI implements Uploader.
func (u StoreUploader) URI(key string) string { return artifact.URI(u.Store, key) }

// Upload implements Uploader. An object of the right size is taken for the
// content: its key holds the digest, and puts are atomic.
func (u StoreUploader) Upload(ctx context.Context, key string, content Content) (err error) {
	info, err := u.Store.Stat(ctx, key)
	if err == nil && info.Size == content.Size {
		return nil
	}
	if err != nil && !errors.Is(err, artifact.ErrNotFound) {
		return err
	}
	in, err := content.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	_, err = u.Store.Put(ctx, key, in, content.Size, artifact.PutOptions{SHA256: content.SHA256})
	return err
}
