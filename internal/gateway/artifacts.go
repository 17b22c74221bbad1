package gateway

import (
	"context"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// maxObject bounds what is read of the store: routes and replicas are small.
const maxObject = 1 << 20

// Artifacts is the artifact store as a gateway's Store.
type Artifacts struct{ Store artifact.Store }

var _ Store = Artifacts{}

// List implements Store.
func (a Artifacts) List(ctx context.Context, prefix string) ([]Object, error) {
	infos, err := a.Store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	objects := make([]Object, len(infos))
	for i, info := range infos {
		objects[i] = Object{Key: info.Key, ETag: info.ETag}
	}
	return objects, nil
}

// Get implements Store.
func (a Artifacts) Get(ctx context.Context, key string) ([]byte, error) {
	data, _, err := artifact.GetBytes(ctx, a.Store, key, maxObject)
	return data, err
}

// Put implements Store.
func (a Artifacts) Put(ctx context.Context, key string, data []byte) error {
	_, err := artifact.PutBytes(ctx, a.Store, key, data, artifact.PutOptions{})
	return err
}
