package parquetio

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// columnReader appends the rows of column chunks to a series. Where pages hold
// the codes of a dictionary, it keeps them as well.
type columnReader struct {
	kind     kind
	optional bool
	series   dataset.Series
	pages    parquet.Pages
	page     values
	buffers  buffers
	// dictionary has the different values of the row group, the last of which is
	// null in a column that may have some; nil: there is none.
	dictionary *dataset.Series
	codes      []int32
	coded      bool // all rows of the series have codes
}

func newColumnReader(c *parquet.Column, rows int) *columnReader {
	r := &columnReader{kind: kindOf(c), optional: c.MaxDefinitionLevel() > 0}
	r.series = dataset.Series{Name: c.Name(), Type: r.kind.Type}
	switch r.kind.Type {
	case dataset.TypeString:
		r.series.Strings = make([]string, 0, rows)
	case dataset.TypeFloat64:
		r.series.Floats = make([]float64, 0, rows)
	default:
		r.series.Ints = make([]int64, 0, rows)
	}
	return r
}

// open begins with a row group's column chunk, of which the bytes are read from
// a source.
func (r *columnReader) open(chunk parquet.ColumnChunk, source io.ReaderAt) {
	r.dictionary = nil
	if c, ok := chunk.(*parquet.FileColumnChunk); ok {
		r.pages = c.PagesFrom(source)
	} else {
		r.pages = chunk.Pages()
	}
}

func (r *columnReader) close() error {
	r.page.release()
	pages := r.pages
	if r.pages = nil; pages == nil {
		return nil
	}
	return pages.Close()
}

// reset empties the series, whose slices are used again.
func (r *columnReader) reset() {
	s := &r.series
	s.Nulls, s.Strings, s.Ints, s.Floats = nil, s.Strings[:0], s.Ints[:0], s.Floats[:0]
	r.codes, r.coded = r.codes[:0], true
}

// coding is that of the series; nil: not all pages have a dictionary.
func (r *columnReader) coding() *dataset.Coding {
	if !r.coded || r.dictionary == nil {
		return nil
	}
	return &dataset.Coding{Values: r.dictionary, Codes: r.codes}
}

// fill appends the next rows.
func (r *columnReader) fill(rows int) (err error) {
	defer survive(&err)
	for rows > 0 {
		if r.page.rows == 0 {
			if err := r.nextPage(); err != nil {
				return err
			}
			continue
		}
		n := min(rows, r.page.rows)
		r.take(n)
		rows -= n
	}
	return nil
}

func (r *columnReader) nextPage() error {
	r.page.release()
	page, err := r.pages.ReadPage()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: rows are missing", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return err
	}
	r.page, err = r.kind.decode(page, &r.buffers)
	if err == nil && page.Dictionary() != nil && r.dictionary == nil {
		err = r.readDictionary(page.Dictionary().Page())
	}
	return err
}

// readDictionary copies the dictionary, which is gone with the row group.
func (r *columnReader) readDictionary(page parquet.Page) error {
	v, err := r.kind.decode(page, &r.buffers)
	if err != nil {
		return err
	}
	d := dataset.Series{Type: r.series.Type}
	size := v.rows
	if r.optional {
		d.Nulls = make([]bool, size+1)
		d.Nulls[size] = true
		size++
	}
	switch d.Type {
	case dataset.TypeString:
		d.Strings = make([]string, size)
		copy(d.Strings, v.strings)
	case dataset.TypeFloat64:
		d.Floats = make([]float64, size)
		copy(d.Floats, v.floats)
	default:
		d.Ints = make([]int64, size)
		copy(d.Ints, v.ints)
	}
	r.dictionary = &d
	return nil
}

// take appends the next rows of the page.
func (r *columnReader) take(n int) {
	levels, found := r.page.levelsOf(n)
	r.page.rows -= n
	s, p := &r.series, &r.page
	r.markNulls(levels, n)
	switch {
	case p.codes != nil:
		from := len(r.codes)
		r.codes = spread(r.codes, p.codes[:found], levels, int32(r.dictionary.Len()-1))
		p.codes = p.codes[found:]
		r.lookUp(r.codes[from:])
		return
	case s.Type == dataset.TypeString:
		s.Strings = spread(s.Strings, p.strings[:found], levels, "")
		p.strings = p.strings[found:]
	case s.Type == dataset.TypeFloat64:
		s.Floats = spread(s.Floats, p.floats[:found], levels, 0)
		p.floats = p.floats[found:]
	default:
		s.Ints = spread(s.Ints, p.ints[:found], levels, 0)
		p.ints = p.ints[found:]
	}
	r.coded = false
}

func (r *columnReader) markNulls(levels []byte, n int) {
	s := &r.series
	if levels != nil && s.Nulls == nil {
		s.Nulls = make([]bool, s.Len(), max(s.Len()+n, cap(s.Ints)+cap(s.Floats)+cap(s.Strings)))
	}
	if s.Nulls == nil {
		return
	}
	for i := range n {
		s.Nulls = append(s.Nulls, levels != nil && levels[i] == 0)
	}
}

// lookUp appends what codes stand for.
func (r *columnReader) lookUp(codes []int32) {
	s, d := &r.series, r.dictionary
	switch s.Type {
	case dataset.TypeString:
		s.Strings = pickAll(s.Strings, d.Strings, codes)
	case dataset.TypeFloat64:
		s.Floats = pickAll(s.Floats, d.Floats, codes)
	default:
		s.Ints = pickAll(s.Ints, d.Ints, codes)
	}
}

func pickAll[T any](to, values []T, codes []int32) []T {
	for _, c := range codes {
		to = append(to, values[c])
	}
	return to
}
