package artifact

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/minio/crc64nvme"
	"golang.org/x/sync/semaphore"
)

const (
	// sentWhole is up to which size a file goes in one request.
	sentWhole = 32 << 20
	// signedBytes is up to which size a request is signed with its SHA-256; the
	// server has to compute that, too. A larger one is checked by its CRC-64.
	signedBytes = 1 << 20
	// partBytes is the size of an upload's parts.
	partBytes = 8 << 20
	// partTransfers is how many parts of a file are sent at a time: more would be
	// sent again after a crash.
	partTransfers = 6
	// maxParts is how many parts S3 allows an object; larger files have larger
	// parts.
	maxParts = 10_000
	// transferMemory bounds the bytes that a store's uploads hold at a time,
	// beside one part of more than that.
	transferMemory = 128 << 20
	// fileTransfers is how many files of a tree travel at a time.
	fileTransfers = 16
)

// partSize is chosen by the size alone: an upload that is resumed, by whatever
// process, has the same parts.
func partSize(size int64) int64 {
	const step = 1 << 20
	return max(partBytes, (size+maxParts*step-1)/(maxParts*step)*step)
}

// memory lends the buffers that parts pass through.
type memory struct {
	budget *semaphore.Weighted
	parts  sync.Pool // of *[]byte with partBytes
}

func newMemory() *memory { return &memory{budget: semaphore.NewWeighted(transferMemory)} }

// borrow waits for n bytes of the budget.
func (m *memory) borrow(ctx context.Context, n int64) (b []byte, give func(), err error) {
	weight := min(n, transferMemory)
	if err := m.budget.Acquire(ctx, weight); err != nil {
		return nil, nil, err
	}
	if n != partBytes {
		return make([]byte, n), func() { m.budget.Release(weight) }, nil
	}
	part, ok := m.parts.Get().(*[]byte)
	if !ok {
		fresh := make([]byte, partBytes)
		part = &fresh
	}
	return *part, func() { m.parts.Put(part); m.budget.Release(weight) }, nil
}

// checksum writes a CRC-64/NVME as S3 does.
func checksum(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

func sumOfCRC(h hash.Hash64) string { return checksum(h.Sum64()) }

func newCRC() hash.Hash64 { return crc64nvme.New() }

// localFile is a file that is uploaded.
type localFile struct {
	*os.File
	before fs.FileInfo
}

func openLocal(op, path string) (*localFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, localError(op, path, err)
	}
	before, err := f.Stat()
	if err == nil && !before.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file (%v)", before.Mode().Type())
	}
	if err != nil {
		_ = f.Close() // only read from
		return nil, localError(op, path, err)
	}
	return &localFile{File: f, before: before}, nil
}

// Unchanged fails with ErrChanged if the file was written to since it was
// opened, as far as its size and time of change tell.
func (f *localFile) Unchanged() error {
	now, err := f.Stat()
	if err != nil {
		return localError("read", f.Name(), err)
	}
	if now.Size() != f.before.Size() || !now.ModTime().Equal(f.before.ModTime()) {
		return changed(f.Name())
	}
	return nil
}

func changed(what string) error {
	return &Error{Op: "read", URI: what, Class: ErrChanged, Hint: "nothing was stored; upload it when its writer has finished"}
}

// settled looks, after all bytes of r were read, whether they are those of one
// moment and those that were announced. o then has their digest.
func settled(r io.ReaderAt, digest, uri string, o *PutOptions) error {
	if watched, ok := r.(interface{ Unchanged() error }); ok {
		if err := watched.Unchanged(); err != nil {
			return err
		}
	}
	if o.SHA256 != "" && o.SHA256 != digest {
		return &Error{Op: "upload", URI: uri, Class: ErrChanged, Cause: fmt.Errorf("its digest is %s; want %s", digest, o.SHA256),
			Hint: "nothing was stored; upload it when its writer has finished"}
	}
	o.SHA256 = digest
	return nil
}

// readPart fills b from an offset on.
func readPart(r io.ReaderAt, b []byte, offset int64, uri string) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	what := uri
	if f, ok := r.(interface{ Name() string }); ok {
		what = f.Name()
	}
	if errors.Is(err, io.EOF) {
		return changed(what) // it has become shorter
	}
	return &Error{Op: "upload", URI: uri, Message: "the bytes at " + what + " can't be read", Cause: err}
}
