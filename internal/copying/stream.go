package copying

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// opened is a source's object as uploads want it.
type opened interface {
	io.ReaderAt
	io.Closer
}

// openItem opens a large object. Nothing is read yet.
func openItem(ctx context.Context, source artifact.Store, item Item, moved func(int64)) (opened, error) {
	if path, ok := artifact.LocalPath(item.From); ok {
		f, err := os.Open(path)
		if err != nil {
			return nil, local(path, err)
		}
		return f, nil
	}
	bucket, key, err := artifact.ParseURI(item.From)
	if err != nil {
		return nil, err
	}
	return &stream{ctx: ctx, store: source.InBucket(bucket), key: key, item: item, etag: item.ETag, moved: moved}, nil
}

// stream reads an object in one request, as long as it is read in order, which
// uploads do. A connection that breaks is taken up again where it was.
type stream struct {
	ctx   context.Context //nolint:containedctx // it bounds this one object's copy
	store artifact.Store
	key   string
	item  Item
	moved func(int64) // is told how many bytes have come

	mu   sync.Mutex
	body io.ReadCloser // nil: none is open
	at   int64         // what body reads next
	etag string        // of what was read first; empty: nothing yet
}

// Attempts to go on after a connection that broke without having brought a byte.
const (
	resumes     = 4
	resumePause = 200 * time.Millisecond
)

// ReadAt implements io.ReaderAt. It fills b, or fails.
func (s *stream) ReadAt(b []byte, offset int64) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for attempt := 1; n < len(b); attempt++ {
		came, err := s.read(b[n:], offset+int64(n))
		n += came
		s.moved(int64(came))
		if err == nil {
			continue
		}
		s.drop()
		if came > 0 {
			attempt = 1
		}
		if s.ctx.Err() != nil || !errors.Is(err, artifact.ErrUnavailable) || attempt >= resumes {
			return n, err
		}
		select {
		case <-s.ctx.Done():
			return n, err
		case <-time.After(resumePause << attempt):
		}
	}
	return n, nil
}

func (s *stream) read(b []byte, offset int64) (int, error) {
	if s.body == nil || s.at != offset {
		if err := s.open(offset); err != nil {
			return 0, err
		}
	}
	n, err := io.ReadFull(s.body, b)
	s.at += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = &artifact.Error{Op: "copy", URI: s.item.From, Class: artifact.ErrUnavailable, Message: "the connection ended early", Cause: err}
	}
	return n, err
}

func (s *stream) open(offset int64) error {
	s.drop()
	body, info, err := s.store.GetRange(s.ctx, s.key, offset, s.item.Size-offset, s.etag)
	if errors.Is(err, artifact.ErrPreconditionFailed) {
		return changed(s.item.From, "it was replaced")
	}
	if err != nil {
		return err
	}
	if info.Size != s.item.Size {
		return errors.Join(changed(s.item.From, fmt.Sprintf("it has %d bytes and had %d", info.Size, s.item.Size)), body.Close())
	}
	s.body, s.at, s.etag = body, offset, info.ETag
	return nil
}

func (s *stream) drop() {
	if s.body != nil {
		_ = s.body.Close() // only read from
		s.body = nil
	}
}

// Close implements io.Closer.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	return nil
}
