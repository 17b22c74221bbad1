package activities

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"path"

	"go.temporal.io/sdk/activity"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// maxParquet bounds the one file that an activity holds in memory.
const maxParquet = 2 << 30

// maxProfile bounds the profile of a snapshot.
const maxProfile = 64 << 20

// readProfile reads what a snapshot's rows look like. Nil: nobody has looked at
// them, or it is not there any more.
func readProfile(ctx context.Context, store artifact.Store, ref models.Ref) (*profile.Profile, error) {
	if ref.URI == "" {
		return nil, nil
	}
	data, err := artifact.ReadRef(ctx, store, ref, maxProfile)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(ref.URI, "the snapshot's profile can't be read", err)
	}
	p, err := profile.Decode(data)
	if err != nil {
		return nil, &models.Error{
			Kind: models.KindInvalidSpec, Subject: ref.URI, Message: "the snapshot's profile can't be used", Cause: err,
			Hint: "upgrade this worker, or prepare the snapshot again",
		}
	}
	return &p, nil
}

// side is some columns of one side of a snapshot.
type side struct {
	dir     string
	columns []string
}

// maxManifest bounds a snapshot's manifest: about a hundred thousand files.
const maxManifest = 32 << 20

// readSide reads the files of one side of a snapshot, in the manifest's order.
func readSide(ctx context.Context, store artifact.Store, manifest models.Ref, want side) (dataset.Table, error) {
	var table dataset.Table
	data, err := artifact.ReadRef(ctx, store, manifest, maxManifest)
	if err != nil {
		return table, unavailable(manifest.URI, "the snapshot's manifest can't be read", err)
	}
	m, err := dataset.Decode(data)
	if err != nil {
		return table, &models.Error{Kind: models.KindInvalidSpec, Subject: manifest.URI, Message: "the snapshot can't be used", Cause: err}
	}
	for _, f := range m.Files {
		if path.Dir(f.Path) != want.dir {
			continue
		}
		ref := f.Ref
		ref.URI = dataset.FileURI(manifest.URI, f.SHA256)
		more, err := readVerified(ctx, store, ref, want.columns)
		if err != nil {
			return table, err
		}
		table.Append(more)
		recordProgress(ctx, f.Path)
	}
	return table, nil
}

// readVerified reads some columns of a Parquet file after its digest has been
// compared with the reference.
func readVerified(ctx context.Context, store artifact.Store, ref models.Ref, names []string) (dataset.Table, error) {
	file, err := openVerified(ctx, store, ref)
	if err != nil {
		return dataset.Table{}, err
	}
	table, err := file.ReadAll(ctx, names)
	if err != nil {
		return dataset.Table{}, unreadable(ref.URI, err)
	}
	return table, nil
}

func openVerified(ctx context.Context, store artifact.Store, ref models.Ref) (*parquetio.File, error) {
	data, err := artifact.ReadRef(ctx, store, ref, maxParquet)
	if err != nil {
		return nil, unavailable(ref.URI, "the file can't be read", err)
	}
	file, err := parquetio.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, unreadable(ref.URI, err)
	}
	return file, nil
}

// writeTable stores a table under its digest. If a collection could take what is
// there already, it is written again: nobody names it yet.
func writeTable(ctx context.Context, store artifact.Store, table dataset.Table, nullable map[string]bool) (models.Ref, error) {
	var b bytes.Buffer
	if err := parquetio.Write(&b, table, nullable); err != nil {
		return models.Ref{}, unavailable("Parquet", "the table can't be encoded", err)
	}
	ref, err := snapshots.Catalog{Store: store}.PutObject(ctx, b.Bytes())
	return ref, unavailable(ref.URI, "the object can't be written", err)
}

// unreadable is the error for a file that could not be read, be it for what is
// in it or for the store.
func unreadable(uri string, err error) error {
	return unavailable(uri, "the file can't be read", partition.Fault(uri, err))
}

// unavailable passes a *models.Error and a cancellation through, and gives any
// other error a kind: Unavailable, which is retried, unless the store says that
// trying again can't help.
func unavailable(subject, message string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*models.Error)(nil); errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	kind := models.KindUnavailable
	for _, class := range []error{artifact.ErrNotFound, artifact.ErrCorrupt, artifact.ErrInvalid, artifact.ErrTooLarge, artifact.ErrConflict} {
		if errors.Is(err, class) {
			kind = models.KindInvalidSpec
		}
	}
	return &models.Error{Kind: kind, Subject: cmp.Or(subject, "artifact store"), Message: message, Cause: err}
}

// recordProgress heartbeats, and does nothing outside of an activity.
func recordProgress(ctx context.Context, detail any) {
	if activity.IsActivity(ctx) {
		activity.RecordHeartbeat(ctx, detail)
	}
}
