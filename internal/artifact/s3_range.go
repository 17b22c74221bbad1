package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"
)

// GetRange implements Store.
func (s *S3) GetRange(ctx context.Context, key string, offset, length int64, etag string) (io.ReadCloser, Info, error) {
	const op = "get range"
	if err := checkRange(s, key, offset, length); err != nil {
		return nil, Info{}, err
	}
	var options minio.GetObjectOptions
	options.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	if etag != "" {
		options.Set("If-Match", `"`+etag+`"`)
	}
	body, found, header, err := s.client.GetObject(ctx, s.bucket, key, options)
	if err != nil {
		switch minio.ToErrorResponse(err).StatusCode {
		case http.StatusRequestedRangeNotSatisfiable:
			return nil, Info{}, outOfRange(s, key, offset)
		case http.StatusPreconditionFailed:
			return nil, Info{}, replaced(op, s, key)
		}
		return nil, Info{}, s.fail(ctx, op, key, err)
	}
	whole := info(found, key)
	whole.Size, err = wholeSize(header, found.Size, offset, length)
	switch {
	case err != nil:
		err = &Error{Op: op, URI: URI(s, key), Class: ErrInvalid, Cause: err, Hint: "the S3 server does not serve ranges of objects"}
	case etag != "" && whole.ETag != etag: // a server that does not know the condition
		err = replaced(op, s, key)
	default:
		return &objectReader{ReadCloser: body, store: s, ctx: ctx, key: key}, whole, nil
	}
	_ = body.Close() // nothing of it is used
	return nil, Info{}, err
}

// wholeSize is the object's size as the answer to a request for a range says
// it, if the answer is about that range.
func wholeSize(header http.Header, came, offset, length int64) (int64, error) {
	span := header.Get("Content-Range")
	if span == "" && offset == 0 && came <= length {
		return came, nil // the whole object
	}
	start, rest, _ := strings.Cut(strings.TrimPrefix(span, "bytes "), "-")
	_, size, _ := strings.Cut(rest, "/")
	whole, err := strconv.ParseInt(size, 10, 64)
	if err != nil || start != strconv.FormatInt(offset, 10) || came != min(length, whole-offset) {
		return 0, fmt.Errorf("bytes from %d on were asked for; the answer has %d bytes and the range %q", offset, came, span)
	}
	return whole, nil
}

// objectReader gives the errors of an interrupted download their class.
type objectReader struct {
	io.ReadCloser
	store *S3
	ctx   context.Context //nolint:containedctx // it bounds this one download
	key   string
}

func (r *objectReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.store.fail(r.ctx, "get", r.key, err)
	}
	return n, err
}
