package artifact

import (
	"bytes"
	"context"
	"crypto/md5" // what S3 servers make ETags of
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store in memory, for tests. It passes the same suite as S3, and
// like stores on file systems it refuses an object "a" beside an object "a/b".
type Memory struct {
	bucket string
	shared *memoryBuckets
}

type memoryBuckets struct {
	mu      sync.Mutex
	buckets map[string]map[string]memoryObject
}

type memoryObject struct {
	bytes []byte // never changed
	info  Info
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store. All buckets exist.
func NewMemory(bucket string) *Memory {
	return &Memory{bucket: bucket, shared: &memoryBuckets{buckets: map[string]map[string]memoryObject{}}}
}

// Bucket implements Store.
func (m *Memory) Bucket() string { return m.bucket }

// InBucket implements Store.
func (m *Memory) InBucket(bucket string) Store { return &Memory{bucket: bucket, shared: m.shared} }

// lock returns the bucket's objects and the function that unlocks them.
func (m *Memory) lock() (objects map[string]memoryObject, unlock func()) {
	m.shared.mu.Lock()
	objects = m.shared.buckets[m.bucket]
	if objects == nil {
		objects = map[string]memoryObject{}
		m.shared.buckets[m.bucket] = objects
	}
	return objects, m.shared.mu.Unlock
}

func (m *Memory) fail(op, key string, class error, message string) error {
	return &Error{Op: op, URI: URI(m, key), Class: class, Message: message}
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key string, r io.Reader, size int64, o PutOptions) (Info, error) {
	if err := checkPut(m, key, size, o); err != nil {
		return Info{}, err
	}
	content, err := io.ReadAll(io.LimitReader(r, size))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Info{}, &Error{Op: "put", URI: URI(m, key), Message: "the bytes can't be read", Cause: err}
	}
	if int64(len(content)) != size {
		return Info{}, m.fail("put", key, ErrInvalid, fmt.Sprintf("%d bytes came; want %d", len(content), size))
	}
	if got := Digest(content); o.SHA256 != "" && got != o.SHA256 {
		return Info{}, corrupt("put", URI(m, key), got, o.SHA256)
	}
	objects, unlock := m.lock()
	defer unlock()
	old, exists := objects[key]
	if (o.IfAbsent && exists) || (o.IfMatch != "" && old.info.ETag != o.IfMatch) {
		return Info{}, m.fail("put", key, ErrPreconditionFailed, "")
	}
	for other := range objects {
		if strings.HasPrefix(other, key+"/") || strings.HasPrefix(key, other+"/") {
			return Info{}, m.fail("put", key, ErrConflict, "")
		}
	}
	sum := md5.Sum(content)
	info := Info{Key: key, Size: size, ETag: hex.EncodeToString(sum[:]), Modified: time.Now().UTC(), SHA256: o.SHA256}
	objects[key] = memoryObject{bytes: content, info: info}
	return info, nil
}

// Upload implements Store.
func (m *Memory) Upload(ctx context.Context, key string, r io.ReaderAt, size int64, o PutOptions) (Info, error) {
	if err := checkPut(m, key, size, o); err != nil {
		return Info{}, err
	}
	content := make([]byte, size)
	if err := readPart(r, content, 0, URI(m, key)); err != nil {
		return Info{}, err
	}
	if err := settled(r, Digest(content), URI(m, key), &o); err != nil {
		return Info{}, err
	}
	return m.Put(ctx, key, bytes.NewReader(content), size, o)
}

// Rot replaces an object's bytes, as a disk does that decays: nothing in the
// object's description says so, but its size.
func (m *Memory) Rot(key string, content []byte) {
	objects, unlock := m.lock()
	defer unlock()
	o := objects[key]
	o.bytes, o.info.Size = bytes.Clone(content), int64(len(content))
	objects[key] = o
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	o, err := m.find(ctx, "get", key)
	if err != nil {
		return nil, Info{}, err
	}
	return io.NopCloser(bytes.NewReader(o.bytes)), o.info, nil
}

// GetRange implements Store.
func (m *Memory) GetRange(ctx context.Context, key string, offset, length int64, etag string) (io.ReadCloser, Info, error) {
	if err := checkRange(m, key, offset, length); err != nil {
		return nil, Info{}, err
	}
	o, err := m.find(ctx, "get range", key)
	switch {
	case err != nil:
		return nil, Info{}, err
	case etag != "" && etag != o.info.ETag:
		return nil, Info{}, replaced("get range", m, key)
	case offset >= o.info.Size:
		return nil, Info{}, outOfRange(m, key, offset)
	}
	end := offset + min(length, o.info.Size-offset)
	return io.NopCloser(bytes.NewReader(o.bytes[offset:end])), o.info, nil
}

// Stat implements Store.
func (m *Memory) Stat(ctx context.Context, key string) (Info, error) {
	o, err := m.find(ctx, "stat", key)
	return o.info, err
}

func (m *Memory) find(ctx context.Context, op, key string) (memoryObject, error) {
	if err := checkKey(op, m, key); err != nil {
		return memoryObject{}, err
	}
	if err := ctx.Err(); err != nil {
		return memoryObject{}, &Error{Op: op, URI: URI(m, key), Message: "given up", Cause: err}
	}
	objects, unlock := m.lock()
	defer unlock()
	o, ok := objects[key]
	if !ok {
		return memoryObject{}, m.fail(op, key, ErrNotFound, "")
	}
	return o, nil
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix string) ([]Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{Op: "list", URI: URI(m, prefix), Message: "given up", Cause: err}
	}
	objects, unlock := m.lock()
	defer unlock()
	var found []Info
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if strings.HasPrefix(key, prefix) {
			info := objects[key].info
			info.SHA256 = "" // listings have no metadata
			found = append(found, info)
		}
	}
	return found, nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := checkKey("delete", m, key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &Error{Op: "delete", URI: URI(m, key), Message: "given up", Cause: err}
	}
	objects, unlock := m.lock()
	defer unlock()
	delete(objects, key)
	return nil
}
