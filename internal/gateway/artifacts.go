package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// maxObject bounds what is read of the store: routes and replicas are small.
const maxObject = 1 << 20

// A store that takes a question and never answers must not hold the gateway's
// loops, nor the callers who send labels, for as long as a connection may be
// silent. Segments have a few megabytes, which slow links carry in that time.
const (
	readWithin  = 10 * time.Second
	writeWithin = 30 * time.Second
)

// within bounds one call.
func within(ctx context.Context, most time.Duration, call func(context.Context) error) error {
	bounded, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("the store has not answered for %s", most))
	defer cancel()
	err := call(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return context.Cause(bounded)
	}
	return err
}

// Artifacts is the artifact store as a gateway's Store.
type Artifacts struct{ Store artifact.Store }

var _ Store = Artifacts{}

// List implements Store.
func (a Artifacts) List(ctx context.Context, prefix string) (objects []Object, err error) {
	err = within(ctx, readWithin, func(ctx context.Context) error {
		infos, err := a.Store.List(ctx, prefix)
		if err != nil {
			return err
		}
		objects = make([]Object, len(infos))
		for i, info := range infos {
			objects[i] = Object{Key: info.Key, ETag: info.ETag}
		}
		return nil
	})
	return objects, err
}

// Get implements Store.
func (a Artifacts) Get(ctx context.Context, key string) (data []byte, err error) {
	err = within(ctx, readWithin, func(ctx context.Context) error {
		data, _, err = artifact.GetBytes(ctx, a.Store, key, maxObject)
		return err
	})
	return data, err
}

// Put implements Store.
func (a Artifacts) Put(ctx context.Context, key string, data []byte) error {
	return within(ctx, writeWithin, func(ctx context.Context) error {
		_, err := artifact.PutBytes(ctx, a.Store, key, data, artifact.PutOptions{})
		return err
	})
}
