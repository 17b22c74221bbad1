package artifact_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// vanishing removes files while a directory is being listed: when it is asked for
// the second time, the directory's names have been read.
type vanishing struct {
	context.Context
	asked *int
	files []string
}

func (v vanishing) Err() error {
	if *v.asked++; *v.asked == 2 {
		for _, file := range v.files {
			if err := os.RemoveAll(file); err != nil {
				return err
			}
		}
	}
	return v.Context.Err()
}

// Whoever writes beside a source renames files and removes others: that is no
// source that does not exist.
func TestListingWhileFilesVanish(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.csv", ".b.csv.tmp", "c/d.csv", "e.csv"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := vanishing{Context: t.Context(), asked: new(int), files: []string{filepath.Join(dir, ".b.csv.tmp"), filepath.Join(dir, "c")}}
	found, err := artifact.ListURI(ctx, nil, artifact.FileURI(dir))
	if err != nil || len(found) != 2 || filepath.Base(found[0].URI) != "a.csv" || filepath.Base(found[1].URI) != "e.csv" {
		t.Errorf("found %v, %v; want a.csv and e.csv", found, err)
	}
}
