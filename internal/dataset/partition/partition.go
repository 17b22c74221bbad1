// Package partition reads a source's files, whatever their format, as columns
// with types.
//
// # Vocabulary
//
//   - A partition is one file of the source; its format is Parquet, CSV or JSON
//     lines, the latter two plain or gzip.
//   - A group is a part of a partition that can be read alone. A text file is one
//     group, of whose times nothing is known before it is read.
//   - A bad value is one in a text file that does not read as its column's type.
//     It is counted and reads as null; that is for a check to judge.
//   - A broken file is one that can't be read to its end: reading fails with a
//     *models.Error of KindInvalidSpec that says where.
package partition

import (
	"context"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
)

// Group is a part of a partition.
type Group struct {
	Rows int64 // -1: not known before it is read
	// Min and Max are the first and last time; both zero when not known.
	Min, Max time.Time
}

// Reader is an open partition. It is for one goroutine.
//
// Errors about the content are *models.Error; those of the store are passed on
// as they are.
type Reader interface {
	// Fields are the columns in the file's order. Types that a spec declares for a
	// text file are taken from there; the others are found by reading it once.
	Fields() []dataset.Field
	// Groups reports each group's times by the named column.
	Groups(timeColumn string) []Group
	// Read reads the named columns of the given groups, in that order. Every name
	// must be one of Fields with a type.
	Read(ctx context.Context, groups []int, names []string) (dataset.Table, error)
	// ReadAll reads the named columns of all rows.
	ReadAll(ctx context.Context, names []string) (dataset.Table, error)
	// Chunks gives the named columns of the given groups to a function, some rows
	// at once and in order. Memory is bounded by the chunk, of which the slices are
	// good until the function returns; nil groups are all.
	Chunks(ctx context.Context, groups []int, names []string, each func(dataset.Chunk) error) error
	// Rows is the number of rows; -1: not known before all have been read.
	Rows() int64
	// BadValues are what the last reading found, by column in the file's order.
	BadValues() []dataset.BadValues
	// Close ends reading. It fails with KindInvalidSpec when the file was changed
	// under reading.
	Close() error
}
