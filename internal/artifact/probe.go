package artifact

import (
	"context"

	"github.com/minio/minio-go/v7"
)

// Probe asks for one object's name below a prefix: it succeeds when the server
// answers, knows the credentials, and has the bucket. Nothing is written.
func (s *S3) Probe(ctx context.Context, prefix string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, MaxKeys: 1}) {
		return s.fail(ctx, "look into", prefix, o.Err)
	}
	return nil
}
