package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// filesAtOnce bounds how many files of one turn are copied side by side.
const filesAtOnce = 8

// fetchPartitions copies a turn's files to dir under their names below the
// source. They are copies: whatever the program does to them, the source stays.
func fetchPartitions(ctx context.Context, store artifact.Store, t turn, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(filesAtOnce)
	for _, part := range t.inputs {
		group.Go(func() error {
			name := filepath.FromSlash(dataset.PartitionName(t.source, part))
			if !filepath.IsLocal(name) {
				return &models.Error{
					Kind: models.KindInvalidSpec, Subject: part.URI, Message: fmt.Sprintf("%q is no name of a file", name), Hint: "rename the source's file",
				}
			}
			return fetchPartition(ctx, store, part, filepath.Join(dir, name))
		})
	}
	return group.Wait()
}

// fetchPartition copies one file, as it was when the source was listed.
func fetchPartition(ctx context.Context, store artifact.Store, part models.Partition, to string) error {
	stream, source, err := artifact.OpenURI(ctx, store, part.URI)
	if err != nil {
		return unavailable(part.URI, "the file can't be opened", err)
	}
	defer func() { _ = stream.Close() }() // only read from
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size, err := io.Copy(file, stream)
	if err = errors.Join(err, file.Close()); err != nil {
		return notCopied(part.URI, to, err)
	}
	now := source // what is read of an object is one version of it
	if strings.HasPrefix(part.URI, "file://") {
		again, after, err := artifact.OpenURI(ctx, store, part.URI)
		if err != nil {
			return unavailable(part.URI, "the file can't be opened again", err)
		}
		_, now = again.Close(), after
	}
	if part.ETag != "" && (source.ETag != part.ETag || now.ETag != part.ETag) {
		return partition.ChangedSince(part.URI)
	}
	if size != source.Size {
		return unavailable(part.URI, "the file was not read whole", fmt.Errorf("%d bytes came; want %d", size, source.Size))
	}
	return nil
}

// notCopied is why a file of the source is not on this host. A full disk is no
// reason to fetch it here again and again: another host may have room.
func notCopied(uri, to string, err error) error {
	if !artifact.IsDiskFull(err) {
		return unavailable(uri, "the file can't be copied to "+to, err)
	}
	return &models.Error{
		Kind: models.KindRankLost, Subject: uri, Message: "this host's disk is full: the file can't be copied to " + to, Cause: err,
		Hint: "make room there, or give the preparing program fewer files at a time (data.prepare.per)",
	}
}

// outputFiles lists what a program has left, by name below dir. Hidden files and
// those of no known format are not among them; links and other things that are
// no files are refused.
func outputFiles(dir string, spec models.DataSpec) (names []string, others int, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(below)
		switch {
		case !dataset.IsPartition(spec.Format, name):
			others++
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s in MAINSPRING_OUTPUT_DIR is no file but a %s", name, entry.Type())
		default:
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, others, err
}

// storeFiles stores files under their digests.
func storeFiles(ctx context.Context, store artifact.Store, dir string, names []string) ([]models.Partition, error) {
	stored := make([]models.Partition, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(filesAtOnce)
	for i, name := range names {
		group.Go(func() error {
			ref, err := storeFile(ctx, store, filepath.Join(dir, filepath.FromSlash(name)))
			stored[i] = models.Partition{URI: ref.URI, Size: ref.Size, Name: name}
			return unavailable(name, "what the preparing program has left can't be stored", err)
		})
	}
	return stored, group.Wait()
}

// storeFile stores a file under its digest. If a collection could take what is
// there already, it is written again: nobody names it yet.
func storeFile(ctx context.Context, store artifact.Store, path string) (models.Ref, error) {
	ref, err := artifact.PutObjectFile(ctx, store, path)
	if err != nil {
		return ref, err
	}
	key := artifact.ObjectKey(ref.SHA256)
	if there, err := store.Stat(ctx, key); err == nil && (snapshots.Catalog{}).Fresh(there) {
		return ref, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return ref, err
	}
	defer func() { _ = file.Close() }() // only read from
	_, err = store.Upload(ctx, key, file, ref.Size, artifact.PutOptions{SHA256: ref.SHA256})
	return ref, err
}
