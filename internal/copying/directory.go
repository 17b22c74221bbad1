package copying

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// directory is a directory of this host. Files on their way are in a directory
// below it, from which those that are complete move out by a rename.
type directory struct{ root, spool string }

var _ Destination = (*directory)(nil)

func newDirectory(root string) *directory {
	return &directory{root: root, spool: filepath.Join(root, ".mainspring-copy")}
}

func (d *directory) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

// URI implements Destination.
func (d *directory) URI(key string) string { return artifact.FileURI(d.path(key)) }

// Begin implements Destination. One copy at a time writes to a directory; the
// lock ends with the process.
func (d *directory) Begin(context.Context) (end func(bool) error, err error) {
	if err := os.MkdirAll(d.spool, 0o700); err != nil {
		return nil, local(d.root, err)
	}
	lock, err := os.Open(d.spool)
	if err != nil {
		return nil, local(d.root, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &artifact.Error{Op: "copy to", URI: artifact.FileURI(d.root), Message: "another copy writes there", Hint: "wait for it"}
		}
		return nil, local(d.root, err)
	}
	return func(whole bool) error {
		if !whole { // what is there is of use to the next run
			return lock.Close()
		}
		return errors.Join(os.RemoveAll(d.spool), lock.Close())
	}, nil
}

// Has implements Destination. The file is read.
func (d *directory) Has(_ context.Context, key, sha256 string, size int64) (bool, error) {
	info, err := os.Stat(d.path(key))
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() != size {
		return false, nil
	}
	if err != nil {
		return false, local(d.path(key), err)
	}
	got, _, err := digestFile(d.path(key))
	if err != nil {
		return false, local(d.path(key), err)
	}
	return got == sha256, nil
}

// Read implements Destination.
func (d *directory) Read(ctx context.Context, key string, limit int64) ([]byte, error) {
	return readURI(ctx, nil, d.URI(key), limit)
}

// PutBytes implements Destination.
func (d *directory) PutBytes(_ context.Context, key string, content []byte, sha256 string) error {
	path := d.spoolFile(key, sha256)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return local(d.path(key), err)
	}
	return d.moveIn(path, key)
}

// spoolFile is where an object is on its way: the same place in every run.
func (d *directory) spoolFile(key, from string) string {
	return filepath.Join(d.spool, artifact.Digest([]byte(key+"\n"+from)))
}

// Fetch implements Destination.
func (d *directory) Fetch(ctx context.Context, source artifact.Store, item Item, _ func(int64)) error {
	path := d.spoolFile(item.Key, item.From+"\n"+item.ETag+"\n"+item.SHA256)
	if err := fetchFile(ctx, source, item, path); err != nil {
		return fullDisk(d.path(item.Key), err)
	}
	return d.moveIn(path, item.Key)
}

// fetchFile makes a local file of an item; without an error it is complete and
// proven.
func fetchFile(ctx context.Context, source artifact.Store, item Item, path string) error {
	if from, ok := artifact.LocalPath(item.From); ok {
		return copyFile(item, from, path)
	}
	if err := artifact.GetRef(ctx, source, models.Ref{URI: item.From, SHA256: item.SHA256, Size: item.Size}, path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() != item.Size {
		err = changed(item.From, fmt.Sprintf("it has %d bytes and had %d", info.Size(), item.Size))
	}
	return err
}

// copyFile copies within this host.
func copyFile(item Item, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return local(from, err)
	}
	defer func() { _ = in.Close() }() // only read from
	out, err := os.Create(to)
	if err != nil {
		return local(to, err)
	}
	got, size, err := digestOf(io.TeeReader(io.LimitReader(in, item.Size), out))
	switch {
	case err != nil:
	case size < item.Size:
		err = changed(item.From, fmt.Sprintf("it ends after %d bytes and had %d", size, item.Size))
	case item.SHA256 != "" && got != item.SHA256:
		err = corrupt(item.From, got, item.SHA256)
	}
	return errors.Join(err, out.Close())
}

// moveIn makes a spooled file appear in its place when its bytes are on the disk.
func (d *directory) moveIn(from, key string) error {
	to := d.path(key)
	file, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return local(to, err)
	}
	if err := errors.Join(file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return local(to, err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return local(to, err)
	}
	if err := os.Rename(from, to); err != nil {
		return local(to, err)
	}
	return nil
}
