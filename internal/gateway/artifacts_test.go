package gateway

import (
	"context"
	"reflect"
	"testing"

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
