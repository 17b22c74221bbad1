package partition

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// wholeSize is up to which size an object is fetched with one request and held in
// memory; of a larger one only what is wanted is read.
const wholeSize = 4 << 20

// content is the bytes of a partition, the same as long as they are read.
type content struct {
	store artifact.Store
	uri   string
	etag  string // empty until it is known
	size  int64
	whole []byte // of a small object; nil: not read yet
	file  *os.File
	was   fs.FileInfo // of file
}

// open opens the bytes from the start, any number of times.
func (c *content) open(ctx context.Context) (io.ReadCloser, error) {
	if c.whole != nil {
		return io.NopCloser(bytes.NewReader(c.whole)), nil
	}
	stream, source, err := artifact.OpenURI(ctx, c.store, c.uri)
	if err != nil {
		return nil, err
	}
	if c.etag != "" && source.ETag != c.etag {
		_ = stream.Close() // nothing of it is used
		return nil, ChangedSince(c.uri)
	}
	c.etag, c.size = source.ETag, source.Size
	if file, local := stream.(*os.File); local {
		if c.was, err = file.Stat(); err != nil {
			return nil, errors.Join(err, stream.Close())
		}
		c.file = file
		return watched{file, c}, nil
	}
	if c.size > wholeSize {
		return stream, nil
	}
	whole := make([]byte, c.size)
	if _, err := io.ReadFull(stream, whole); err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	c.whole = whole
	return io.NopCloser(bytes.NewReader(whole)), stream.Close()
}

// readerAt reads parts of the bytes, until close.
func (c *content) readerAt(ctx context.Context) (io.ReaderAt, error) {
	inStore := strings.HasPrefix(c.uri, "s3://")
	if !inStore || c.size <= wholeSize || c.etag == "" {
		stream, err := c.open(ctx)
		switch {
		case err != nil:
			return nil, err
		case c.file != nil:
			return c.file, nil
		case c.whole != nil:
			return bytes.NewReader(c.whole), nil
		}
		_ = stream.Close() // too large to be read as a whole
	}
	return artifact.OpenRanges(ctx, c.store, artifact.Source{URI: c.uri, Size: c.size, ETag: c.etag})
}

// close closes a local file. It fails when somebody has written into it.
func (c *content) close() error {
	if c.file == nil {
		return nil
	}
	file := c.file
	c.file = nil
	err := c.unchanged(file)
	_ = file.Close() // only read from
	return err
}

// unchanged compares an open file with what it was.
func (c *content) unchanged(file *os.File) error {
	now, err := file.Stat()
	if err == nil && (now.Size() != c.was.Size() || !now.ModTime().Equal(c.was.ModTime())) {
		err = changed(c.uri)
	}
	return err
}

// fault is an error of reading. What looks like damage comes from somebody who
// writes, if the file has changed.
func (c *content) fault(err error) error {
	if err == nil {
		return nil
	}
	if c.file != nil {
		if other := c.unchanged(c.file); other != nil {
			return other
		}
	}
	return Fault(c.uri, err)
}

// watched is a local file that is read from its start.
type watched struct {
	*os.File
	content *content
}

// Close implements io.Closer.
func (w watched) Close() error { return w.content.close() }
