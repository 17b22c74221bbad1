package partition

import (
	"context"
	"errors"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/textio"
)

// Parquet is an open Parquet file.
type Parquet struct {
	*parquetio.File
	content *content
}

var _ Reader = (*Parquet)(nil)

// Groups implements Reader.
func (r *Parquet) Groups(timeColumn string) []Group {
	var groups []Group
	for _, g := range r.File.Groups(timeColumn) {
		groups = append(groups, Group(g))
	}
	return groups
}

// Read implements Reader.
func (r *Parquet) Read(ctx context.Context, groups []int, names []string) (dataset.Table, error) {
	table, err := r.File.Read(ctx, groups, names)
	return table, r.content.fault(err)
}

// ReadAll implements Reader.
func (r *Parquet) ReadAll(ctx context.Context, names []string) (dataset.Table, error) {
	table, err := r.File.ReadAll(ctx, names)
	return table, r.content.fault(err)
}

// Chunks implements Reader. Several goroutines may call it.
func (r *Parquet) Chunks(ctx context.Context, groups []int, names []string, each func(dataset.Chunk) error) error {
	return r.content.chunks(each, func(each func(dataset.Chunk) error) error { return r.File.Chunks(ctx, groups, names, each) })
}

// chunks gives chunks to a function, whose own errors say nothing about the file.
func (c *content) chunks(each func(dataset.Chunk) error, read func(each func(dataset.Chunk) error) error) error {
	var refused error
	err := read(func(chunk dataset.Chunk) error {
		refused = each(chunk)
		return refused
	})
	if refused != nil && errors.Is(err, refused) {
		return refused
	}
	return c.fault(err)
}

// Scan gives each batch of rows to a function, see parquetio.
func (r *Parquet) Scan(ctx context.Context, columns []dataset.Field, each func(*parquetio.Batch) error) error {
	return r.content.fault(r.File.Scan(ctx, columns, each))
}

// BadValues implements Reader.
func (r *Parquet) BadValues() []dataset.BadValues { return nil }

// Close implements Reader.
func (r *Parquet) Close() error { return r.content.close() }

// textReader reads CSV and JSON lines.
type textReader struct {
	*textio.File
	content *content
}

var _ Reader = (*textReader)(nil)

// Groups implements Reader: a text is read as a whole.
func (r *textReader) Groups(string) []Group { return []Group{{Rows: r.Rows()}} }

// Read implements Reader.
func (r *textReader) Read(ctx context.Context, groups []int, names []string) (dataset.Table, error) {
	var all dataset.Table
	for range groups {
		table, err := r.ReadAll(ctx, names)
		if err != nil {
			return dataset.Table{}, err
		}
		all.Append(table)
	}
	return all, nil
}

// ReadAll implements Reader.
func (r *textReader) ReadAll(ctx context.Context, names []string) (dataset.Table, error) {
	table, err := r.File.ReadAll(ctx, names)
	return table, r.content.fault(err)
}

// Chunks implements Reader.
func (r *textReader) Chunks(ctx context.Context, groups []int, names []string, each func(dataset.Chunk) error) error {
	if groups != nil && len(groups) == 0 {
		return nil
	}
	return r.content.chunks(each, func(each func(dataset.Chunk) error) error { return r.File.Chunks(ctx, names, each) })
}

// Close implements Reader. Each reading has closed the file behind it.
func (r *textReader) Close() error { return nil }
