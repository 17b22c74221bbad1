package activities

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// answerKey is where a preparation's outcome is kept.
func answerKey(preparation string) string { return snapshots.AnswerKey(preparation) }

// FindSnapshot implements models.DataPreparation. What is found is in use from
// then on: no collection deletes it.
func (p *Prepare) FindSnapshot(ctx context.Context, request models.FindSnapshotRequest) (models.FindSnapshotResult, error) {
	defer pulse(ctx, busy("looking for the snapshot"))()
	var none models.FindSnapshotResult
	key := answerKey(request.Preparation.ID)
	found, err := readJSON[models.Snapshot](ctx, p.Store, key)
	if errors.Is(err, artifact.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, unavailable(key, "what the same preparation gave before can't be read", err)
	}
	if found.Report.URI != "" {
		if _, err := artifact.ReadRef(ctx, p.Store, found.Report, maxSummary); errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
			return none, nil
		} else if err != nil {
			return none, unavailable(found.Report.URI, "the snapshot's report can't be read", err)
		}
	}
	_, there, err := snapshots.Catalog{Store: p.Store}.Reuse(ctx, found.SHA256(), request.Use)
	if err != nil || !there {
		return none, unavailable(found.Manifest.URI, "the snapshot can't be found", err)
	}
	found.Reused, found.Unread = true, true
	return models.FindSnapshotResult{Snapshot: &found}, nil
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
