package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// folder is a store in a directory, so that the objects are not in the memory
// that is measured. Like an S3 service it gives objects as streams only. It
// knows no conditions and no other buckets.
type folder struct{ root string }

var _ artifact.Store = folder{}

func (f folder) path(key string) string { return filepath.Join(f.root, filepath.FromSlash(key)) }

// Put implements artifact.Store.
func (f folder) Put(_ context.Context, key string, r io.Reader, size int64, o artifact.PutOptions) (artifact.Info, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return artifact.Info{}, err
	}
	if err := os.MkdirAll(filepath.Dir(f.path(key)), 0o700); err != nil {
		return artifact.Info{}, err
	}
	return artifact.Info{Key: key, Size: size, SHA256: o.SHA256}, os.WriteFile(f.path(key), data, 0o600)
}

// Upload implements artifact.Store.
func (f folder) Upload(ctx context.Context, key string, r io.ReaderAt, size int64, o artifact.PutOptions) (artifact.Info, error) {
	return f.Put(ctx, key, io.NewSectionReader(r, 0, size), size, o)
}

// Get implements artifact.Store.
func (f folder) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	info, err := f.Stat(ctx, key)
	if err != nil {
		return nil, info, err
	}
	file, err := os.Open(f.path(key))
	return struct{ io.ReadCloser }{file}, info, err
}

// GetRange implements artifact.Store.
func (f folder) GetRange(ctx context.Context, key string, offset, length int64, _ string) (io.ReadCloser, artifact.Info, error) {
	info, err := f.Stat(ctx, key)
	if err != nil {
		return nil, info, err
	}
	file, err := os.Open(f.path(key))
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, offset, length), file}, info, err
}

// Stat implements artifact.Store.
func (f folder) Stat(_ context.Context, key string) (artifact.Info, error) {
	found, err := os.Stat(f.path(key))
	if err != nil {
		return artifact.Info{}, fmt.Errorf("%w: %w", artifact.ErrNotFound, err)
	}
	return artifact.Info{Key: key, Size: found.Size(), Modified: found.ModTime()}, nil
}

// List implements artifact.Store.
func (f folder) List(_ context.Context, prefix string) (objects []artifact.Info, err error) {
	err = filepath.WalkDir(filepath.Dir(f.path(prefix+"x")), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(f.root, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if key := filepath.ToSlash(name); err == nil && strings.HasPrefix(key, prefix) {
			objects = append(objects, artifact.Info{Key: key, Size: info.Size(), Modified: info.ModTime()})
		}
		return err
	})
	return objects, err
}

// Delete implements artifact.Store.
func (f folder) Delete(_ context.Context, key string) error { return os.Remove(f.path(key)) }

// Bucket implements artifact.Store.
func (f folder) Bucket() string { return "bench" }

// InBucket implements artifact.Store.
func (f folder) InBucket(string) artifact.Store { return f }
