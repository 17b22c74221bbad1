package parquetio

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
)

const (
	// tailSize is what the first read takes from a file's end: the footer, with
	// luck, and small files whole.
	tailSize = 64 << 10
	// gap is how many unwanted bytes are read to save a request.
	gap = 512 << 10
)

// regions is a reader that keeps the parts of a file it was told to load in
// memory and goes to the source for everything else.
type regions struct {
	source io.ReaderAt
	loaded []region // sorted by offset, not overlapping
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
	for _, l := range r.loaded {
		if offset >= l.offset && offset+int64(len(p)) <= l.offset+int64(len(l.data)) {
			return copy(p, l.data[offset-l.offset:]), nil
		}
	}
	return r.source.ReadAt(p, offset)
}

// load fetches the spans that are not in memory yet, neighbours in one read.
func (r *regions) load(spans []span) error {
	if _, whole := r.source.(*bytes.Reader); whole {
		return nil
	}
	spans = slices.DeleteFunc(slices.Clone(spans), r.has)
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.offset, b.offset) })
	for len(spans) > 0 {
		first := spans[0]
		n := 1
		for n < len(spans) && spans[n].offset <= first.end()+gap {
			first.length = max(first.end(), spans[n].end()) - first.offset
			n++
		}
		data := make([]byte, first.length)
		if read, err := r.source.ReadAt(data, first.offset); read < len(data) {
			return fmt.Errorf("read %d bytes at %d: %w", first.length, first.offset, cmp.Or(err, io.ErrUnexpectedEOF))
		}
		r.loaded = append(r.loaded, region{offset: first.offset, data: data})
		spans = spans[n:]
	}
	return nil
}

func (r *regions) has(s span) bool {
	return slices.ContainsFunc(r.loaded, func(l region) bool {
		return s.offset >= l.offset && s.end() <= l.offset+int64(len(l.data))
	})
}
