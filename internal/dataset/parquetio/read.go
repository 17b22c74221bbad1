package parquetio

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

var (
	// ErrNotParquet says that the bytes are no Parquet file.
	ErrNotParquet = errors.New("not a readable Parquet file")
	// ErrNoColumn says that a column is missing or has an unusable type.
	ErrNoColumn = errors.New("no such column of a usable type")
)

// File is an open Parquet file whose footer has been read. It is for one
// goroutine.
type File struct {
	file    *parquet.File
	regions *regions
}

// Group is what the statistics say about the times in one row group.
type Group struct {
	Rows int64
	// Min and Max are the first and last time; both zero when not known.
	Min, Max time.Time
}

// Open reads the footer. The source is read from until the last Read returned.
func Open(source io.ReaderAt, size int64) (_ *File, err error) {
	defer survive(&err)
	r := &regions{source: source}
	tail := min(size, tailSize)
	if err := r.load([]span{{offset: size - tail, length: tail}}); err != nil {
		return nil, err
	}
	footer, err := footerOf(r, size)
	if err == nil {
		err = r.load([]span{footer})
	}
	if err != nil {
		return nil, r.fault(err)
	}
	f, err := parquet.OpenFile(r, size,
		parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true),
		parquet.ReadBufferSize(64<<10))
	if err != nil {
		return nil, r.fault(fmt.Errorf("%w: %w", ErrNotParquet, err))
	}
	return &File{file: f, regions: r}, nil
}

// Rows is the number of rows in the file.
func (f *File) Rows() int64 { return f.file.NumRows() }

// Fields are the file's top-level columns, in its order.
func (f *File) Fields() []dataset.Field {
	columns := f.file.Root().Columns()
	fields := make([]dataset.Field, len(columns))
	for i, c := range columns {
		fields[i] = dataset.Field{Name: c.Name(), Type: kindOf(c).Type, Native: native(c)}
	}
	return fields
}

func native(c *parquet.Column) string {
	switch {
	case !c.Leaf():
		return "nested"
	case c.Repeated():
		return "repeated " + c.Type().String()
	default:
		return c.Type().String()
	}
}

// Groups reports each row group's times by the statistics of the named
// timestamp column.
func (f *File) Groups(timeColumn string) []Group {
	c := f.file.Root().Column(timeColumn)
	groups := make([]Group, len(f.file.RowGroups()))
	for i, g := range f.file.RowGroups() {
		groups[i].Rows = g.NumRows()
		if c == nil || kindOf(c).Type != dataset.TypeTimestamp {
			continue
		}
		stats := f.file.Metadata().RowGroups[i].Columns[c.Index()].MetaData.Statistics
		low, okLow := kindOf(c).bound(stats.MinValue)
		high, okHigh := kindOf(c).bound(stats.MaxValue)
		if okLow && okHigh && low <= high {
			groups[i].Min, groups[i].Max = time.UnixMicro(low).UTC(), time.UnixMicro(high).UTC()
		}
	}
	return groups
}

// bound decodes a statistic of a timestamp column: a plain little-endian value.
func (k kind) bound(raw []byte) (int64, bool) {
	switch {
	case k.physical == parquet.Int64 && len(raw) == 8:
		return k.scale(int64(binary.LittleEndian.Uint64(raw))), true
	case k.physical == parquet.Int32 && len(raw) == 4:
		return k.scale(int64(int32(binary.LittleEndian.Uint32(raw)))), true
	default:
		return 0, false
	}
}

// ReadAll reads the named columns of all rows.
func (f *File) ReadAll(ctx context.Context, names []string) (dataset.Table, error) {
	return f.Read(ctx, f.allGroups(), names)
}

// Read reads the named columns of the given row groups, in that order. Every
// name must be one of Fields with a type.
func (f *File) Read(ctx context.Context, groups []int, names []string) (_ dataset.Table, err error) {
	defer survive(&err)
	columns, err := f.find(names)
	if err != nil {
		return dataset.Table{}, err
	}
	defer f.regions.forget(len(f.regions.loaded))
	if err := f.regions.load(f.spans(groups, columns)); err != nil {
		return dataset.Table{}, err
	}
	rows := 0
	for _, g := range groups {
		rows += int(f.file.RowGroups()[g].NumRows())
	}
	table := dataset.Table{Series: make([]dataset.Series, len(names))}
	for i, c := range columns {
		if err := ctx.Err(); err != nil {
			return dataset.Table{}, err
		}
		reader := newColumnReader(c, rows)
		for _, g := range groups {
			if err := f.readColumn(reader, g, c); err != nil {
				return dataset.Table{}, f.regions.damaged(c.Name(), g, err)
			}
		}
		table.Series[i] = reader.series
	}
	return table, nil
}

func (f *File) readColumn(reader *columnReader, g int, c *parquet.Column) (err error) {
	group := f.file.RowGroups()[g]
	reader.open(group.ColumnChunks()[c.Index()], f.regions)
	defer func() { err = errors.Join(err, reader.close()) }()
	return reader.fill(int(group.NumRows()))
}

// spans are the bytes of the columns' chunks in the groups.
func (f *File) spans(groups []int, columns []*parquet.Column) []span {
	var spans []span
	for _, g := range groups {
		for _, c := range columns {
			m := f.file.Metadata().RowGroups[g].Columns[c.Index()].MetaData
			start := m.DataPageOffset
			if m.DictionaryPageOffset > 0 {
				start = min(start, m.DictionaryPageOffset)
			}
			// A damaged footer may point anywhere; the page reader says so.
			if start >= 0 && m.TotalCompressedSize > 0 && start+m.TotalCompressedSize <= f.file.Size() {
				spans = append(spans, span{offset: start, length: m.TotalCompressedSize})
			}
		}
	}
	return spans
}
