package spec

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

func TestStoreUploader(t *testing.T) {
	store := artifact.NewMemory("bucket")
	uploader := StoreUploader{Store: store}
	path := filepath.Join(t.TempDir(), "f")
	upload := func(key, text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		content, err := readFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := uploader.Upload(t.Context(), key, content); err != nil {
			t.Fatal(err)
		}
		object, info, err := store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := io.ReadAll(object)
		if err != nil || object.Close() != nil {
			t.Fatal(err)
		}
		if info.SHA256 == "" {
			t.Errorf("%s was stored without its digest", key)
		}
		return string(stored)
	}
	if got := upload("data/1/a", "one"); got != "one" {
		t.Errorf("stored %q", got)
	}
	if got := upload("data/1/a", "two"); got != "one" {
		t.Errorf("an object of the same size was stored again: %q", got)
	}
	if got := upload("data/1/a", "three"); got != "three" {
		t.Errorf("an object of another size was kept: %q", got)
	}
	if got, want := uploader.URI("data/1/"), "s3://bucket/data/1/"; got != want {
		t.Errorf("URI = %s, want %s", got, want)
	}
}
