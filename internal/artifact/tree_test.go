package artifact_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// unread is a store that does not answer once when a manifest is read, and takes
// no more than a few objects.
type unread struct {
	*artifact.Memory
	manifest string
	takes    int
}

func (u *unread) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	if key == u.manifest {
		u.manifest = ""
		return nil, artifact.Info{}, &artifact.Error{Op: "get", URI: key, Class: artifact.ErrUnavailable}
	}
	return u.Memory.Get(ctx, key)
}

func (u *unread) Upload(ctx context.Context, key string, r io.ReaderAt, size int64, o artifact.PutOptions) (artifact.Info, error) {
	if u.takes--; u.takes < 0 {
		return artifact.Info{}, &artifact.Error{Op: "put", URI: key, Class: artifact.ErrUnavailable}
	}
	return u.Memory.Upload(ctx, key, r, size, o)
}

// Whatever fails while another tree is put in a tree's place, no manifest says that
// files are there which are not.
func TestNoManifestOfATreeThatIsBeingReplaced(t *testing.T) {
	dir, store := t.TempDir(), artifact.NewMemory("bucket")
	put := func(s artifact.Store, content string) error {
		if err := os.WriteFile(filepath.Join(dir, "a"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "b"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := artifact.PutTree(t.Context(), s, dir, "tree")
		return err
	}
	if err := put(store, "old"); err != nil {
		t.Fatal(err)
	}
	if err := put(&unread{Memory: store, manifest: "tree.json", takes: 1}, "new"); !errors.Is(err, artifact.ErrUnavailable) {
		t.Fatalf("error %v", err)
	}
	ref, err := artifact.FindTree(t.Context(), store, "tree")
	if errors.Is(err, artifact.ErrNotFound) {
		return
	}
	if err == nil {
		err = artifact.GetTree(t.Context(), store, ref, filepath.Join(t.TempDir(), "out"))
	}
	if err != nil {
		t.Errorf("the manifest says that the tree is complete; it is not: %v", err)
	}
}
