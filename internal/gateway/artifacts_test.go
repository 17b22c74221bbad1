package gateway

import (
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// TestStores runs the same calls against the fake and the adapter.
func TestStores(t *testing.T) {
	for name, store := range map[string]Store{
		"fake": newMemoryStore(), "artifacts": Artifacts{artifact.NewMemory("bucket")},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			for _, key := range []string{"routes/b.json", "routes/a.json", "other/a.json"} {
				if err := store.Put(ctx, key, []byte(key)); err != nil {
					t.Fatal(err)
				}
			}
			first, err := store.List(ctx, "routes/")
			if err != nil {
				t.Fatal(err)
			}
			if len(first) != 2 || first[0].Key != "routes/a.json" || first[1].Key != "routes/b.json" || first[0].ETag == "" {
				t.Fatalf("listed %+v", first)
			}
			if err := store.Put(ctx, "routes/a.json", []byte("changed")); err != nil {
				t.Fatal(err)
			}
			second, err := store.List(ctx, "routes/")
			if err != nil || second[0].ETag == first[0].ETag || !reflect.DeepEqual(second[1], first[1]) {
				t.Errorf("listed %+v after %+v, %v", second, first, err)
			}
			if data, err := store.Get(ctx, "routes/a.json"); err != nil || string(data) != "changed" {
				t.Errorf("read %q, %v", data, err)
			}
			if _, err := store.Get(ctx, "routes/none.json"); err == nil {
				t.Error("read an object that does not exist")
			}
		})
	}
}

// silentStore takes every call and answers none.
type silentStore struct{ artifact.Store }

func (silentStore) List(ctx context.Context, _ string) ([]artifact.Info, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silentStore) Get(ctx context.Context, _ string) (io.ReadCloser, artifact.Info, error) {
	<-ctx.Done()
	return nil, artifact.Info{}, ctx.Err()
}

func (silentStore) Put(ctx context.Context, _ string, _ io.Reader, _ int64, _ artifact.PutOptions) (artifact.Info, error) {
	<-ctx.Done()
	return artifact.Info{}, ctx.Err()
}

// TestASilentStoreIsGivenUp: the loops go on, and whoever waits is told why.
func TestASilentStoreIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := Artifacts{silentStore{}}
		for name, test := range map[string]struct {
			call func(context.Context) error
			most time.Duration
		}{
			"list": {func(ctx context.Context) error { _, err := store.List(ctx, "routes/"); return err }, readWithin},
			"get":  {func(ctx context.Context) error { _, err := store.Get(ctx, "routes/a.json"); return err }, readWithin},
			"put":  {func(ctx context.Context) error { return store.Put(ctx, "routes/a.json", nil) }, writeWithin},
		} {
			began := time.Now()
			err := test.call(t.Context())
			if took := time.Since(began); took != test.most || err == nil || !strings.Contains(err.Error(), "has not answered") {
				t.Errorf("%s: %v after %s", name, err, took)
			}
			gone, leave := context.WithCancel(t.Context())
			leave()
			if err := test.call(gone); !errors.Is(err, context.Canceled) {
				t.Errorf("%s, caller gone: %v", name, err)
			}
		}
	})
}
