package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
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
)

// PutTree stores the files of a directory at prefix and the manifest at
// prefix.json, and returns the manifest's reference. A tree with the same
// manifest is complete and is not sent again; of another one, or of one that was
// interrupted, only what differs is. Over another tree at the same prefix, the
// old manifest goes first and the new one comes last, so that a crash leaves no
// manifest rather than a wrong one. Symbolic links are followed if they stay
// inside; empty directories are left out.
func PutTree(ctx context.Context, s Store, dir, prefix string) (models.Ref, error) {
	files, err := treeFiles(dir)
	if err != nil {
		return models.Ref{}, err
	}
	old, _, err := GetBytes(ctx, s, TreeKey(prefix), maxTreeManifest)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrTooLarge) {
		return models.Ref{}, err // there may be a manifest that has to go before a file does
	}
	if !errors.Is(err, ErrNotFound) {
		if ref, err := sameTree(s, dir, prefix, old); err != nil || ref.URI != "" {
			return ref, err
		}
		if err := s.Delete(ctx, TreeKey(prefix)); err != nil {
			return models.Ref{}, err
		}
	}
	sizes, err := listedSizes(ctx, s, prefix+"/")
	if err != nil {
		return models.Ref{}, err
	}
	manifest := TreeManifest{Format: treeFormat, Files: make([]TreeFile, len(files))}
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(fileTransfers)
	for i, f := range files {
		group.Go(func() error {
			key, path := prefix+"/"+f.path, filepath.Join(dir, filepath.FromSlash(f.path))
			size, there := sizes[key]
			digest, err := putTreeFile(inGroup, s, key, path, there && size == f.size)
			manifest.Files[i] = TreeFile{Path: f.path, SHA256: digest.SHA256, Size: digest.Size}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return models.Ref{}, err
	}
	encoded, ref, err := encodeTree(s, prefix, manifest)
	if err != nil {
		return models.Ref{}, err
	}
	_, err = PutBytes(ctx, s, TreeKey(prefix), encoded, PutOptions{ContentType: "application/json"})
	return ref, err
}

// putTreeFile stores a file, unless an upload of the tree that was interrupted,
// or an older tree, has left the same there.
func putTreeFile(ctx context.Context, s Store, key, path string, candidate bool) (models.Ref, error) {
	if !candidate {
		return PutFile(ctx, s, key, path)
	}
	content, err := sumFile(path)
	if err != nil {
		return models.Ref{}, localError("put tree", path, err)
	}
	there, err := s.Stat(ctx, key)
	if err == nil && there.Size == content.size && (there.SHA256 == content.sha256 || there.SHA256 == "" && there.crc == content.crc) {
		return models.Ref{SHA256: content.sha256, Size: content.size}, nil
	}
	return putLocal(ctx, s, key, path, content.options())
}

// sameTree returns the reference of the tree at prefix if the directory has the
// same files.
func sameTree(s Store, dir, prefix string, old []byte) (models.Ref, error) {
	manifest, err := describeTree(dir)
	if err != nil {
		return models.Ref{}, err
	}
	encoded, ref, err := encodeTree(s, prefix, manifest)
	if err != nil || !bytes.Equal(old, encoded) {
		return models.Ref{}, err
	}
	return ref, nil
}

func encodeTree(s Store, prefix string, manifest TreeManifest) ([]byte, models.Ref, error) {
	encoded, err := json.Marshal(manifest)
	if err != nil {
		return nil, models.Ref{}, &Error{Op: "put tree", URI: URI(s, prefix), Cause: err}
	}
	return encoded, models.Ref{URI: URI(s, TreeKey(prefix)), SHA256: Digest(encoded), Size: int64(len(encoded))}, nil
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

// treeFiles lists the files of a directory that has some.
func treeFiles(dir string) ([]dirFile, error) {
	files, err := walkFiles(dir, nil)
	if err == nil && len(files) == 0 {
		err = &Error{Op: "put tree", URI: dir, Message: "the directory has no files", Class: ErrInvalid}
	}
	return files, err
}

// describeTree lists and digests the files of a directory.
func describeTree(dir string) (TreeManifest, error) {
	files, err := treeFiles(dir)
	if err != nil {
		return TreeManifest{}, err
	}
	manifest := TreeManifest{Format: treeFormat, Files: make([]TreeFile, len(files))}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range files {
		group.Go(func() error {
			content, err := sumFile(filepath.Join(dir, filepath.FromSlash(f.path)))
			if err != nil {
				return localError("read tree", dir, err)
			}
			manifest.Files[i] = TreeFile{Path: f.path, SHA256: content.sha256, Size: content.size}
			return nil
		})
	}
	return manifest, group.Wait()
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

// VerifyTree reads the files of the tree at prefix and compares their digests.
// ErrCorrupt says that one differs, ErrNotFound that one is missing.
func VerifyTree(ctx context.Context, s Store, prefix string, manifest TreeManifest) error {
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(fileTransfers)
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
