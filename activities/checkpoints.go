package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Checkpoints finds what a training can resume from.
type Checkpoints struct {
	Store artifact.Store
	// VerifyFor bounds the reading of checkpoints, for which leased devices
	// wait. 0: 30 s.
	VerifyFor time.Duration
}

var _ models.Checkpoints = (*Checkpoints)(nil)

// FindCheckpoint returns the newest checkpoint that is complete and whose
// digests verify. A checkpoint too large to be read within VerifyFor is returned
// when it is complete: the hosts verify what they fetch. One that is damaged is
// taken out of use, and told of from then on.
func (c *Checkpoints) FindCheckpoint(ctx context.Context, request models.FindCheckpointRequest) (models.Checkpoint, error) {
	prefix := models.CheckpointPrefix(request.RunKey)
	listed, err := listCheckpoints(ctx, c.Store, prefix)
	if err != nil {
		return models.Checkpoint{}, unavailable(artifact.URI(c.Store, prefix), "the checkpoints can't be listed", err)
	}
	limit := c.VerifyFor
	if limit == 0 {
		limit = 30 * time.Second
	}
	verifying, stop := context.WithTimeout(ctx, limit)
	defer stop()
	var skipped []string
	for _, candidate := range slices.Backward(listed) {
		manifest, why, err := c.check(ctx, verifying, candidate)
		if err != nil {
			return models.Checkpoint{}, unavailable(artifact.URI(c.Store, candidate.key), "the checkpoint can't be checked", err)
		}
		if why == "" {
			return models.Checkpoint{Step: candidate.step, Manifest: manifest, At: candidate.at, Skipped: skipped}, nil
		}
		skipped = append(skipped, fmt.Sprintf("step %d: %s", candidate.step, why))
	}
	return models.Checkpoint{Skipped: skipped}, nil
}

// check says why a checkpoint can't be resumed from; "" when it can.
func (c *Checkpoints) check(ctx, verifying context.Context, candidate storedCheckpoint) (manifest models.Ref, why string, err error) {
	manifest, why, err = candidate.incomplete(ctx, c.Store)
	if err == nil && why != "" && candidate.hasManifest() {
		return manifest, why, condemn(ctx, c.Store, candidate.prefix(), candidate.step, why)
	}
	if err != nil || why != "" {
		return manifest, why, err
	}
	failure := verifyTree(verifying, c.Store, manifest, candidate.key)
	if damaged(failure) { // once more: the disk, not the wire, must be at fault
		failure = verifyTree(verifying, c.Store, manifest, candidate.key)
	}
	switch {
	case failure == nil, ctx.Err() == nil && verifying.Err() != nil:
		return manifest, "", nil
	case damaged(failure):
		why := "damaged: " + failure.Error()
		return manifest, why, condemn(ctx, c.Store, candidate.prefix(), candidate.step, why)
	}
	return manifest, "", failure
}

// damaged reports whether a tree was read and is not what its manifest says.
func damaged(err error) bool {
	return errors.Is(err, artifact.ErrCorrupt) || errors.Is(err, artifact.ErrNotFound)
}

// verifyTree reads every file of a tree and compares digests.
func verifyTree(ctx context.Context, store artifact.Store, manifest models.Ref, key string) error {
	tree, err := artifact.ReadTree(ctx, store, manifest)
	if err != nil {
		return err
	}
	return artifact.VerifyTree(ctx, store, key, tree)
}

// condemn takes a damaged checkpoint out of use: its manifest goes, and a note
// takes its place. Files stay for whoever wants to know more, until the step is
// stored again or pruned.
func condemn(ctx context.Context, store artifact.Store, prefix string, step int64, why string) error {
	key := prefix + stepName(step)
	note := []byte(why + "\n")
	if _, err := artifact.PutBytes(ctx, store, key+damagedSuffix, note, artifact.PutOptions{ContentType: "text/plain"}); err != nil {
		return err
	}
	return store.Delete(ctx, artifact.TreeKey(key))
}

// readNote returns the first line of what condemn wrote.
func readNote(ctx context.Context, store artifact.Store, key string) (string, error) {
	const limit = 4 << 10
	r, _, err := store.Get(ctx, key+damagedSuffix)
	if errors.Is(err, artifact.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, limit))
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	return string(line), err
}
