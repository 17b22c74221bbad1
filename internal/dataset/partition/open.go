package partition

import (
	"cmp"
	"context"
	"errors"
	"path"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/textio"
	"github.com/mainspring-ml/mainspring/models"
)

// Open opens a partition of any format. A partition that was changed since it
// was listed is refused; one without an ETag is taken as it is.
func Open(ctx context.Context, store artifact.Store, spec models.DataSpec, part models.Partition) (Reader, error) {
	c := &content{store: store, uri: part.URI, etag: part.ETag, size: part.Size}
	name := cmp.Or(part.Name, part.URI)
	switch format := dataset.FormatOf(spec.Format, name); format {
	case models.FormatParquet:
		file, err := openParquet(ctx, c)
		if err != nil {
			return nil, err
		}
		return file, nil
	case models.FormatCSV, models.FormatJSONL:
		return openText(ctx, c, textio.Options{
			Format: format, Gzip: dataset.TextName(name) != name, Comma: commaOf(spec, name), Nulls: spec.CSV.Nulls, Columns: spec.Columns,
		})
	default:
		return nil, &models.Error{
			Kind: models.KindInvalidSpec, Subject: part.URI, Message: "the file's name says nothing about its format",
			Hint: "name it " + dataset.PartitionEndings + ", or set data.format",
		}
	}
}

// commaOf is what ends cells.
func commaOf(spec models.DataSpec, name string) string {
	if spec.CSV.Delimiter == "" && strings.EqualFold(path.Ext(dataset.TextName(name)), ".tsv") {
		return "\t"
	}
	return cmp.Or(spec.CSV.Delimiter, ",")
}

// OpenParquet opens a Parquet file, whatever its name is.
func OpenParquet(ctx context.Context, store artifact.Store, part models.Partition) (*Parquet, error) {
	return openParquet(ctx, &content{store: store, uri: part.URI, etag: part.ETag, size: part.Size})
}

func openParquet(ctx context.Context, c *content) (*Parquet, error) {
	at, err := c.readerAt(ctx)
	if err != nil {
		return nil, c.fault(err)
	}
	if c.size == 0 {
		err = &textio.Broken{Reason: "the file is empty", Hint: "write the file again; its writer may have been interrupted"}
	}
	var file *parquetio.File
	if err == nil {
		file, err = parquetio.Open(at, c.size)
	}
	if err != nil {
		err = c.fault(err)
		_ = c.close() // the first error is the one that counts
		return nil, err
	}
	return &Parquet{File: file, content: c}, nil
}

func openText(ctx context.Context, c *content, options textio.Options) (Reader, error) {
	file, err := textio.Open(ctx, options, c.open)
	if err != nil {
		return nil, c.fault(err)
	}
	return &textReader{File: file, content: c}, nil
}

// Fault gives errors about a file's content a kind and says what to do about
// them. Other errors pass through.
func Fault(uri string, err error) error {
	var broken *textio.Broken
	var known *models.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.As(err, &broken):
		return &models.Error{Kind: models.KindInvalidSpec, Subject: uri, Message: "the file can't be read", Cause: broken, Hint: broken.Hint}
	case errors.Is(err, artifact.ErrPreconditionFailed):
		return changed(uri)
	case errors.Is(err, parquetio.ErrNotParquet):
		return &models.Error{
			Kind: models.KindInvalidSpec, Subject: uri, Message: "the file can't be read", Cause: err,
			Hint: "replace the file; it is damaged or not Parquet",
		}
	case errors.Is(err, parquetio.ErrNoColumn), errors.Is(err, textio.ErrNoColumn):
		return &models.Error{
			Kind: models.KindInvalidSpec, Subject: uri, Message: "the file does not have the columns it must have", Cause: err,
			Hint: "replace the file by one of the right kind",
		}
	}
	return err
}

func changed(uri string) error {
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: uri, Message: "the file was changed while it was read",
		Hint: "start again when nobody writes to the source",
	}
}

// ChangedSince is the error about a file that is not the one that was listed.
func ChangedSince(uri string) error {
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: uri, Message: "the file was changed after the source was listed",
		Hint: "start again when nobody writes to the source",
	}
}
