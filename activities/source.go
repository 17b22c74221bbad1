package activities

import (
	"context"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/models"
)

// openPartition opens a partition of a source, whatever its format.
func openPartition(ctx context.Context, store artifact.Store, spec models.DataSpec, part models.Partition) (partition.Reader, error) {
	file, err := partition.Open(ctx, store, spec, part)
	return file, unavailable(part.URI, "the file can't be opened", err)
}

// openParquet opens a Parquet file that is no partition of a source, such as one
// of the inference log.
func openParquet(ctx context.Context, store artifact.Store, part models.Partition) (*partition.Parquet, error) {
	file, err := partition.OpenParquet(ctx, store, part)
	return file, unavailable(part.URI, "the file can't be opened", err)
}
