package activities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// hostCache keeps immutable bytes on a host, by digest. Every entry appears
// whole: it is written under another name and renamed, so that any number of
// agents may share the directory. What a program gets are hard links and trees
// it must not write to.
type hostCache struct {
	dir   string
	store artifact.Store
}

func (h *Hosts) cache() hostCache { return hostCache{dir: h.Cache, store: h.Store} }

// object returns the path of an object's bytes.
func (c hostCache) object(ctx context.Context, ref models.Ref) (string, error) {
	path := filepath.Join(c.dir, "objects", ref.SHA256)
	if info, err := os.Stat(path); err == nil && info.Size() == ref.Size {
		return path, nil
	}
	if err := artifact.GetRef(ctx, c.store, ref, path); err != nil {
		return "", unavailable(ref.URI, "the object can't be fetched", err)
	}
	return path, os.Chmod(path, 0o444)
}

// snapshot returns a directory with the snapshot's manifest.json, train and
// test. Files that several snapshots have in common are on disk once.
func (c hostCache) snapshot(ctx context.Context, manifest models.Ref) (string, error) {
	return c.sides(ctx, "snapshots", manifest, dataset.TrainDir, dataset.TestDir)
}

// heldOut returns a directory with the snapshot's manifest.json and test.
func (c hostCache) heldOut(ctx context.Context, manifest models.Ref) (string, error) {
	return c.sides(ctx, "held-out", manifest, dataset.TestDir)
}

// sides returns an entry of that kind with some sides of a snapshot.
func (c hostCache) sides(ctx context.Context, kind string, manifest models.Ref, sides ...string) (string, error) {
	return c.entry(kind, manifest.SHA256, func(dir string) error {
		path, err := c.object(ctx, manifest)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		content, err := dataset.Decode(data)
		if err != nil {
			return &models.Error{Kind: models.KindInvalidSpec, Subject: manifest.URI, Message: "the snapshot can't be used", Cause: err}
		}
		for _, side := range sides {
			if err := os.MkdirAll(filepath.Join(dir, side), 0o755); err != nil {
				return err
			}
		}
		group, ctx := errgroup.WithContext(ctx)
		const parallel = 8
		group.SetLimit(parallel)
		for _, file := range content.Files {
			if side, _, _ := strings.Cut(file.Path, "/"); !slices.Contains(sides, side) {
				continue
			}
			group.Go(func() error { return c.link(ctx, manifest, file, filepath.Join(dir, filepath.FromSlash(file.Path))) })
		}
		return errors.Join(group.Wait(), os.Link(path, filepath.Join(dir, "manifest.json")))
	})
}

func (c hostCache) link(ctx context.Context, manifest models.Ref, file models.SnapshotFile, path string) error {
	ref := file.Ref
	ref.URI = dataset.FileURI(manifest.URI, ref.SHA256)
	object, err := c.object(ctx, ref)
	if err != nil {
		return err
	}
	return os.Link(object, path)
}

// code unpacks an archive to dir, read-only. Every run has a tree of its own:
// a privileged program writes to read-only files all the same, and must not
// change what others run.
func (c hostCache) code(ctx context.Context, archive models.Ref, dir string) error {
	path, err := c.object(ctx, archive)
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := runner.Remove(dir); err != nil { // of an attempt that was interrupted
		return err
	}
	err = artifact.Unpack(file, dir)
	if errors.Is(err, artifact.ErrCorrupt) || errors.Is(err, artifact.ErrTooLarge) {
		return &models.Error{
			Kind: models.KindEnvironmentFailed, Subject: "train.code", Message: "the code archive can't be unpacked", Cause: err,
			Hint: "start the lifecycle again with mainspring run, which packs the code anew",
		}
	}
	if err == nil {
		err = artifact.MakeReadOnly(dir)
	}
	return unavailable(archive.URI, "the code can't be unpacked", err)
}

// model returns a model's directory.
func (c hostCache) model(ctx context.Context, manifest models.Ref) (string, error) {
	dir := filepath.Join(c.dir, "models", manifest.SHA256)
	return dir, unavailable(manifest.URI, "the model can't be fetched", artifact.GetTree(ctx, c.store, manifest, dir))
}

// entry returns the directory kind/digest, which fill fills when it is missing.
func (c hostCache) entry(kind, digest string, fill func(dir string) error) (string, error) {
	if digest == "" {
		return "", fmt.Errorf("the reference to an entry of %s has no digest", kind)
	}
	final := filepath.Join(c.dir, kind, digest)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return "", err
	}
	partial, err := os.MkdirTemp(filepath.Dir(final), ".partial-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(partial)
	if err := fill(partial); err != nil {
		return "", err
	}
	if err := errors.Join(os.Chmod(partial, 0o755), os.Rename(partial, final)); err != nil {
		if _, there := os.Stat(final); there == nil {
			return final, nil // another agent was faster
		}
		return "", err
	}
	return final, nil
}
