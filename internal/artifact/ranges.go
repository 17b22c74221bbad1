package artifact

import (
	"context"
	"fmt"
	"io"
)

// Ranges reads parts of one object, each with a request of its own. It fails with
// ErrPreconditionFailed when the object is not the one any more that it was opened
// for. It is safe for concurrent use.
type Ranges struct {
	ctx    context.Context //nolint:containedctx // io.ReaderAt has none; it bounds this one reading
	store  Store
	key    string
	source Source
}

var _ io.ReaderAt = (*Ranges)(nil)

// OpenRanges returns a reader of an object of known size and ETag, without
// contacting the store.
func OpenRanges(ctx context.Context, s Store, source Source) (*Ranges, error) {
	of, key, err := locate(s, source.URI)
	return &Ranges{ctx: ctx, store: of, key: key, source: source}, err
}

// ReadAt implements io.ReaderAt.
func (r *Ranges) ReadAt(p []byte, offset int64) (int, error) {
	want := min(int64(len(p)), r.source.Size-offset)
	if want <= 0 {
		return 0, endOf(p)
	}
	stream, _, err := r.store.GetRange(r.ctx, r.key, offset, want, r.source.ETag)
	if err != nil {
		return 0, err
	}
	defer func() { _ = stream.Close() }() // only read from
	n, err := io.ReadFull(stream, p[:want])
	if err != nil {
		return n, fmt.Errorf("%d of %d bytes from %d on came: %w", n, want, offset, err)
	}
	return n, endOf(p[n:])
}

// endOf is io.EOF where more was asked for than there is.
func endOf(missing []byte) error {
	if len(missing) > 0 {
		return io.EOF
	}
	return nil
}
