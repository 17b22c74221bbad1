package parquetio

import (
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// seriesReader appends pages to a series.
type seriesReader struct {
	kind   kind
	series dataset.Series
	values []parquet.Value
	intern map[string]string
}

// maxInterned bounds the strings shared between rows; a column with more
// different ones is a key or free text, where sharing gains nothing.
const maxInterned = 4096

func newSeriesReader(c *parquet.Column, rows int) *seriesReader {
	k := kindOf(c)
	r := &seriesReader{
		kind:   k,
		series: dataset.Series{Name: c.Name(), Type: k.Type},
		values: make([]parquet.Value, 1024),
		intern: map[string]string{},
	}
	switch k.Type {
	case dataset.TypeString:
		r.series.Strings = make([]string, 0, rows)
	case dataset.TypeFloat64:
		r.series.Floats = make([]float64, 0, rows)
	default:
		r.series.Ints = make([]int64, 0, rows)
	}
	return r
}

func (r *seriesReader) readChunk(chunk parquet.ColumnChunk) (err error) {
	defer survive(&err)
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = r.readPage(page)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

func (r *seriesReader) readPage(page parquet.Page) error {
	values := page.Values()
	for {
		n, err := values.ReadValues(r.values)
		for _, v := range r.values[:n] {
			r.append(v)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *seriesReader) append(v parquet.Value) {
	s := &r.series
	null := v.IsNull()
	if null && s.Nulls == nil {
		s.Nulls = make([]bool, s.Len(), cap(s.Ints)+cap(s.Floats)+cap(s.Strings))
	}
	if s.Nulls != nil {
		s.Nulls = append(s.Nulls, null)
	}
	switch {
	case s.Type == dataset.TypeString && null:
		s.Strings = append(s.Strings, "")
	case s.Type == dataset.TypeString:
		s.Strings = append(s.Strings, r.text(v.ByteArray()))
	case s.Type == dataset.TypeFloat64 && null:
		s.Floats = append(s.Floats, 0)
	case s.Type == dataset.TypeFloat64:
		s.Floats = append(s.Floats, r.kind.float(v))
	case null:
		s.Ints = append(s.Ints, 0)
	default:
		s.Ints = append(s.Ints, r.kind.integer(v))
	}
}

func (r *seriesReader) text(raw []byte) string {
	if known, ok := r.intern[string(raw)]; ok {
		return known
	}
	text := string(raw)
	if len(r.intern) < maxInterned {
		r.intern[text] = text
	}
	return text
}
