package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// WriteSnapshot implements models.DataPreparation. In this order: the files are
// there, then the report, the use, the manifest that names the files, and at
// last the answer that FindSnapshot finds.
func (p *Prepare) WriteSnapshot(ctx context.Context, request models.WriteSnapshotRequest) (models.Snapshot, error) {
	work, err := p.open(ctx, request.Preparation)
	if err != nil {
		return models.Snapshot{}, err
	}
	summary, err := work.join(ctx)
	if err != nil {
		return models.Snapshot{}, err
	}
	manifest, err := dataset.NewManifest(work.Data, summary.Summary)
	if err != nil {
		return models.Snapshot{}, err
	}
	checks, failed := dataset.Check(work.Data, summary.Summary)
	report := models.CheckReport{
		Format: 1, Source: work.Data.Source, AsOf: work.Data.AsOf,
		Train: manifest.Train, Test: manifest.Test, Unknown: summary.Unknown, Checks: checks,
	}
	if failed != nil {
		return models.Snapshot{}, work.refuse(ctx, report, failed)
	}
	return work.write(ctx, manifest, report, request.Use)
}

// join merges all summaries in the order of the partitions.
func (w *preparing) join(ctx context.Context) (partSummary, error) {
	names := make([]string, len(w.partitions))
	for i, part := range w.partitions {
		names[i] = dataset.PartitionName(w.Data.Source, part)
	}
	names = dataset.FileNames(names)
	var all partSummary
	var files []models.SnapshotFile
	err := w.eachPart(ctx, func(n int, summary partSummary) error {
		for _, f := range summary.Files {
			dir, _, _ := strings.Cut(f.Path, "/")
			f.Path = dir + "/" + names[n]
			files = append(files, f)
		}
		summary.Files = nil // appended here: merging sorts them each time
		all.Summary = dataset.Merge(all.Summary, summary.Summary)
		return nil
	})
	slices.SortFunc(files, func(a, b models.SnapshotFile) int { return strings.Compare(a.Path, b.Path) })
	all.Files = files
	return all, err
}

// refuse keeps the report of a preparation that was stopped, and says where.
func (w *preparing) refuse(ctx context.Context, report models.CheckReport, failed error) error {
	var e *models.Error
	if !errors.As(failed, &e) {
		return failed
	}
	encoded, err := encodeReport(report)
	if err != nil {
		return err
	}
	ref, err := artifact.PutObjectBytes(ctx, w.store, encoded)
	if err != nil {
		return unavailable(ref.URI, "the report can't be written", err)
	}
	refused := *e
	refused.Message = shortened(refused.Message, maxFailureText) + "; all checks are in " + ref.URI
	refused.Details = briefChecks(report.Checks)
	return &refused
}

// maxFailureText keeps an error readable, and its payload small: characters.
const maxFailureText = 4 << 10

func encodeReport(report models.CheckReport) ([]byte, error) {
	encoded, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	return append(encoded, '\n'), nil
}

// write makes the snapshot complete.
func (w *preparing) write(ctx context.Context, manifest models.SnapshotManifest, report models.CheckReport, use models.SnapshotUse) (models.Snapshot, error) {
	data, digest, err := dataset.Encode(manifest)
	if err != nil {
		return models.Snapshot{}, unavailable(w.Data.Source, "the manifest can't be encoded", err)
	}
	snapshot := models.Snapshot{
		Manifest: models.Ref{URI: artifact.URI(w.store, dataset.ManifestKey(digest)), SHA256: digest, Size: int64(len(data))},
		Train:    manifest.Train, Test: manifest.Test,
		Columns: manifest.Columns, Files: len(manifest.Files), Checks: briefChecks(report.Checks),
	}
	refs := make([]models.Ref, len(manifest.Files))
	for i, f := range manifest.Files {
		refs[i], snapshot.Bytes = f.Ref, snapshot.Bytes+f.Size
	}
	if snapshot.Report, err = w.writeReport(ctx, digest, report); err != nil {
		return snapshot, err
	}
	if err := recordUse(ctx, w.store, digest, use); err != nil {
		return snapshot, err
	}
	// What a retention takes away after this moment sees the use.
	if err := areThere(ctx, w.store, refs); err != nil {
		return snapshot, w.gone(err)
	}
	_, err = artifact.PutBytes(ctx, w.store, dataset.ManifestKey(digest), data, artifact.PutOptions{IfAbsent: true, ContentType: "application/json"})
	snapshot.Reused = errors.Is(err, artifact.ErrPreconditionFailed)
	if err != nil && !snapshot.Reused {
		return snapshot, unavailable(snapshot.Manifest.URI, "the manifest can't be written", err)
	}
	answer := snapshot
	answer.Reused = true // for those who find it
	return snapshot, w.put(ctx, answerKey(w.ID), answer)
}

// gone explains a file that was there when its partition was prepared.
func (w *preparing) gone(err error) error {
	if !errors.Is(err, artifact.ErrNotFound) {
		return unavailable(w.Data.Source, "the snapshot's files can't be found", err)
	}
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: w.Data.Source, Message: "a file of the snapshot was deleted while it was prepared", Cause: err,
		Hint: "start again: what is missing is written anew",
	}
}

// writeReport stores the report beside the snapshot. The same rows may have been
// held against other limits before, and nobody's reference must change.
func (w *preparing) writeReport(ctx context.Context, snapshot string, report models.CheckReport) (models.Ref, error) {
	encoded, err := encodeReport(report)
	if err != nil {
		return models.Ref{}, err
	}
	ref := models.Ref{SHA256: artifact.Digest(encoded), Size: int64(len(encoded))}
	dir := path.Dir(dataset.ManifestKey(snapshot))
	for _, name := range []string{"report.json", "report-" + ref.SHA256 + ".json"} {
		key := path.Join(dir, name)
		ref.URI = artifact.URI(w.store, key)
		_, err = artifact.PutBytes(ctx, w.store, key, encoded, artifact.PutOptions{IfAbsent: true, ContentType: "application/json"})
		if !errors.Is(err, artifact.ErrPreconditionFailed) {
			break
		}
		var there []byte
		if there, _, err = artifact.GetBytes(ctx, w.store, key, maxSummary); err != nil || artifact.Digest(there) == ref.SHA256 {
			break
		}
	}
	return ref, unavailable(ref.URI, "the report can't be written", err)
}
