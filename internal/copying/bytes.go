package copying

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// corrupt says which object has other bytes than it should.
func corrupt(uri, got, want string) error {
	return &artifact.Error{
		Op: "copy", URI: uri, Class: artifact.ErrCorrupt, Message: fmt.Sprintf("its bytes have the digest %s; they must have %s", got, want),
		Hint: "the object was damaged or replaced: nothing is shown as complete; restore it, and run the same command again",
	}
}

func changed(uri, how string) error {
	return &artifact.Error{
		Op: "copy", URI: uri, Class: artifact.ErrCorrupt, Message: "the object was changed while it was copied: " + how,
		Hint: "run the same command again when nobody writes there",
	}
}

// unlike says that an item's bytes are not those that it must have.
func unlike(item Item, cause error) error {
	if item.SHA256 == "" {
		return changed(item.From, cause.Error())
	}
	return &artifact.Error{
		Op: "copy", URI: item.From, Class: artifact.ErrCorrupt, Cause: cause, Message: "its bytes do not have the digest that they must have",
		Hint: "the object was damaged or replaced: nothing is shown as complete; restore it, and run the same command again",
	}
}

// local is a failure of this host's disk.
func local(path string, err error) error {
	e := &artifact.Error{Op: "write", URI: path, Cause: err}
	var file *fs.PathError
	if errors.As(err, &file) {
		e.Cause = file.Err
	}
	switch {
	case artifact.IsDiskFull(err):
		return full(path, e.Cause)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Class, e.Message, e.Hint = artifact.ErrDenied, "the directory can't be written to", "name another one, or change its permissions"
	default:
		e.Message = "local file"
	}
	return e
}

// fullDisk names the file that can't be held, where a transfer names the one
// that it was on its way in.
func fullDisk(path string, err error) error {
	if !artifact.IsDiskFull(err) {
		return err
	}
	var transfer *artifact.Error
	if errors.As(err, &transfer) && transfer.Message != "" {
		return full(path, errors.New(transfer.Message))
	}
	return full(path, err)
}

func full(path string, cause error) error {
	return &artifact.Error{
		Op: "write", URI: path, Class: artifact.ErrDiskFull, Cause: cause,
		Hint: "make room, or name a directory on another disk, and run the same command again: what is complete is not copied again",
	}
}

func readAll(stream io.Reader, source artifact.Source, limit int64) ([]byte, error) {
	if source.Size > limit {
		return nil, &artifact.Error{Op: "copy", URI: source.URI, Class: artifact.ErrTooLarge, Message: fmt.Sprintf("%d bytes; the limit is %d", source.Size, limit)}
	}
	b, err := io.ReadAll(io.LimitReader(stream, limit+1))
	if err == nil && int64(len(b)) != source.Size {
		err = changed(source.URI, fmt.Sprintf("%d bytes came, %d were told", len(b), source.Size))
	}
	return b, err
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// digestOf reads a stream to its end.
func digestOf(r io.Reader) (digest string, size int64, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	return hexOf(h), size, err
}

func digestFile(path string) (digest string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }() // only read from
	return digestOf(f)
}

// same makes sure that an object is still the one that was listed.
func same(item Item, now artifact.Source) error {
	switch {
	case now.Size != item.Size:
		return changed(item.From, fmt.Sprintf("it has %d bytes and had %d", now.Size, item.Size))
	case item.ETag != "" && now.ETag != item.ETag:
		return changed(item.From, "it was replaced after it had been listed")
	}
	return nil
}
