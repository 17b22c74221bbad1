package activities

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// aged is a store that was filled long ago; what is put now is new.
type aged struct {
	artifact.Store
	puts map[string]int
}

func (a aged) Put(ctx context.Context, key string, r io.Reader, size int64, o artifact.PutOptions) (artifact.Info, error) {
	a.puts[key]++
	return a.Store.Put(ctx, key, r, size, o)
}

func (a aged) Upload(ctx context.Context, key string, r io.ReaderAt, size int64, o artifact.PutOptions) (artifact.Info, error) {
	a.puts[key]++
	return a.Store.Upload(ctx, key, r, size, o)
}

func (a aged) Stat(ctx context.Context, key string) (artifact.Info, error) {
	info, err := a.Store.Stat(ctx, key)
	if a.puts[key] == 0 {
		info.Modified = info.Modified.Add(-snapshots.Grace)
	}
	return info, err
}

// An object that a collection could take before a preparation names it is written
// again, once.
func TestOldObjectsAreWrittenAgain(t *testing.T) {
	memory := artifact.NewMemory("data")
	table := dataset.Table{Series: []dataset.Series{{Name: "x", Type: dataset.TypeFloat64, Floats: []float64{1, 2}}}}
	file := filepath.Join(t.TempDir(), "part.csv")
	if err := os.WriteFile(file, []byte("x\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeBoth := func(store artifact.Store) (keys []string) {
		written, err := writeTable(t.Context(), store, table, nil)
		if err != nil {
			t.Fatal(err)
		}
		left, err := storeFile(t.Context(), store, file)
		if err != nil {
			t.Fatal(err)
		}
		return []string{artifact.ObjectKey(written.SHA256), artifact.ObjectKey(left.SHA256)}
	}
	writeBoth(memory)
	now := aged{memory, map[string]int{}}
	writeBoth(now)
	for _, key := range writeBoth(now) {
		if now.puts[key] != 1 {
			t.Errorf("%s was written %d times", key, now.puts[key])
		}
	}
}

// What a collection is about to delete is not counted on, however much of it is
// still there.
func TestOutputsThatAreBeingCollectedAreNotFound(t *testing.T) {
	memory := artifact.NewMemory("data")
	ref, err := artifact.PutObjectBytes(t.Context(), memory, []byte("x\n1\n"))
	if err != nil {
		t.Fatal(err)
	}
	kept, outputs := transforms{memory}, []models.Partition{{URI: ref.URI, Size: ref.Size, Name: "x.csv"}}
	if _, stays, err := kept.keepTask(t.Context(), "preparations/p/transformed/0-1.json", outputs); err != nil || !stays {
		t.Fatalf("outputs that nobody collects: %t, %v", stays, err)
	}
	intent, err := json.Marshal(snapshots.Intent{Format: 1, Owner: "a collection", At: time.Now(), Files: []string{ref.SHA256}})
	if err == nil {
		_, err = artifact.PutBytes(t.Context(), memory, snapshots.IntentKey, intent, artifact.PutOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, stays, err := kept.keepTask(t.Context(), "preparations/p/transformed/0-1.json", outputs); err != nil || stays {
		t.Errorf("outputs that are being collected: %t, %v", stays, err)
	}
}
