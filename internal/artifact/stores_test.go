package artifact_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/artifact/artifacttest"
	"github.com/mainspring-ml/mainspring/models"
)

// world is three clouds: one for everything, one for a bucket, one for a part of
// that bucket.
type world struct {
	usual, lake, raw *artifact.Memory
	stores           *artifact.Stores
}

func newWorld() world {
	w := world{usual: artifact.NewMemory("main"), lake: artifact.NewMemory("lake"), raw: artifact.NewMemory("lake")}
	w.stores = artifact.NewStores(w.usual, artifact.Routed{Prefix: "s3://lake/", Store: w.lake}, artifact.Routed{Prefix: "s3://lake/raw/", Store: w.raw})
	return w
}

func keysOf(t *testing.T, s artifact.Store) []string {
	t.Helper()
	found, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, i := range found {
		keys = append(keys, i.Key)
	}
	return keys
}

func TestStoresPassTheSuite(t *testing.T) {
	w := newWorld()
	artifacttest.Run(t, func(testing.TB) artifact.Store { return w.stores })
	lake := w.stores.InBucket("lake")
	artifacttest.Run(t, func(testing.TB) artifact.Store { return lake })
}

func TestTheLongestPrefixHoldsAnObject(t *testing.T) {
	w := newWorld()
	for _, key := range []string{"a", "raw/1", "raw/deep/2", "rawhide"} {
		if _, err := artifact.PutBytes(t.Context(), w.stores.InBucket("lake"), key, []byte(key), artifact.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := artifact.PutBytes(t.Context(), w.stores, "raw/1", []byte("mine"), artifact.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[artifact.Store][]string{w.usual: {"raw/1"}, w.lake: {"a", "rawhide"}, w.raw: {"raw/1", "raw/deep/2"}} {
		if got := keysOf(t, name); !slices.Equal(got, want) {
			t.Errorf("a store holds %v; want %v", got, want)
		}
	}
	for uri, want := range map[string]string{"s3://lake/raw/1": "s3://lake/raw/", "s3://lake/rawhide": "s3://lake/", "s3://main/a": "", "s3://lakehouse/a": ""} {
		if got := w.stores.Profile(uri); got != want {
			t.Errorf("%s is held by %q; want %q", uri, got, want)
		}
	}
}

func TestReferencesReachEveryStore(t *testing.T) {
	w := newWorld()
	ref, err := artifact.PutObjectBytes(t.Context(), w.raw, []byte("rows"))
	if err != nil {
		t.Fatal(err)
	}
	// The object lies in the store of raw/ under a key that the profile does not cover.
	if _, err := artifact.ReadRef(t.Context(), w.stores, ref, 100); err == nil {
		t.Error("a key outside the prefix was read from the prefix's store")
	}
	info, err := artifact.PutBytes(t.Context(), w.raw, "raw/rows", []byte("rows"), artifact.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := artifact.ReadRef(t.Context(), w.stores, models.Ref{URI: "s3://lake/raw/rows", SHA256: info.SHA256, Size: 4}, 100)
	if err != nil || string(b) != "rows" {
		t.Errorf("read %q, %v", b, err)
	}
}

// closed is a store that has not got the bucket that a profile is for.
type closed struct{ *artifact.Memory }

func (c closed) InBucket(string) artifact.Store { return c }

func (c closed) List(context.Context, string) ([]artifact.Info, error) {
	return nil, artifact.ErrDenied
}

func TestASourceWithoutASlashLiesInTheStoreOfItsProfile(t *testing.T) {
	w := newWorld()
	stores := artifact.NewStores(closed{w.usual}, artifact.Routed{Prefix: "s3://lake/raw/", Store: w.raw})
	if _, err := artifact.PutBytes(t.Context(), stores.InBucket("lake"), "raw/1", nil, artifact.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"s3://lake/raw", "s3://lake/raw/", "s3://lake/raw/1"} {
		found, err := artifact.ListURI(t.Context(), stores, uri)
		if err != nil || len(found) != 1 || found[0].URI != "s3://lake/raw/1" {
			t.Errorf("%s covers %+v, %v", uri, found, err)
		}
	}
}

func TestAListingCoversAllStoresBelowIt(t *testing.T) {
	w := newWorld()
	put := func(s artifact.Store, key string) {
		if _, err := artifact.PutBytes(t.Context(), s, key, nil, artifact.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put(w.lake, "b")
	put(w.lake, "raw/hidden") // belongs to the other store, which does not have it
	put(w.raw, "raw/1")
	put(w.raw, "outside")
	put(w.lake, "rax")
	for prefix, want := range map[string]string{"": "b raw/1 rax", "ra": "raw/1 rax", "raw/": "raw/1", "raw": "raw/1", "raw/1": "raw/1", "b": "b", "x": ""} {
		found, err := w.stores.InBucket("lake").List(t.Context(), prefix)
		var keys []string
		for _, i := range found {
			keys = append(keys, i.Key)
		}
		if got := strings.Join(keys, " "); err != nil || got != want {
			t.Errorf("below %q are %q (%v); want %q", prefix, got, err, want)
		}
	}
}
