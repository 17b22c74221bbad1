package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"

	"github.com/mainspring-ml/mainspring/models"
)

// PutFile stores a local file. It is read once; one that changes while it is
// read is ErrChanged and not stored. Up to sentWhole, the object has its digest
// as metadata; a larger one only if the key ends with it.
func PutFile(ctx context.Context, s Store, key, file string) (models.Ref, error) {
	return putLocal(ctx, s, key, file, PutOptions{})
}

func putLocal(ctx context.Context, s Store, key, file string, o PutOptions) (models.Ref, error) {
	f, err := openLocal("put", file)
	if err != nil {
		return models.Ref{}, err
	}
	defer func() { _ = f.Close() }() // only read from
	done, err := s.Upload(ctx, key, f, f.before.Size(), o)
	return models.Ref{URI: URI(s, key), SHA256: done.SHA256, Size: f.before.Size()}, err
}

// sums identify a local file's content.
type sums struct {
	sha256, crc string
	size        int64
}

func sumFile(file string) (sums, error) {
	f, err := os.Open(file)
	if err != nil {
		return sums{}, err
	}
	defer func() { _ = f.Close() }() // only read from
	h, crc := sha256.New(), newCRC()
	size, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(h, crc)}, struct{ io.Reader }{f}, make([]byte, copyBytes))
	return sums{sha256: sumOf(h), crc: sumOfCRC(crc), size: size}, err
}

func (s sums) options() PutOptions { return PutOptions{SHA256: s.sha256, crc: s.crc} }

func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// GetFile fetches an object into a local file and makes its directory. The
// file appears when the bytes are complete and have the digest want; an empty
// want means the digest that the object was stored with, if any. What a large
// download that was interrupted has brought is kept beside the file and used by
// the next one.
func GetFile(ctx context.Context, s Store, key, file, want string) (models.Ref, error) {
	return download{s: s, key: key, file: file, want: want}.fetch(ctx)
}

// GetRef fetches what a reference points at into a local file and verifies it.
func GetRef(ctx context.Context, s Store, ref models.Ref, file string) error {
	of, key, err := locate(s, ref.URI)
	if err != nil {
		return err
	}
	_, err = download{s: of, key: key, file: file, want: ref.SHA256, size: ref.Size}.fetch(ctx)
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
	h, crc := sha256.New(), newCRC()
	size, err := io.Copy(io.MultiWriter(spool, h, crc), r)
	if err != nil {
		return models.Ref{}, &Error{Op: "put object", URI: spool.Name(), Message: "the stream can't be spooled", Cause: err,
			Hint: "see whether the disk of the temporary directory is full"}
	}
	return putAddressed(ctx, s, spool, sums{sha256: sumOf(h), crc: sumOfCRC(crc), size: size})
}

// PutObjectFile stores a local file under its digest. It is read twice, as the
// key must be known before the first byte is sent; one that changes in between
// is ErrChanged and not stored.
func PutObjectFile(ctx context.Context, s Store, file string) (models.Ref, error) {
	f, err := openLocal("put object", file)
	if err != nil {
		return models.Ref{}, err
	}
	defer func() { _ = f.Close() }() // only read from
	content, err := sumFile(file)
	if err != nil {
		return models.Ref{}, localError("put object", file, err)
	}
	return putAddressed(ctx, s, f, content)
}

// putAddressed stores content under its digest, unless it is there already.
func putAddressed(ctx context.Context, s Store, r io.ReaderAt, content sums) (models.Ref, error) {
	key := ObjectKey(content.sha256)
	ref := models.Ref{URI: URI(s, key), SHA256: content.sha256, Size: content.size}
	if there, err := s.Stat(ctx, key); err == nil && there.Size == ref.Size {
		return ref, nil
	}
	_, err := s.Upload(ctx, key, r, content.size, content.options())
	return ref, err
}
