package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// WriteSnapshot implements models.DataPreparation. In this order: the files are
// there, then the profile, the report, the use, the manifest that names the
// files, and at last the answer that FindSnapshot finds.
func (p *Prepare) WriteSnapshot(ctx context.Context, request models.WriteSnapshotRequest) (models.Snapshot, error) {
	defer pulse(ctx, busy("writing the snapshot"))()
	work, err := p.open(ctx, request.Preparation)
	if err != nil {
		return models.Snapshot{}, err
	}
	snapshot, err := work.complete(ctx, request.Use)
	if errors.Is(err, snapshots.ErrFilesMissing) || errors.Is(err, artifact.ErrNotFound) {
		// A collection was faster, see ADR 12: what is missing is written again.
		if _, err = p.prepare(ctx, work, models.PartitionTask{To: len(work.partitions)}); err == nil {
			snapshot, err = work.complete(ctx, request.Use)
		}
	}
	return snapshot, err
}

// complete joins the partitions, checks them, and writes the snapshot.
func (w *preparing) complete(ctx context.Context, use models.SnapshotUse) (models.Snapshot, error) {
	all, err := w.join(ctx)
	if err != nil {
		return models.Snapshot{}, err
	}
	evidence, err := w.evidence(ctx, all, func(column string) (checks.Repeats, error) { return w.repeats(ctx, column, all.runs[column]) })
	if err != nil {
		return models.Snapshot{}, err
	}
	report, failed := w.judge(all, evidence)
	if failed != nil {
		return models.Snapshot{}, w.refuse(ctx, report, failed)
	}
	return w.write(ctx, all, report, use)
}

// judge makes the checks and their report, which is complete whether or not one
// failed.
func (w *preparing) judge(all joined, evidence checks.Evidence) (models.CheckReport, error) {
	train, test := dataset.Spans(w.Data)
	train.Rows, test.Rows = all.profile.Train.Rows, all.profile.Test.Rows
	results, failed := checks.Check(evidence)
	report := models.CheckReport{
		Format: 1, Source: w.Data.Source, AsOf: w.Data.AsOf, Train: train, Test: test, Unknown: all.Unknown, Checks: results,
	}
	return report, cmp.Or(all.differs, failed) // rows of other types are in no profile, and missed by checks
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
	refused.Message = shortened(refused.Message, maxFailureText) + "; the report is " + ref.URI
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
func (w *preparing) write(ctx context.Context, all joined, report models.CheckReport, use models.SnapshotUse) (models.Snapshot, error) {
	encoded, err := all.profile.Encode()
	if err != nil {
		return models.Snapshot{}, fmt.Errorf("encode the profile: %w", err)
	}
	catalog := snapshots.Catalog{Store: w.store}
	rows, err := catalog.PutObject(ctx, encoded)
	if err != nil {
		return models.Snapshot{}, unavailable(rows.URI, "the profile can't be written", err)
	}
	manifest, err := dataset.NewManifest(w.Data, dataset.Content{
		Columns: all.Columns, Train: report.Train.Rows, Test: report.Test.Rows, Files: all.Files, Profile: rows,
	})
	if err != nil {
		return models.Snapshot{}, err
	}
	data, digest, err := dataset.Encode(manifest)
	if err != nil {
		return models.Snapshot{}, unavailable(w.Data.Source, "the manifest can't be encoded", err)
	}
	snapshot := models.Snapshot{
		Train: manifest.Train, Test: manifest.Test, Profile: rows,
		Columns: manifest.Columns, Files: len(manifest.Files), Checks: briefChecks(report.Checks),
	}
	for _, f := range manifest.Files {
		snapshot.Bytes += f.Size
	}
	published, err := catalog.Publish(ctx, snapshots.Publication{
		Manifest: data, Use: use,
		Beside: func(ctx context.Context) error {
			snapshot.Report, err = w.writeReport(ctx, digest, report)
			return err
		},
	})
	if err != nil {
		return snapshot, w.unpublished(err)
	}
	snapshot.Manifest, snapshot.Reused = published.Manifest, published.Reused
	answer := snapshot
	answer.Reused = true // for those who find it
	return snapshot, w.put(ctx, answerKey(w.ID), answer)
}

// unpublished explains a file that was there when its partition was prepared.
func (w *preparing) unpublished(err error) error {
	if !errors.Is(err, snapshots.ErrFilesMissing) {
		return unavailable(w.Data.Source, "the snapshot can't be written", err)
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
