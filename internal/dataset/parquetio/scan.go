package parquetio

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// batchRows bounds the rows of a batch.
const batchRows = 1024

// Batch is some consecutive rows of the columns that were asked for. What it
// returns is valid until the next batch.
type Batch struct {
	Rows    int
	columns []cursor
}

// Null reports whether a row has no value in a column.
func (b *Batch) Null(column, row int) bool { return b.columns[column].values[row].IsNull() }

// Bytes is a value of a column of type string.
func (b *Batch) Bytes(column, row int) []byte { return b.columns[column].values[row].ByteArray() }

// Int is a value of a column of type int64, bool or timestamp; 0 for a null.
func (b *Batch) Int(column, row int) int64 {
	c := &b.columns[column]
	if v := c.values[row]; !v.IsNull() {
		return c.kind.integer(v)
	}
	return 0
}

// Number is a value of a column of numbers; false for a null.
func (b *Batch) Number(column, row int) (float64, bool) {
	c := &b.columns[column]
	v := c.values[row]
	switch {
	case v.IsNull():
		return 0, false
	case c.kind.Type == dataset.TypeFloat64:
		return c.kind.float(v), true
	default:
		return float64(c.kind.integer(v)), true
	}
}

// Scan gives each batch of rows to a function, in the file's order, and holds no
// more than a page of each column in memory. Every column must have the type
// that it is asked for with.
func (f *File) Scan(ctx context.Context, columns []dataset.Field, each func(*Batch) error) error {
	batch := Batch{columns: make([]cursor, len(columns))}
	found := make([]*parquet.Column, len(columns))
	for i, want := range columns {
		c := f.file.Root().Column(want.Name)
		if c == nil || !readsAs(kindOf(c).Type, want.Type) {
			return fmt.Errorf("column %q of type %s: %w", want.Name, want.Type, ErrNoColumn)
		}
		found[i], batch.columns[i].kind = c, kindOf(c)
		batch.columns[i].buffer = make([]parquet.Value, batchRows)
	}
	loaded := len(f.regions.loaded)
	for g := range f.file.RowGroups() {
		if err := f.regions.load(f.spans([]int{g}, found)); err != nil {
			return err
		}
		if err := f.scanGroup(ctx, g, found, &batch, each); err != nil {
			return err
		}
		f.regions.forget(loaded)
	}
	return nil
}

// readsAs reports whether a column of one type can be read as another.
func readsAs(have, want string) bool {
	return have == want || want == dataset.TypeFloat64 && (have == dataset.TypeInt64 || have == dataset.TypeBool) ||
		want == dataset.TypeInt64 && (have == dataset.TypeTimestamp || have == dataset.TypeBool) ||
		want == dataset.TypeTimestamp && have == dataset.TypeInt64
}

func (f *File) scanGroup(ctx context.Context, g int, columns []*parquet.Column, batch *Batch, each func(*Batch) error) (err error) {
	group := f.file.RowGroups()[g]
	for i, c := range columns {
		batch.columns[i].open(group.ColumnChunks()[c.Index()])
	}
	defer func() {
		for i := range batch.columns {
			err = errors.Join(err, batch.columns[i].close())
		}
	}()
	for left := int(group.NumRows()); left > 0; left -= batch.Rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch.Rows = min(left, batchRows)
		for i := range batch.columns {
			if err := batch.columns[i].fill(batch.Rows); err != nil {
				return f.regions.damaged(columns[i].Name(), g, err)
			}
		}
		if err := each(batch); err != nil {
			return err
		}
	}
	return nil
}

// cursor reads one column.
type cursor struct {
	kind   kind
	buffer []parquet.Value
	values []parquet.Value // of the batch
	pages  parquet.Pages
	page   parquet.Page // being read; nil: none
	reader parquet.ValueReader
	// spent are pages that values of the batch still point into.
	spent []parquet.Page
}

func (c *cursor) open(chunk parquet.ColumnChunk) { c.pages = chunk.Pages() }

func (c *cursor) close() error {
	c.release()
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
	return c.pages.Close()
}

func (c *cursor) release() {
	for _, page := range c.spent {
		parquet.Release(page)
	}
	c.spent = c.spent[:0]
}

// fill reads the next rows.
func (c *cursor) fill(rows int) (err error) {
	defer survive(&err)
	c.release()
	for n := 0; n < rows; {
		if c.page == nil {
			page, err := c.pages.ReadPage()
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("%w: %d rows are missing", io.ErrUnexpectedEOF, rows-n)
			}
			if err != nil {
				return err
			}
			c.page, c.reader = page, page.Values()
		}
		read, err := c.reader.ReadValues(c.buffer[n:rows])
		n += read
		if errors.Is(err, io.EOF) {
			c.spent, c.page = append(c.spent, c.page), nil
		} else if err != nil {
			return err
		}
	}
	c.values = c.buffer[:rows]
	return nil
}
