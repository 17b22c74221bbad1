package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/models"
)

// Prepare reads source partitions and writes snapshots to the store's bucket.
type Prepare struct {
	Store artifact.Store
}

var _ models.DataPreparation = (*Prepare)(nil)

// parquetSuffix marks the inference log's files; others are left alone.
const parquetSuffix = ".parquet"

// ListPartitions implements models.DataPreparation. Names that begin with '_'
// or '.' are what other engines leave while they write.
func (p *Prepare) ListPartitions(ctx context.Context, request models.ListPartitionsRequest) (models.PartitionList, error) {
	spec := request.Data
	found, err := partitionsAt(ctx, p.Store, spec)
	if err == nil && len(found.partitions) == 0 {
		err = &models.Error{
			Kind: models.KindInvalidSpec, Subject: "data.source",
			Message: fmt.Sprintf("%s holds no partitions, which end with %s (%d other files)", spec.Source, dataset.PartitionEndings, found.others), Cause: found.absent,
			Hint: "name the directory or prefix that the partitions lie in, or upload them",
		}
	}
	if err != nil {
		return models.PartitionList{}, err
	}
	return p.keepListing(ctx, request, found.partitions)
}

// held is what a source holds.
type held struct {
	partitions []models.Partition // by URI
	others     int                // further files
	absent     error              // why there is nothing at all; nil: there is something
}

// partitionsAt lists a source. One that does not exist (yet) holds nothing.
func partitionsAt(ctx context.Context, store artifact.Store, spec models.DataSpec) (held, error) {
	all, err := artifact.ListURI(ctx, store, spec.Source)
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return held{absent: err}, nil
	case errors.Is(err, artifact.ErrInvalid):
		return held{}, &models.Error{
			Kind: models.KindInvalidSpec, Subject: "data.source", Message: fmt.Sprintf("%q can't be listed", spec.Source), Cause: err,
			Hint: "a relative path is uploaded by the mainspring client, which puts the s3:// URI in its place",
		}
	case err != nil:
		return held{}, unavailable(spec.Source, "the source can't be listed", err)
	}
	root := strings.TrimSuffix(spec.Source, "/")
	var found held
	for _, file := range all {
		if dataset.IsPartition(spec.Format, strings.TrimPrefix(file.URI, root)) {
			found.partitions = append(found.partitions, models.Partition{URI: file.URI, ETag: file.ETag, Size: file.Size})
		} else {
			found.others++
		}
	}
	slices.SortFunc(found.partitions, func(a, b models.Partition) int { return strings.Compare(a.URI, b.URI) })
	return found, nil
}

// prepare reads one partition.
func (p *Prepare) prepare(ctx context.Context, spec models.DataSpec, part models.Partition) (dataset.Summary, error) {
	file, err := openPartition(ctx, p.Store, spec, part)
	if err != nil {
		return dataset.Summary{}, err
	}
	summary, err := p.share(ctx, spec, part, file)
	if closed := file.Close(); err == nil && closed != nil {
		err = unavailable(part.URI, "the file can't be read", closed)
	}
	return summary, err
}

// share reads what the window covers of a partition and writes it.
func (p *Prepare) share(ctx context.Context, spec models.DataSpec, part models.Partition, file partition.Reader) (dataset.Summary, error) {
	plan := planReads(spec, file)
	if len(plan.groups) == 0 {
		return dataset.Summary{Tallies: plan.skipped(spec)}, nil
	}
	columns, err := dataset.Resolve(spec, dataset.Source{URI: part.URI, Fields: file.Fields()})
	if err != nil {
		return dataset.Summary{}, err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	table, err := file.Read(ctx, plan.groups, names)
	if err != nil {
		return dataset.Summary{}, unreadable(part.URI, err)
	}
	share := dataset.Split(spec, columns, table)
	summary := share.Summary
	plan.sawTimes(table.Column(spec.Time))
	for key, t := range plan.skipped(spec) {
		summary.Tallies[key] = t
	}
	recordProgress(ctx, part.URI)
	nullable := make(map[string]bool, len(spec.Checks.MaxNullFraction))
	for name, limit := range spec.Checks.MaxNullFraction {
		nullable[name] = limit > 0
	}
	for _, side := range []struct {
		dir   string
		table dataset.Table
	}{{dataset.TrainDir, share.Train}, {dataset.TestDir, share.Test}} {
		if side.table.Rows() == 0 {
			continue
		}
		ref, err := writeTable(ctx, p.Store, side.table, nullable)
		if err != nil {
			return dataset.Summary{}, err
		}
		summary.Files = append(summary.Files, models.SnapshotFile{
			Path: side.dir + "/" + dataset.FileName(spec.Source, part.URI), Rows: int64(side.table.Rows()), Ref: ref,
		})
	}
	return summary, nil
}

// readPlan is which row groups are read, and the times of all of them.
type readPlan struct {
	groups   []int
	rows     int64
	min, max time.Time
}

// planReads leaves out the row groups whose statistics lie outside the window.
func planReads(spec models.DataSpec, file partition.Reader) *readPlan {
	train, test := dataset.Spans(spec)
	plan := &readPlan{rows: file.Rows()}
	for i, g := range file.Groups(spec.Time) {
		known := !g.Min.IsZero()
		if known {
			plan.saw(g.Min, g.Max)
		}
		if g.Rows != 0 && (!known || (g.Max.Compare(train.From) >= 0 && g.Min.Before(test.To))) {
			plan.groups = append(plan.groups, i)
		}
	}
	return plan
}

func (r *readPlan) saw(low, high time.Time) {
	if r.min.IsZero() || low.Before(r.min) {
		r.min = low
	}
	if r.max.IsZero() || high.After(r.max) {
		r.max = high
	}
}

func (r *readPlan) sawTimes(times *dataset.Series) {
	for row, micros := range times.Ints {
		if !times.IsNull(row) {
			at := time.UnixMicro(micros)
			r.saw(at, at)
		}
	}
}

func (r *readPlan) skipped(spec models.DataSpec) map[string]dataset.Tally {
	if r.min.IsZero() {
		return dataset.SourceTally(spec, 0, r.min, r.max)
	}
	return dataset.SourceTally(spec, r.rows, r.min, r.max)
}

// WriteSnapshot implements models.DataPreparation. The files are there before
// the manifest that names them.
func (p *Prepare) WriteSnapshot(ctx context.Context, request models.WriteSnapshotRequest) (models.Snapshot, error) {
	spec := request.Preparation.Data
	summary, err := p.merged(ctx, request)
	if err != nil {
		return models.Snapshot{}, err
	}
	checks, err := dataset.Check(spec, summary)
	if err != nil {
		return models.Snapshot{}, err
	}
	manifest, err := dataset.NewManifest(spec, summary)
	if err != nil {
		return models.Snapshot{}, err
	}
	data, digest, err := dataset.Encode(manifest)
	if err != nil {
		return models.Snapshot{}, unavailable(spec.Source, "the manifest can't be encoded", err)
	}
	uri := artifact.URI(p.Store, dataset.ManifestKey(digest))
	_, err = artifact.PutBytes(ctx, p.Store, dataset.ManifestKey(digest), data, artifact.PutOptions{IfAbsent: true, ContentType: "application/json"})
	reused := errors.Is(err, artifact.ErrPreconditionFailed)
	if err != nil && !reused {
		return models.Snapshot{}, unavailable(uri, "the manifest can't be written", err)
	}
	snapshot := models.Snapshot{
		Manifest: models.Ref{URI: uri, SHA256: digest, Size: int64(len(data))},
		Train:    manifest.Train, Test: manifest.Test,
		Columns: manifest.Columns, Files: len(manifest.Files), Checks: checks, Reused: reused,
	}
	for _, f := range manifest.Files {
		snapshot.Bytes += f.Size
	}
	return snapshot, nil
}
