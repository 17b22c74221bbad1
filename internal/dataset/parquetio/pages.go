package parquetio

import (
	"bytes"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// values are a page's rows. A null takes no place in the slices, of which one is
// used: codes in pages with a dictionary.
type values struct {
	page    parquet.Page // that the slices may belong to; nil: none
	rows    int          // not taken yet
	levels  []byte       // of these rows, 1 where there is a value; nil: everywhere
	ints    []int64
	floats  []float64
	strings []string
	codes   []int32
}

// release gives the page's memory back.
func (v *values) release() {
	if v.page != nil {
		parquet.Release(v.page)
	}
	*v = values{}
}

// buffers are for values that are not as the file has them; they are used again
// for each page.
type buffers struct {
	ints    []int64
	floats  []float64
	strings []string
}

// decode reads a page of a column, or a dictionary.
func (k kind) decode(page parquet.Page, b *buffers) (values, error) {
	v := values{page: page, rows: int(page.NumRows())}
	if page.NumNulls() > 0 {
		v.levels = page.DefinitionLevels()
	}
	data := page.Data()
	found := 0
	switch {
	case page.Dictionary() != nil:
		v.codes = data.Int32()
		found = len(v.codes)
		if i := outside(v.codes, page.Dictionary().Len()); i >= 0 {
			return v, fmt.Errorf("value %d of a page is number %d of a dictionary with %d", i+1, v.codes[i], page.Dictionary().Len())
		}
	case k.Type == dataset.TypeString:
		v.strings = split(data, b)
		found = len(v.strings)
	case k.Type == dataset.TypeFloat64:
		v.floats = k.floats(data, b)
		found = len(v.floats)
	default:
		v.ints = k.integers(data, v.rows-int(page.NumNulls()), b)
		found = len(v.ints)
	}
	if want := v.rows - int(page.NumNulls()); found != want {
		return v, fmt.Errorf("a page has %d values, it should have %d", found, want)
	}
	return v, nil
}

// outside finds a code that the dictionary does not have; -1: there is none.
func outside(codes []int32, size int) int {
	most := uint32(0)
	for _, c := range codes {
		most = max(most, uint32(c))
	}
	if len(codes) == 0 || int(most) < size {
		return -1
	}
	for i, c := range codes {
		if uint32(c) == most {
			return i
		}
	}
	return -1
}

// split copies the bytes once, so that the strings outlive the page.
func split(data encoding.Values, b *buffers) []string {
	raw, offsets := data.ByteArray()
	text := string(raw)
	b.strings = b.strings[:0]
	for i := 1; i < len(offsets); i++ {
		b.strings = append(b.strings, text[offsets[i-1]:offsets[i]])
	}
	return b.strings
}

func (k kind) floats(data encoding.Values, b *buffers) []float64 {
	if k.physical == parquet.Double {
		return data.Double()
	}
	b.floats = b.floats[:0]
	for _, v := range data.Float() {
		b.floats = append(b.floats, float64(v))
	}
	return b.floats
}

// integers reads numbers, times and bools. Unsigned numbers above the largest
// int64 become that.
func (k kind) integers(data encoding.Values, n int, b *buffers) []int64 {
	b.ints = b.ints[:0]
	switch {
	case k.physical == parquet.Boolean:
		bits := data.Boolean()
		for i := range min(n, 8*len(bits)) {
			b.ints = append(b.ints, int64(bits[i/8]>>(i%8)&1))
		}
	case k.physical == parquet.Int32 && k.unsigned:
		for _, v := range data.Uint32() {
			b.ints = append(b.ints, int64(v))
		}
	case k.physical == parquet.Int32:
		for _, v := range data.Int32() {
			b.ints = append(b.ints, k.scale(int64(v)))
		}
	case k.unsigned:
		for _, v := range data.Uint64() {
			b.ints = append(b.ints, int64(min(v, math.MaxInt64)))
		}
	case k.multiply == 1 && k.divide == 1:
		return data.Int64()
	default:
		for _, v := range data.Int64() {
			b.ints = append(b.ints, k.scale(v))
		}
	}
	return b.ints
}

// levelsOf takes the levels of the next n rows and counts their values; nil: all
// have one.
func (v *values) levelsOf(n int) ([]byte, int) {
	if v.levels == nil {
		return nil, n
	}
	levels := v.levels[:n]
	v.levels = v.levels[n:]
	if found := bytes.Count(levels, []byte{1}); found < n {
		return levels, found
	}
	return nil, n
}

// spread appends rows of which the values are given, and absent for the others.
func spread[T any](to, values []T, levels []byte, absent T) []T {
	if levels == nil {
		return append(to, values...)
	}
	for _, level := range levels {
		if level == 0 {
			to = append(to, absent)
			continue
		}
		to, values = append(to, values[0]), values[1:]
	}
	return to
}
