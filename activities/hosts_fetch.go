package activities

import (
	"context"
	"fmt"
	"os"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// workDir is where a program may write what nobody keeps; its code is read-only.
const workDir = "work"

// fetch brings data, code and the checkpoint to this host.
func (g *gang) fetch(ctx context.Context) (at places, err error) {
	g.phase(phaseData)
	at = places{checkpoints: g.path(checkpointDir), model: g.path(modelDir), outOfFold: g.path(outOfFoldFile), work: g.path(workDir)}
	if err := os.MkdirAll(at.work, 0o700); err != nil {
		return at, err
	}
	if at.params, err = paramsJSON("train", g.req.Train.Params); err != nil {
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

// resume fetches the checkpoint, which every host of the gang does. One that
// does not verify, twice, is taken out of use: the attempt fails, because all
// hosts must resume from the same step, and the next one finds an older
// checkpoint. FindCheckpoint has verified all but large ones before.
func (g *gang) resume(ctx context.Context, dir string) error {
	manifest := g.req.Resume.Manifest
	err := artifact.GetTree(ctx, g.h.Store, manifest, dir)
	if damaged(err) {
		err = artifact.GetTree(ctx, g.h.Store, manifest, dir)
	}
	if !damaged(err) {
		return unavailable(manifest.URI, "the checkpoint can't be fetched", err)
	}
	step := g.req.Resume.Step
	if failed := condemn(ctx, g.h.Store, models.CheckpointPrefix(g.req.RunKey), step, "damaged: "+err.Error()); failed != nil {
		return unavailable(manifest.URI, "the damaged checkpoint can't be taken out of use", failed)
	}
	return &models.Error{
		Kind: models.KindRankLost, Subject: manifest.URI,
		Message: fmt.Sprintf("the checkpoint of step %d is damaged and was taken out of use; the next attempt resumes from an older one", step),
		Cause:   err,
	}
}
