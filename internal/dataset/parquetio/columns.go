package parquetio

import (
	"context"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// chunkRows bounds the rows of a chunk, so that its columns fit a processor's
// cache.
const chunkRows = 32 << 10

// Chunks gives the named columns of the given row groups to a function, some
// rows at once and in order; nil groups are all. A chunk's slices are good until
// the function returns, the strings in them for ever. Every name must be one of
// Fields with a type. No more than a row group's wanted bytes and a page of each
// column are held in memory. Several goroutines may call it, for what they read
// is read for each of them.
func (f *File) Chunks(ctx context.Context, groups []int, names []string, each func(dataset.Chunk) error) error {
	columns, err := f.find(names)
	if err != nil {
		return err
	}
	readers := make([]*columnReader, len(columns))
	for i, c := range columns {
		readers[i] = newColumnReader(c, chunkRows)
	}
	if groups == nil {
		groups = f.allGroups()
	}
	for _, g := range groups {
		if err := f.chunkGroup(ctx, g, columns, readers, each); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) chunkGroup(ctx context.Context, g int, columns []*parquet.Column, readers []*columnReader, each func(dataset.Chunk) error) (err error) {
	mine := &regions{source: f.regions.source, loaded: slices.Clip(f.regions.loaded)}
	if err := mine.load(f.spans([]int{g}, columns)); err != nil {
		return err
	}
	defer func() {
		for _, r := range readers {
			if closing := r.close(); err == nil {
				err = closing
			}
		}
	}()
	group := f.file.RowGroups()[g]
	for i, c := range columns {
		readers[i].open(group.ColumnChunks()[c.Index()], mine)
	}
	chunk := dataset.Chunk{
		First: 1, Table: dataset.Table{Series: make([]dataset.Series, len(columns))}, Codings: make([]*dataset.Coding, len(columns)),
	}
	for _, before := range f.file.RowGroups()[:g] {
		chunk.First += before.NumRows()
	}
	for left := int(group.NumRows()); left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := min(left, chunkRows)
		for i, r := range readers {
			r.reset()
			if err := r.fill(rows); err != nil {
				return mine.damaged(columns[i].Name(), g, err)
			}
			chunk.Table.Series[i], chunk.Codings[i] = r.series, r.coding()
		}
		if err := each(chunk); err != nil {
			return err
		}
		left -= rows
		chunk.First += int64(rows)
	}
	return nil
}

func (f *File) find(names []string) ([]*parquet.Column, error) {
	columns := make([]*parquet.Column, len(names))
	for i, name := range names {
		columns[i] = f.file.Root().Column(name)
		if columns[i] == nil || kindOf(columns[i]).Type == "" {
			return nil, fmt.Errorf("column %q: %w", name, ErrNoColumn)
		}
	}
	return columns, nil
}

func (f *File) allGroups() []int {
	groups := make([]int, len(f.file.RowGroups()))
	for i := range groups {
		groups[i] = i
	}
	return groups
}
