package gateway

import "context"

// Store is the artifact store as the gateway uses it. It must be safe for
// concurrent use.
type Store interface {
	// List returns the objects whose keys start with prefix, sorted by key.
	List(ctx context.Context, prefix string) ([]Object, error)
	Get(ctx context.Context, key string) ([]byte, error)
	// Put replaces the object; when it returns nil the bytes are durable.
	Put(ctx context.Context, key string, data []byte) error
}

// Object is an object's name and the tag that changes with its content.
type Object struct {
	Key  string
	ETag string
}
