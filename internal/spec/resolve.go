package spec

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// Uploader stores bytes in the artifact store. Keys hold the digest of what
// they name, so an object that is there already has the right content.
type Uploader interface {
	// URI is where the object of that key is, or will be.
	URI(key string) string
	// Upload stores content unless its object is there.
	Upload(ctx context.Context, key string, content Content) error
}

// Content is bytes that can be read once more.
type Content struct {
	SHA256 string
	Size   int64
	Open   func() (io.ReadCloser, error)
}

// Resolve returns the document's spec with every local path packed, uploaded
// and replaced by URI and digest. Paths are relative to the file. Paths that
// are missing or of the wrong kind come back as *Error, all at once, before
// anything is uploaded.
func Resolve(ctx context.Context, document *Document, uploader Uploader) (models.LifecycleSpec, error) {
	r := resolver{uploader}
	local := localPaths{dir: filepath.Dir(document.file), spec: document.Spec}
	if err := document.locate(local.check()); err != nil {
		return models.LifecycleSpec{}, err
	}
	spec := document.Spec
	if spec.Deploy != nil { // the document keeps its own
		deploy := *spec.Deploy
		spec.Deploy = &deploy
	}
	if spec.Data.Prepare != nil {
		prepare := *spec.Data.Prepare
		spec.Data.Prepare = &prepare
	}
	var err error
	if spec.Data.Source, err = r.data(ctx, local); err != nil {
		return models.LifecycleSpec{}, fmt.Errorf("resolve data.source: %w", err)
	}
	for _, s := range directories(&spec) {
		if *s.Source, err = r.directory(ctx, local.source(*s.Source), local.data()); err != nil {
			return models.LifecycleSpec{}, fmt.Errorf("resolve %s: %w", s.field, err)
		}
	}
	for _, s := range files(&spec) {
		if *s.Source, err = r.file(ctx, local.source(*s.Source)); err != nil {
			return models.LifecycleSpec{}, fmt.Errorf("resolve %s: %w", s.field, err)
		}
	}
	return spec, document.locate(spec.ValidateResolved())
}

type resolver struct{ Uploader }

// file stores one file under its digest.
func (r resolver) file(ctx context.Context, source models.Source) (models.Source, error) {
	if source.Path == "" {
		return source, nil
	}
	content, err := readFile(source.Path)
	if err != nil {
		return source, err
	}
	return r.object(ctx, content)
}

// directory packs a directory and stores the archive. The data stays out of it:
// what rows go to whom is the data section's to say, and other rows are no other
// code.
func (r resolver) directory(ctx context.Context, source models.Source, data string) (models.Source, error) {
	if source.Path == "" {
		return source, nil
	}
	var without []string
	if below, err := filepath.Rel(source.Path, data); data != "" && err == nil && below != "." && filepath.IsLocal(below) {
		without = append(without, filepath.ToSlash(below))
	}
	archive, err := artifact.PackDir(source.Path, 0, without...)
	if err != nil {
		return source, err
	}
	if archive.Files == 0 {
		return source, fmt.Errorf("%s holds no file, or .gitignore names them all", source.Path)
	}
	packed, err := r.object(ctx, Content{SHA256: archive.SHA256, Size: int64(len(archive.Bytes)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes)), nil }})
	packed.Commit = gitCommit(ctx, source.Path)
	return packed, err
}

func (r resolver) object(ctx context.Context, content Content) (models.Source, error) {
	key := artifact.ObjectKey(content.SHA256)
	if err := r.Upload(ctx, key, content); err != nil {
		return models.Source{}, err
	}
	return models.Source{URI: r.URI(key), SHA256: content.SHA256, Size: content.Size}, nil
}

// data stores the partitions in a directory under the digest of them all.
func (r resolver) data(ctx context.Context, local localPaths) (string, error) {
	dir := local.data()
	if dir == "" {
		return local.spec.Data.Source, nil
	}
	names, err := partitions(dir, local.spec.Data.Format)
	if err != nil {
		return "", err
	}
	tree := sha256.New()
	files := make([]Content, len(names))
	for i, name := range names {
		if files[i], err = readFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return "", err
		}
		fmt.Fprintf(tree, "%s %d %s\n", files[i].SHA256, files[i].Size, name)
	}
	prefix := "data/" + hex.EncodeToString(tree.Sum(nil)) + "/"
	for i, name := range names {
		if err := r.Upload(ctx, prefix+name, files[i]); err != nil {
			return "", err
		}
	}
	return r.URI(prefix), nil
}

func readFile(path string) (_ Content, err error) {
	file, err := os.Open(path)
	if err != nil {
		return Content{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	return Content{SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size,
		Open: func() (io.ReadCloser, error) { return os.Open(path) }}, err
}

// partitions lists a directory's partitions, sorted, with slashes, as a source's
// are listed.
func partitions(dir string, format models.DataFormat) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != dir && entry.IsDir() && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir // may be large, such as .git
		case entry.IsDir():
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if name = filepath.ToSlash(name); err == nil && dataset.IsPartition(format, name) {
			names = append(names, name)
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

// DryRun names objects as u does and stores nothing.
func DryRun(u Uploader) Uploader { return dryRun{u} }

type dryRun struct{ Uploader }

func (dryRun) Upload(context.Context, string, Content) error { return nil }
