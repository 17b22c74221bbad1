package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// keepLocal is how many checkpoints stay on the host, and keepRemote how many
	// of the newest in the store without train.checkpoints.keep_last: a damaged
	// newest one must leave an older one to resume from.
	keepLocal, keepRemote = 2, 3
	// lastUploadLimit bounds the upload of what a rank wrote on its way out.
	lastUploadLimit = 2 * time.Minute
)

// checkpointUploader copies rank 0's checkpoints to the store while training
// goes on. Only the newest counts: one that is overtaken is never sent. After a
// restart of the agent it finds what was sent by looking: a tree that is
// complete, or a file that was stored before, is not sent again.
type checkpointUploader struct {
	store   artifact.Store
	prefix  string // key, ends in "/"
	dir     string // MAINSPRING_CHECKPOINT_DIR
	keep    models.CheckpointKeep
	resumed int64        // step that this attempt resumed from; it stays
	newest  atomic.Int64 // step that was sent
}

func (g *gang) newUploader() *checkpointUploader {
	return &checkpointUploader{
		store: g.h.Store, prefix: models.CheckpointPrefix(g.req.RunKey), dir: g.path(checkpointDir),
		keep: g.req.Train.Checkpoints, resumed: g.req.Resume.Step,
	}
}

// work looks for new checkpoints until ctx ends.
func (u *checkpointUploader) work(ctx context.Context) {
	const look = 500 * time.Millisecond
	wait := look
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		err := u.upload(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = min(2*wait, 15*time.Second)
			slog.Warn("checkpoint not uploaded; trying again", "to", u.prefix, "in", wait, "error", err)
		default:
			wait = look
		}
	}
}

// finish uploads what is there after the ranks have ended. Should that fail,
// the previous checkpoint is what the next attempt resumes from.
func (u *checkpointUploader) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastUploadLimit)
	defer cancel()
	if err := u.upload(ctx); err != nil {
		slog.Warn("last checkpoint not uploaded", "to", u.prefix, "error", err)
	}
}

// upload sends the newest checkpoint unless it was sent, then forgets old ones
// on both sides.
func (u *checkpointUploader) upload(ctx context.Context) error {
	steps, err := localSteps(u.dir)
	if err != nil || len(steps) == 0 {
		return err
	}
	newest := steps[len(steps)-1]
	if newest <= u.newest.Load() {
		return nil
	}
	if err := u.replaceDamaged(ctx, newest); err != nil {
		return err
	}
	if _, err := artifact.PutTree(ctx, u.store, filepath.Join(u.dir, stepName(newest)), u.prefix+stepName(newest)); err != nil {
		return err
	}
	u.newest.Store(newest)
	return errors.Join(u.forgetLocal(steps), u.forgetRemote(ctx))
}

// replaceDamaged makes room where a step was condemned: none of its files may
// pass for an upload that was interrupted.
func (u *checkpointUploader) replaceDamaged(ctx context.Context, step int64) error {
	key := u.prefix + stepName(step)
	if _, err := u.store.Stat(ctx, key+damagedSuffix); err != nil {
		if errors.Is(err, artifact.ErrNotFound) {
			return nil
		}
		return err
	}
	listed, err := listCheckpoints(ctx, u.store, u.prefix)
	if err != nil {
		return err
	}
	for _, stored := range listed {
		if stored.step == step {
			return stored.remove(ctx, u.store)
		}
	}
	return nil
}

func (u *checkpointUploader) forgetLocal(steps []int64) error {
	for _, step := range steps[:max(len(steps)-keepLocal, 0)] {
		if err := os.RemoveAll(filepath.Join(u.dir, stepName(step))); err != nil {
			return err
		}
	}
	return nil
}

func (u *checkpointUploader) forgetRemote(ctx context.Context) error {
	listed, err := listCheckpoints(ctx, u.store, u.prefix)
	if err != nil {
		return err
	}
	var complete []int64
	for _, stored := range listed {
		if stored.hasManifest() {
			complete = append(complete, stored.step)
		}
	}
	kept := keptSteps(complete, u.keep, u.resumed)
	for _, old := range listed {
		// What is not complete and not older may be on its way.
		if !slices.Contains(kept, old.step) && old.step < u.newest.Load() {
			if err := old.remove(ctx, u.store); err != nil {
				return err
			}
		}
	}
	return nil
}

// keptSteps applies the keep rule to complete checkpoints, given in ascending
// order: the newest ones, the first of each so many steps, and the one that was
// resumed from.
func keptSteps(complete []int64, keep models.CheckpointKeep, resumed int64) []int64 {
	last := keep.Last
	if last < 1 {
		last = keepRemote
	}
	var kept []int64
	span := int64(-1)
	for i, step := range complete {
		first := keep.Every > 0 && step/keep.Every != span
		if keep.Every > 0 {
			span = step / keep.Every
		}
		if first || step == resumed || i >= len(complete)-last {
			kept = append(kept, step)
		}
	}
	return kept
}

func stepName(step int64) string { return "step-" + strconv.FormatInt(step, 10) }

// stepOf parses step-<n>; a directory that is being written ends in .tmp.
func stepOf(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, "step-")
	if !ok || !regexp.MustCompile(`^[0-9]+$`).MatchString(digits) {
		return 0, false
	}
	step, err := strconv.ParseInt(digits, 10, 64)
	return step, err == nil && stepName(step) == name
}

// localSteps lists the complete checkpoints below dir, the oldest first.
func localSteps(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var steps []int64
	for _, entry := range entries {
		if step, ok := stepOf(entry.Name()); ok && entry.IsDir() {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// damagedSuffix ends the name of the note that stands for the manifest of a
// checkpoint that did not verify.
const damagedSuffix = ".damaged"

// storedCheckpoint is what a listing shows of one checkpoint.
type storedCheckpoint struct {
	step  int64
	key   string // of the tree
	at    time.Time
	sizes map[string]int64
}

func (c storedCheckpoint) prefix() string { return strings.TrimSuffix(c.key, stepName(c.step)) }

func (c storedCheckpoint) hasManifest() bool { _, ok := c.sizes[artifact.TreeKey(c.key)]; return ok }

// listCheckpoints lists the checkpoints below a prefix, complete or not, the
// oldest first.
func listCheckpoints(ctx context.Context, store artifact.Store, prefix string) ([]storedCheckpoint, error) {
	objects, err := store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	byStep := map[int64]storedCheckpoint{}
	for _, object := range objects {
		name, _, _ := strings.Cut(strings.TrimPrefix(object.Key, prefix), "/")
		step, ok := stepOf(strings.TrimSuffix(strings.TrimSuffix(name, ".json"), damagedSuffix))
		if !ok {
			continue
		}
		stored, ok := byStep[step]
		if !ok {
			stored = storedCheckpoint{step: step, key: prefix + stepName(step), sizes: map[string]int64{}}
		}
		stored.sizes[object.Key] = object.Size
		if object.Key == artifact.TreeKey(stored.key) {
			stored.at = object.Modified.UTC()
		}
		byStep[step] = stored
	}
	listed := slices.Collect(maps.Values(byStep))
	slices.SortFunc(listed, func(a, b storedCheckpoint) int { return cmp.Compare(a.step, b.step) })
	return listed, nil
}

// incomplete says what a checkpoint lacks; "" when its files are all there with
// their sizes.
func (c storedCheckpoint) incomplete(ctx context.Context, store artifact.Store) (manifest models.Ref, why string, err error) {
	if !c.hasManifest() {
		note, err := readNote(ctx, store, c.key)
		return models.Ref{}, cmp.Or(note, "incomplete: its upload did not end"), err
	}
	manifest, err = artifact.FindTree(ctx, store, c.key)
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
		return models.Ref{}, "damaged: its manifest can't be read: " + err.Error(), nil
	}
	if err != nil {
		return models.Ref{}, "", err
	}
	tree, err := artifact.ReadTree(ctx, store, manifest)
	if err != nil {
		return models.Ref{}, "", err
	}
	for _, file := range tree.Files {
		size, ok := c.sizes[c.key+"/"+file.Path]
		if !ok {
			return models.Ref{}, fmt.Sprintf("damaged: %s is missing", file.Path), nil
		}
		if size != file.Size {
			return models.Ref{}, fmt.Sprintf("damaged: %s has %d bytes and must have %d", file.Path, size, file.Size), nil
		}
	}
	return manifest, "", nil
}

// remove takes the manifest first: a tree without one is not complete.
func (c storedCheckpoint) remove(ctx context.Context, store artifact.Store) error {
	if err := store.Delete(ctx, artifact.TreeKey(c.key)); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(c.sizes)) {
		if err := store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
