package activities

import (
	"context"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Checkpoints finds what a training can resume from.
type Checkpoints struct {
	Store artifact.Store
}

var _ models.Checkpoints = (*Checkpoints)(nil)

// FindCheckpoint returns the newest complete checkpoint.
func (c *Checkpoints) FindCheckpoint(ctx context.Context, request models.FindCheckpointRequest) (models.Checkpoint, error) {
	prefix := models.CheckpointPrefix(request.RunKey)
	listed, err := listCheckpoints(ctx, c.Store, prefix)
	if err != nil {
		return models.Checkpoint{}, unavailable(artifact.URI(c.Store, prefix), "the checkpoints can't be listed", err)
	}
	for _, candidate := range slices.Backward(listed) {
		manifest, ok, err := candidate.complete(ctx, c.Store)
		if err != nil {
			return models.Checkpoint{}, unavailable(artifact.URI(c.Store, candidate.key), "the checkpoint can't be checked", err)
		}
		if ok {
			return models.Checkpoint{Step: candidate.step, Manifest: manifest}, nil
		}
	}
	return models.Checkpoint{}, nil
}
