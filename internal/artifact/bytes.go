package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/mainspring-ml/mainspring/models"
)

// Digest is the SHA-256 of b in hexadecimal digits.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ObjectKey is where content with that digest is stored.
func ObjectKey(sha256 string) string { return "objects/" + sha256 }

// PutBytes stores b, with its digest as metadata.
func PutBytes(ctx context.Context, s Store, key string, b []byte, o PutOptions) (Info, error) {
	o.SHA256 = Digest(b)
	return s.Put(ctx, key, bytes.NewReader(b), int64(len(b)), o)
}

// GetBytes reads an object of at most limit bytes, else it fails with
// ErrTooLarge.
func GetBytes(ctx context.Context, s Store, key string, limit int64) ([]byte, Info, error) {
	r, info, err := s.Get(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	defer func() { _ = r.Close() }() // read errors are reported below
	if info.Size > limit {
		return nil, Info{}, &Error{Op: "get", URI: URI(s, key), Class: ErrTooLarge,
			Message: fmt.Sprintf("%d bytes; the limit is %d", info.Size, limit)}
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, Info{}, err
	}
	if int64(len(b)) != info.Size {
		return nil, Info{}, &Error{Op: "get", URI: URI(s, key), Class: ErrUnavailable,
			Message: fmt.Sprintf("%d bytes came; want %d", len(b), info.Size)}
	}
	return b, info, nil
}

// PutObjectBytes stores b under its digest, unless it is there already.
func PutObjectBytes(ctx context.Context, s Store, b []byte) (models.Ref, error) {
	digest := Digest(b)
	key := ObjectKey(digest)
	ref := models.Ref{URI: URI(s, key), SHA256: digest, Size: int64(len(b))}
	if there, err := s.Stat(ctx, key); err == nil && there.Size == ref.Size {
		return ref, nil
	}
	// Two writers may both do so: they write the same bytes.
	_, err := s.Put(ctx, key, bytes.NewReader(b), ref.Size, PutOptions{SHA256: digest})
	return ref, err
}

// ReadRef reads what a reference points at, at most limit bytes, and verifies
// size and digest.
func ReadRef(ctx context.Context, s Store, ref models.Ref, limit int64) ([]byte, error) {
	of, key, err := locate(s, ref.URI)
	if err != nil {
		return nil, err
	}
	b, _, err := GetBytes(ctx, of, key, limit)
	if err != nil {
		return nil, err
	}
	if got := Digest(b); got != ref.SHA256 {
		return nil, corrupt("get", ref.URI, got, ref.SHA256)
	}
	return b, nil
}
