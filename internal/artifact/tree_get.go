package artifact

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

// GetTree fetches a tree into dir, which appears complete and verified, or not
// at all. A directory that already holds the tree stays; one that holds
// anything else is replaced. What an attempt that was interrupted has brought is
// kept beside dir and used by the next one.
func GetTree(ctx context.Context, s Store, ref models.Ref, dir string) error {
	manifest, err := ReadTree(ctx, s, ref)
	if err != nil {
		return err
	}
	of, key, err := locate(s, ref.URI)
	if err != nil {
		return err
	}
	prefix, ok := strings.CutSuffix(key, ".json")
	if !ok {
		return &Error{Op: "get tree", URI: ref.URI, Message: "a tree's reference ends with .json", Class: ErrInvalid}
	}
	if there, err := describeTree(dir); err == nil && slices.Equal(there.Files, manifest.Files) {
		return nil
	}
	return resumeDir("get tree", dir, func(fresh string) error {
		if err := keepOnly(fresh, manifest); err != nil {
			return localError("get tree", fresh, err)
		}
		if err := enoughSpace(dir, missingBytes(fresh, manifest)); err != nil {
			return err
		}
		group, inGroup := errgroup.WithContext(ctx)
		group.SetLimit(fileTransfers)
		for _, f := range manifest.Files {
			group.Go(func() error { return getTreeFile(inGroup, of, prefix+"/"+f.Path, fresh, f) })
		}
		return group.Wait()
	})
}

// getTreeFile fetches a file, unless an attempt that was interrupted has.
func getTreeFile(ctx context.Context, s Store, key, dir string, f TreeFile) error {
	file := treePath(dir, f)
	if info, err := os.Stat(file); err == nil && info.Size() == f.Size {
		if content, err := sumFile(file); err == nil && content.sha256 == f.SHA256 {
			return nil
		}
	}
	_, err := download{s: s, key: key, file: file, want: f.SHA256, size: f.Size}.fetch(ctx)
	return err
}

func treePath(dir string, f TreeFile) string { return filepath.Join(dir, filepath.FromSlash(f.Path)) }

// keepOnly empties a directory that has files of another tree, which an attempt
// at that one has left. Of this tree it removes only what can't be gone on with.
func keepOnly(dir string, manifest TreeManifest) error {
	keep := map[string]bool{}
	for _, f := range manifest.Files {
		keep[treePath(dir, f)] = true
		keep[partName(treePath(dir, f))] = true
	}
	foreign := false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !keep[path] && keep[partOf(path)] {
			return os.Remove(path) // of a process that was killed, and not resumed
		}
		if err == nil && entry.IsDir() == keep[path] { // a directory in a file's place, or a foreign file
			foreign = true
			return fs.SkipAll
		}
		return err
	})
	if err != nil || !foreign {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o755)
}

// partOf is the file that a part of a random name was to become; empty: it is none.
func partOf(path string) string {
	dir, name := filepath.Split(path)
	at := strings.LastIndex(name, ".part-")
	if at <= 1 || name[0] != '.' {
		return ""
	}
	return filepath.Join(dir, name[1:at])
}

// missingBytes is what the tree needs on the disk beside what is there.
func missingBytes(dir string, manifest TreeManifest) (n int64) {
	for _, f := range manifest.Files {
		if info, err := os.Stat(treePath(dir, f)); err == nil && info.Size() == f.Size {
			continue
		}
		n += f.Size - min(f.Size, allocated(partName(treePath(dir, f))))
	}
	return n
}
