package partition

import (
	"context"
	"errors"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/textio"
)

// parquetReader reads Parquet.
type parquetReader struct {
	*parquetio.File
	content *content
}

var _ Reader = (*parquetReader)(nil)

// Groups implements Reader.
func (r *parquetReader) Groups(timeColumn string) []Group {
	var groups []Group
	for _, g := range r.File.Groups(timeColumn) {
		groups = append(groups, Group(g))
	}
	return groups
}

// Read implements Reader.
func (r *parquetReader) Read(ctx context.Context, groups []int, names []string) (dataset.Table, error) {
	table, err := r.File.Read(ctx, groups, names)
	return table, r.content.fault(err)
}

// ReadAll implements Reader.
func (r *parquetReader) ReadAll(ctx context.Context, names []string) (dataset.Table, error) {
	table, err := r.File.ReadAll(ctx, names)
	return table, r.content.fault(err)
}

// Chunks implements Reader: a chunk is a row group.
func (r *parquetReader) Chunks(ctx context.Context, groups []int, names []string, each func(dataset.Chunk) error) error {
	first := int64(1)
	for i, g := range r.Groups("") {
		if groups == nil || slices.Contains(groups, i) {
			table, err := r.Read(ctx, []int{i}, names)
			if err != nil {
				return err
			}
			if err := each(dataset.Chunk{First: first, Table: table}); err != nil {
				return err
			}
		}
		first += g.Rows
	}
	return nil
}

// BadValues implements Reader.
func (r *parquetReader) BadValues() []dataset.BadValues { return nil }

// Close implements Reader.
func (r *parquetReader) Close() error { return r.content.close() }

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
	var refused error
	err := r.File.Chunks(ctx, names, func(c dataset.Chunk) error {
		refused = each(c)
		return refused
	})
	if refused != nil && errors.Is(err, refused) {
		return refused
	}
	return r.content.fault(err)
}

// Close implements Reader. Each reading has closed the file behind it.
func (r *textReader) Close() error { return nil }
