package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// answerKey is where a preparation's outcome is kept.
func answerKey(preparation string) string { return "preparations/" + preparation + "/snapshot.json" }

// FindSnapshot implements models.DataPreparation. The use is recorded before
// the look at whether everything is there: what is deleted later sees the use.
func (p *Prepare) FindSnapshot(ctx context.Context, request models.FindSnapshotRequest) (models.FindSnapshotResult, error) {
	var none models.FindSnapshotResult
	key := answerKey(request.Preparation.ID)
	found, err := readJSON[models.Snapshot](ctx, p.Store, key)
	if errors.Is(err, artifact.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, unavailable(key, "what the same preparation gave before can't be read", err)
	}
	if err := recordUse(ctx, p.Store, found.SHA256(), request.Use); err != nil {
		return none, err
	}
	switch err := p.isWhole(ctx, found); {
	case errors.Is(err, artifact.ErrNotFound), errors.Is(err, artifact.ErrCorrupt):
		return none, nil
	case err != nil:
		return none, unavailable(found.Manifest.URI, "the snapshot can't be found", err)
	}
	found.Reused, found.Unread = true, true
	return models.FindSnapshotResult{Snapshot: &found}, nil
}

// isWhole fails with artifact.ErrNotFound if a part of a snapshot is gone.
func (p *Prepare) isWhole(ctx context.Context, snapshot models.Snapshot) error {
	data, err := artifact.ReadRef(ctx, p.Store, snapshot.Manifest, maxManifest)
	if err != nil {
		return err
	}
	manifest, err := dataset.Decode(data)
	if err != nil {
		return err
	}
	if snapshot.Report.URI != "" {
		if _, err := artifact.ReadRef(ctx, p.Store, snapshot.Report, maxSummary); err != nil {
			return err
		}
	}
	var refs []models.Ref
	for _, f := range manifest.Files {
		refs = append(refs, f.Ref)
	}
	if manifest.Profile.SHA256 != "" {
		refs = append(refs, manifest.Profile)
	}
	return areThere(ctx, p.Store, refs)
}

// recordUse says who uses a snapshot. A retried attempt writes the same object.
func recordUse(ctx context.Context, store artifact.Store, snapshot string, use models.SnapshotUse) error {
	if use.Workflow == "" {
		return nil // nobody asks on behalf of a workflow
	}
	use.Snapshot = snapshot
	encoded, err := json.Marshal(use)
	if err != nil {
		return fmt.Errorf("encode a use: %w", err)
	}
	name := artifact.Digest([]byte(use.Workflow+"\x00"+use.Run)) + ".json"
	key := path.Join(path.Dir(dataset.ManifestKey(snapshot)), "uses", name)
	_, err = artifact.PutBytes(ctx, store, key, encoded, artifact.PutOptions{ContentType: "application/json"})
	return unavailable(key, "the use can't be recorded", err)
}

// requestsAtOnce bounds small requests to the store.
const requestsAtOnce = 32

// each does something n times, much of it at once. The error is the first one's.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// ListTransformed implements models.DataPreparation.
func (p *Prepare) ListTransformed(context.Context, models.ListTransformedRequest) (models.PartitionList, error) {
	return models.PartitionList{}, &models.Error{Kind: models.KindInvalidSpec, Subject: "data.prepare", Message: "nothing was transformed"}
}
