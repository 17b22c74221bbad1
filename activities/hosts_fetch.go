package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// fetch brings data, code and the checkpoint to this host.
func (g *gang) fetch(ctx context.Context) (at places, err error) {
	g.phase(phaseData)
	at = places{checkpoints: g.path(checkpointDir), model: g.path(modelDir), outOfFold: g.path(outOfFoldFile)}
	if at.params, err = paramsJSON(g.req.Train.Params); err != nil {
		return at, err
	}
	if at.data, err = g.h.cache().snapshot(ctx, g.req.Snapshot); err != nil {
		return at, err
	}
	if code := g.req.Train.Code; code.URI != "" {
		if err := g.h.cache().code(ctx, code.Ref(), g.path(codeDir)); err != nil {
			return at, err
		}
	}
	if g.req.Resume.Step > 0 {
		at.resume = g.path("resume")
		return at, g.resume(ctx, at.resume)
	}
	return at, nil
}

// resume fetches the checkpoint. One whose digests do not verify is removed
// from the store, so that the next attempt finds the one before it.
func (g *gang) resume(ctx context.Context, dir string) error {
	manifest := g.req.Resume.Manifest
	err := artifact.GetTree(ctx, g.h.Store, manifest, dir)
	if !errors.Is(err, artifact.ErrCorrupt) && !errors.Is(err, artifact.ErrNotFound) {
		return unavailable(manifest.URI, "the checkpoint can't be fetched", err)
	}
	prefix := models.CheckpointPrefix(g.req.RunKey)
	if removed := g.h.Store.Delete(ctx, artifact.TreeKey(prefix+stepName(g.req.Resume.Step))); removed != nil {
		return unavailable(manifest.URI, "the damaged checkpoint can't be removed", removed)
	}
	return &models.Error{
		Kind: models.KindRankLost, Subject: manifest.URI, Message: fmt.Sprintf("the checkpoint of step %d is damaged and was removed", g.req.Resume.Step),
		Cause: err,
	}
}
