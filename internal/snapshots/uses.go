package snapshots

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// recordUse writes a use. The same workflow and run have one: the last. A use
// without a workflow is nobody's.
func (c Catalog) recordUse(ctx context.Context, use models.SnapshotUse) error {
	if use.Workflow == "" {
		return nil
	}
	raw, err := json.Marshal(use)
	if err != nil {
		return fmt.Errorf("encode the use of snapshot %s: %w", use.Snapshot, err)
	}
	_, err = artifact.PutBytes(ctx, c.Store, UseKey(use.Snapshot, use.Workflow, use.Run), raw,
		artifact.PutOptions{ContentType: "application/json"})
	return err
}

// Uses are a snapshot's, oldest first.
func (c Catalog) Uses(ctx context.Context, snapshot string) ([]models.SnapshotUse, error) {
	there, err := c.Store.List(ctx, UsesPrefix(snapshot))
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(there))
	for i, info := range there {
		keys[i] = info.Key
	}
	return c.readUses(ctx, keys)
}

func (c Catalog) readUses(ctx context.Context, keys []string) ([]models.SnapshotUse, error) {
	found := make([]*models.SnapshotUse, len(keys))
	group, inGroup := c.group(ctx)
	for i, key := range keys {
		group.Go(func() error {
			raw, _, err := artifact.GetBytes(inGroup, c.Store, key, maxObject)
			if errors.Is(err, artifact.ErrNotFound) {
				return nil // deleted after it was listed
			}
			if err != nil {
				return err
			}
			use := &models.SnapshotUse{}
			if err := json.Unmarshal(raw, use); err != nil || use.Workflow == "" {
				return malformed(artifact.URI(c.Store, key), "a snapshot's use", err)
			}
			found[i] = use
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var uses []models.SnapshotUse
	for _, use := range found {
		if use != nil {
			uses = append(uses, *use)
		}
	}
	slices.SortFunc(uses, func(a, b models.SnapshotUse) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Run, b.Run))
	})
	return uses, nil
}
