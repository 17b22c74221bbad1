package artifact

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode/utf8"
)

// Info describes an object.
type Info struct {
	Key      string
	Size     int64
	ETag     string // without quotes
	Modified time.Time
	// SHA256 is set by Put, Get and Stat if the object was stored with it, and by
	// Upload.
	SHA256 string
	// crc is the CRC-64/NVME that the store has computed of the whole object, in
	// base64; empty: none. Put and Stat set it.
	crc string
}

// PutOptions makes a put conditional and describes the bytes. At most one of
// IfAbsent and IfMatch may be set.
type PutOptions struct {
	IfAbsent    bool   // write only if there is no such object
	IfMatch     string // write only over the object with this ETag
	SHA256      string // kept as metadata; other bytes are ErrCorrupt
	ContentType string // empty: application/octet-stream
	// crc is the CRC-64/NVME of the bytes with digest SHA256, in base64: whoever
	// has read them knows both, and an upload then need not hash them again.
	crc string
}

func (o PutOptions) conditional() bool { return o.IfAbsent || o.IfMatch != "" }

// Store is one bucket. Implementations are safe for concurrent use. A put is
// atomic: readers see the old object or the new one. What was put is seen by
// every later read and listing.
type Store interface {
	// Put stores size bytes of r, which it neither closes nor keeps. With a
	// condition that does not hold it fails with ErrPreconditionFailed; of
	// racing conditional puts at most one succeeds.
	Put(ctx context.Context, key string, r io.Reader, size int64, o PutOptions) (Info, error)
	// Upload stores size bytes of r like Put does. Many bytes go in parts, several
	// at a time, and those that an interrupted upload of the same key has left at
	// the store are not sent again. The object appears when all of them are there.
	// Info has the digest of what was sent. An r that has a method Unchanged()
	// error is asked before the object appears.
	Upload(ctx context.Context, key string, r io.ReaderAt, size int64, o PutOptions) (Info, error)
	// Get opens an object; the caller closes it.
	Get(ctx context.Context, key string) (io.ReadCloser, Info, error)
	// GetRange opens length bytes of an object from offset on, fewer where the
	// object ends before; the caller closes them. Info describes the whole object.
	// With an ETag (empty: any) it fails with ErrPreconditionFailed when the
	// object has changed: ranges of one object may then be read one by one. A
	// range that holds no byte is ErrInvalid.
	GetRange(ctx context.Context, key string, offset, length int64, etag string) (io.ReadCloser, Info, error)
	// Stat returns ErrNotFound when there is no such object.
	Stat(ctx context.Context, key string) (Info, error)
	// List returns the objects whose keys start with prefix, sorted by key.
	List(ctx context.Context, prefix string) ([]Info, error)
	// Delete removes an object; one that does not exist is success.
	Delete(ctx context.Context, key string) error
	// Bucket is the bucket's name.
	Bucket() string
	// InBucket is the same store with another bucket.
	InBucket(bucket string) Store
}

// URI is the s3:// URI of a key.
func URI(s Store, key string) string { return "s3://" + s.Bucket() + "/" + key }

// checkKey keeps to keys that every store, and every host's file system, can
// hold.
func checkKey(op string, s Store, key string) error {
	bad := ""
	switch {
	case key == "":
		bad = "the key is empty"
	case len(key) > 1024:
		bad = fmt.Sprintf("the key has %d bytes; the limit is 1024", len(key))
	case !utf8.ValidString(key) || strings.ContainsAny(key, "\x00\\"):
		bad = "the key holds a backslash, a zero byte or invalid UTF-8"
	case key != path.Clean(key) || strings.HasPrefix(key, "/") || key == "." || key == ".." || strings.HasPrefix(key, "../"):
		bad = "the key is not a clean relative path"
	default:
		return nil
	}
	return &Error{Op: op, URI: URI(s, key), Message: bad, Class: ErrInvalid,
		Hint: "write it like a/b/c, without a leading or trailing slash"}
}

func checkRange(s Store, key string, offset, length int64) error {
	if err := checkKey("get range", s, key); err != nil {
		return err
	}
	if offset < 0 || length <= 0 {
		return &Error{Op: "get range", URI: URI(s, key), Class: ErrInvalid, Message: fmt.Sprintf("%d bytes from %d on", length, offset),
			Hint: "ask for at least one byte, from 0 on"}
	}
	return nil
}

func outOfRange(s Store, key string, offset int64) error {
	return &Error{Op: "get range", URI: URI(s, key), Class: ErrInvalid, Message: fmt.Sprintf("the object ends before byte %d", offset)}
}

func replaced(op string, s Store, key string) error {
	return &Error{Op: op, URI: URI(s, key), Class: ErrPreconditionFailed, Message: "the object was replaced while it was read",
		Hint: "read it again from the start"}
}

func checkPut(s Store, key string, size int64, o PutOptions) error {
	if err := checkKey("put", s, key); err != nil {
		return err
	}
	switch {
	case size < 0:
		return &Error{Op: "put", URI: URI(s, key), Message: "the size is not known", Class: ErrInvalid,
			Hint: "use PutObject, or write to a file first"}
	case o.IfAbsent && o.IfMatch != "":
		return &Error{Op: "put", URI: URI(s, key), Message: "two conditions", Class: ErrInvalid,
			Hint: "set IfAbsent or IfMatch"}
	}
	return nil
}
