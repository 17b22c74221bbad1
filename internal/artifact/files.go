package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/mainspring-ml/mainspring/models"
)

// PutFile stores a local file, with its digest as metadata. The file is read
// twice; one that changes in between makes the put fail or the digest wrong,
// which whoever reads it will see.
func PutFile(ctx context.Context, s Store, key, file string) (models.Ref, error) {
	digest, size, err := digestFile(file)
	if err != nil {
		return models.Ref{}, localError("put", file, err)
	}
	return putDigested(ctx, s, key, file, models.Ref{URI: URI(s, key), SHA256: digest, Size: size})
}

func putDigested(ctx context.Context, s Store, key, file string, ref models.Ref) (models.Ref, error) {
	f, err := os.Open(file)
	if err != nil {
		return models.Ref{}, localError("put", file, err)
	}
	defer func() { _ = f.Close() }() // only read from
	_, err = s.Put(ctx, key, f, ref.Size, PutOptions{SHA256: ref.SHA256})
	return ref, err
}

func digestFile(file string) (digest string, size int64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }() // only read from
	h := sha256.New()
	size, err = io.Copy(h, f)
	return sumOf(h), size, err
}

func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// GetFile fetches an object into a local file and makes its directory. The
// file appears when the bytes are complete and have the digest want; an empty
// want means the digest that the object was stored with, if any.
func GetFile(ctx context.Context, s Store, key, file, want string) (models.Ref, error) {
	r, info, err := s.Get(ctx, key)
	if err != nil {
		return models.Ref{}, err
	}
	defer func() { _ = r.Close() }() // read errors are reported by the copy
	if want == "" {
		want = info.SHA256
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return models.Ref{}, localError("get", file, err)
	}
	part, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".part-*")
	if err != nil {
		return models.Ref{}, localError("get", file, err)
	}
	defer func() { _ = os.Remove(part.Name()) }() // after a rename there is nothing to remove
	h := sha256.New()
	size, err := io.Copy(io.MultiWriter(part, h), r)
	if err = errors.Join(err, part.Chmod(0o644), part.Close()); err != nil {
		return models.Ref{}, &Error{Op: "get", URI: URI(s, key), Message: "download to " + file + " failed", Cause: err}
	}
	if got := sumOf(h); want != "" && got != want {
		return models.Ref{}, corrupt("get", URI(s, key), got, want)
	}
	if err := os.Rename(part.Name(), file); err != nil {
		return models.Ref{}, localError("get", file, err)
	}
	return models.Ref{URI: URI(s, key), SHA256: sumOf(h), Size: size}, nil
}

// GetRef fetches what a reference points at into a local file and verifies it.
func GetRef(ctx context.Context, s Store, ref models.Ref, file string) error {
	of, key, err := locate(s, ref.URI)
	if err != nil {
		return err
	}
	_, err = GetFile(ctx, of, key, file, ref.SHA256)
	return err
}

// PutObject stores a stream of any size under its digest. It passes through a
// temporary file, because the digest must be known first.
func PutObject(ctx context.Context, s Store, r io.Reader) (models.Ref, error) {
	spool, err := os.CreateTemp("", "mainspring-object-*")
	if err != nil {
		return models.Ref{}, localError("put object", os.TempDir(), err)
	}
	defer func() { _, _ = spool.Close(), os.Remove(spool.Name()) }() // best effort: a temporary file
	h := sha256.New()
	size, err := io.Copy(io.MultiWriter(spool, h), r)
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	if err != nil {
		return models.Ref{}, &Error{Op: "put object", URI: spool.Name(), Message: "the stream can't be spooled", Cause: err,
			Hint: "see whether the disk of the temporary directory is full"}
	}
	digest := sumOf(h)
	ref := models.Ref{URI: URI(s, ObjectKey(digest)), SHA256: digest, Size: size}
	return ref, putOnce(ctx, s, ref, spool)
}

// PutObjectFile stores a local file under its digest.
func PutObjectFile(ctx context.Context, s Store, file string) (models.Ref, error) {
	digest, size, err := digestFile(file)
	if err != nil {
		return models.Ref{}, localError("put object", file, err)
	}
	ref := models.Ref{URI: URI(s, ObjectKey(digest)), SHA256: digest, Size: size}
	if there, err := s.Stat(ctx, ObjectKey(digest)); err == nil && there.Size == size {
		return ref, nil
	}
	return putDigested(ctx, s, ObjectKey(digest), file, ref)
}
