package activities

import (
	"context"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/models"
)

func openPartition(ctx context.Context, store artifact.Store, spec models.DataSpec, part models.Partition) (partition.Reader, error) {
	file, done, err := openParquet(ctx, store, part)
	return parquetPartition{File: file, done: done}, err
}

type parquetPartition struct {
	*parquetio.File
	partition.Reader
	done func()
}

func (p parquetPartition) Groups(column string) (out []partition.Group) {
	for _, g := range p.File.Groups(column) {
		out = append(out, partition.Group(g))
	}
	return out
}
func (p parquetPartition) Fields() []dataset.Field { return p.File.Fields() }
func (p parquetPartition) Rows() int64             { return p.File.Rows() }
func (p parquetPartition) Read(ctx context.Context, g []int, n []string) (dataset.Table, error) {
	return p.File.Read(ctx, g, n)
}
func (p parquetPartition) ReadAll(ctx context.Context, n []string) (dataset.Table, error) {
	return p.File.ReadAll(ctx, n)
}
func (p parquetPartition) Close() error { p.done(); return nil }
