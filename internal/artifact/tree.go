package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

// TreeManifest is the content of <prefix>.json.
type TreeManifest struct {
	Format int        `json:"format"` // 1
	Files  []TreeFile `json:"files"`  // sorted by path
}

// TreeFile is one file of a tree, at <prefix>/<path>.
type TreeFile struct {
	Path   string `json:"path"` // slash-separated, relative
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

const (
	treeFormat      = 1
	maxTreeManifest = 16 << 20
	treeTransfers   = 4 // at once
)

// PutTree stores the files of a directory at prefix and the manifest at
// prefix.json, and returns the manifest's reference. A tree with the same
// manifest is complete and is not sent again. Over another tree at the same
// prefix, the old manifest goes first and the new one comes last, so that a
// crash leaves no manifest rather than a wrong one. Symbolic links are
// followed if they stay inside; empty directories are left out.
func PutTree(ctx context.Context, s Store, dir, prefix string) (models.Ref, error) {
	manifest, err := describeTree(dir)
	if err != nil {
		return models.Ref{}, err
	}
	encoded, err := json.Marshal(manifest)
	if err != nil {
		return models.Ref{}, localError("put tree", dir, err)
	}
	ref := models.Ref{URI: URI(s, TreeKey(prefix)), SHA256: Digest(encoded), Size: int64(len(encoded))}
	old, _, err := GetBytes(ctx, s, TreeKey(prefix), maxTreeManifest)
	if err == nil && bytes.Equal(old, encoded) {
		return ref, nil
	}
	if err == nil {
		if err := s.Delete(ctx, TreeKey(prefix)); err != nil {
			return models.Ref{}, err
		}
	}
	// Any other failure of reading the old manifest shows up again below.
	sizes, err := listedSizes(ctx, s, prefix+"/")
	if err != nil {
		return models.Ref{}, err
	}
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(treeTransfers)
	for _, f := range manifest.Files {
		group.Go(func() error {
			key := prefix + "/" + f.Path
			if size, ok := sizes[key]; ok && size == f.Size {
				if there, err := s.Stat(inGroup, key); err == nil && there.SHA256 == f.SHA256 {
					return nil // an upload that was interrupted has got so far
				}
			}
			_, err := putDigested(inGroup, s, key, filepath.Join(dir, filepath.FromSlash(f.Path)),
				models.Ref{SHA256: f.SHA256, Size: f.Size})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return models.Ref{}, err
	}
	_, err = PutBytes(ctx, s, TreeKey(prefix), encoded, PutOptions{ContentType: "application/json"})
	return ref, err
}

func listedSizes(ctx context.Context, s Store, prefix string) (map[string]int64, error) {
	there, err := s.List(ctx, prefix)
	sizes := make(map[string]int64, len(there))
	for _, info := range there {
		sizes[info.Key] = info.Size
	}
	return sizes, err
}

// TreeKey is the key of the manifest of the tree at prefix.
func TreeKey(prefix string) string { return prefix + ".json" }

// describeTree lists and digests the files of a directory.
func describeTree(dir string) (TreeManifest, error) {
	manifest := TreeManifest{Format: treeFormat, Files: []TreeFile{}}
	files, err := walkFiles(dir, nil)
	if err != nil {
		return TreeManifest{}, err
	}
	for _, f := range files {
		digest, size, err := digestFile(filepath.Join(dir, filepath.FromSlash(f.path)))
		if err != nil {
			return TreeManifest{}, localError("put tree", dir, err)
		}
		manifest.Files = append(manifest.Files, TreeFile{Path: f.path, SHA256: digest, Size: size})
	}
	if len(manifest.Files) == 0 {
		return TreeManifest{}, &Error{Op: "put tree", URI: dir, Message: "the directory has no files", Class: ErrInvalid}
	}
	return manifest, nil
}

// ReadTree reads and verifies a tree's manifest.
func ReadTree(ctx context.Context, s Store, ref models.Ref) (TreeManifest, error) {
	encoded, err := ReadRef(ctx, s, ref, maxTreeManifest)
	if err != nil {
		return TreeManifest{}, err
	}
	return ParseTree(encoded, ref.URI)
}

// FindTree returns the reference of the complete tree at prefix, or
// ErrNotFound.
func FindTree(ctx context.Context, s Store, prefix string) (models.Ref, error) {
	encoded, _, err := GetBytes(ctx, s, TreeKey(prefix), maxTreeManifest)
	if err != nil {
		return models.Ref{}, err
	}
	ref := models.Ref{URI: URI(s, TreeKey(prefix)), SHA256: Digest(encoded), Size: int64(len(encoded))}
	_, err = ParseTree(encoded, ref.URI)
	return ref, err
}

// ParseTree reads a tree's manifest, which uri names in errors. No path of it
// leaves the tree.
func ParseTree(encoded []byte, uri string) (TreeManifest, error) {
	var manifest TreeManifest
	bad := func(message string, cause error) error {
		return &Error{Op: "read tree", URI: uri, Message: message, Cause: cause, Class: ErrCorrupt,
			Hint: "it was not written by this program, or by a newer one"}
	}
	if err := json.Unmarshal(encoded, &manifest); err != nil || manifest.Format != treeFormat {
		return TreeManifest{}, bad("not a tree manifest of format 1", err)
	}
	for _, f := range manifest.Files {
		if !fs.ValidPath(f.Path) || f.Path == "." || strings.Contains(f.Path, `\`) {
			return TreeManifest{}, bad(fmt.Sprintf("the path %q leaves the tree", f.Path), nil)
		}
	}
	return manifest, nil
}

// GetTree fetches a tree into dir, which appears complete and verified, or not
// at all. A directory that already holds the tree stays; one that holds
// anything else is replaced.
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
	return replaceDir("get tree", dir, func(fresh string) error {
		group, inGroup := errgroup.WithContext(ctx)
		group.SetLimit(treeTransfers)
		for _, f := range manifest.Files {
			group.Go(func() error {
				_, err := GetFile(inGroup, of, prefix+"/"+f.Path, filepath.Join(fresh, filepath.FromSlash(f.Path)), f.SHA256)
				return err
			})
		}
		return group.Wait()
	})
}

// VerifyTree reads the files of the tree at prefix and compares their digests.
// ErrCorrupt says that one differs, ErrNotFound that one is missing.
func VerifyTree(ctx context.Context, s Store, prefix string, manifest TreeManifest) error {
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(treeTransfers)
	for _, f := range manifest.Files {
		group.Go(func() error { return verify(inGroup, s, prefix+"/"+f.Path, f) })
	}
	return group.Wait()
}

func verify(ctx context.Context, s Store, key string, want TreeFile) error {
	r, _, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // read errors are reported by the copy
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if got := sumOf(h); got != want.SHA256 {
		return corrupt("verify", URI(s, key), got, want.SHA256)
	}
	return nil
}

// replaceDir fills a fresh directory beside dir and then puts it in dir's
// place.
func replaceDir(op, dir string, fill func(fresh string) error) error {
	dir = filepath.Clean(dir)
	parent, name := filepath.Split(dir)
	if err := os.MkdirAll(filepath.Clean(parent), 0o755); err != nil {
		return localError(op, dir, err)
	}
	// Everything temporary is in one directory of its own, the old content too.
	work, err := os.MkdirTemp(parent, "."+name+".part-*")
	if err != nil {
		return localError(op, dir, err)
	}
	defer func() { _ = os.RemoveAll(work) }() // best effort: the name shows that it is left over
	fresh, old := filepath.Join(work, "fresh"), filepath.Join(work, "old")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return localError(op, dir, err)
	}
	if err := fill(fresh); err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil && !os.IsNotExist(err) {
		return localError(op, dir, err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return localError(op, dir, err)
	}
	return nil
}
