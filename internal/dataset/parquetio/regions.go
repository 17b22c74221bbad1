package parquetio

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"
)

const (
	// tailSize is what the first read takes from a file's end: the footer, with
	// luck, and small files whole.
	tailSize = 64 << 10
	// gap is how many unwanted bytes are read to save a request.
	gap = 512 << 10
	// fetches are made at the same time, of up to fetchSize bytes each.
	fetches   = 4
	fetchSize = 8 << 20
)

// regions is a reader that keeps the parts of a file it was told to load in
// memory and goes to the source for everything else.
type regions struct {
	source io.ReaderAt
	loaded []region
	// failed is the source's own failure, which must not pass for damage.
	failed error
}

type region struct {
	offset int64
	data   []byte
}

// span is a part of the file.
type span struct{ offset, length int64 }

func (s span) end() int64 { return s.offset + s.length }

// ReadAt implements io.ReaderAt.
func (r *regions) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("%w: it points to byte %d", ErrNotParquet, offset)
	}
	for _, l := range r.loaded {
		if offset >= l.offset && offset+int64(len(p)) <= l.offset+int64(len(l.data)) {
			return copy(p, l.data[offset-l.offset:]), nil
		}
	}
	n, err := r.source.ReadAt(p, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
	}
	return n, err
}

// fault is the source's failure, if it has failed, or what a reading found.
func (r *regions) fault(err error) error {
	if err != nil && r.failed != nil {
		return r.failed
	}
	return err
}

// forget frees what was loaded since a moment at which so many regions were.
func (r *regions) forget(since int) {
	clear(r.loaded[since:])
	r.loaded = r.loaded[:since]
}

// load fetches the spans that are not in memory yet: neighbours in one read, but
// large ones in several at once.
func (r *regions) load(spans []span) error {
	if _, whole := r.source.(*bytes.Reader); whole {
		return nil
	}
	before := len(r.loaded)
	var fetch errgroup.Group
	fetch.SetLimit(fetches)
	for _, s := range joined(slices.DeleteFunc(slices.Clone(spans), r.has)) {
		data := make([]byte, s.length)
		r.loaded = append(r.loaded, region{offset: s.offset, data: data})
		for from := int64(0); from < s.length; from += fetchSize {
			part := data[from:min(from+fetchSize, s.length)]
			fetch.Go(func() error {
				if read, err := r.source.ReadAt(part, s.offset+from); read < len(part) {
					return fmt.Errorf("read %d bytes at %d: %w", len(part), s.offset+from, cmp.Or(err, io.ErrUnexpectedEOF))
				}
				return nil
			})
		}
	}
	err := fetch.Wait()
	if err != nil {
		r.forget(before)
	}
	return err
}

// joined makes one span of those that lie close to each other.
func joined(spans []span) (all []span) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.offset, b.offset) })
	for _, s := range spans {
		if last := len(all) - 1; last >= 0 && s.offset <= all[last].end()+gap {
			all[last].length = max(all[last].end(), s.end()) - all[last].offset
		} else {
			all = append(all, s)
		}
	}
	return all
}

func (r *regions) has(s span) bool {
	return slices.ContainsFunc(r.loaded, func(l region) bool {
		return s.offset >= l.offset && s.end() <= l.offset+int64(len(l.data))
	})
}

// damaged is the failure of reading a column's pages, which is the source's own
// or the file's.
func (r *regions) damaged(column string, group int, err error) error {
	return r.fault(fmt.Errorf("column %q, row group %d: %w: %w", column, group, ErrNotParquet, err))
}
