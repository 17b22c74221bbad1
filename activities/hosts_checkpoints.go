package activities

import (
	"cmp"
	"context"
	"errors"
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
	// keepLocal and keepRemote are how many checkpoints stay: a damaged newest
	// one must leave an older one to resume from.
	keepLocal, keepRemote = 2, 3
	// lastUploadLimit bounds the upload of what a rank wrote on its way out.
	lastUploadLimit = 2 * time.Minute
)

// checkpointUploader copies rank 0's checkpoints to the store while training
// goes on. Only the newest counts: one that is overtaken is never sent.
type checkpointUploader struct {
	store  artifact.Store
	prefix string // key, ends in "/"
	dir    string // MAINSPRING_CHECKPOINT_DIR
	newest atomic.Int64
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
	if _, err := artifact.PutTree(ctx, u.store, filepath.Join(u.dir, stepName(newest)), u.prefix+stepName(newest)); err != nil {
		return err
	}
	u.newest.Store(newest)
	for _, step := range steps[:max(len(steps)-keepLocal, 0)] {
		if err := os.RemoveAll(filepath.Join(u.dir, stepName(step))); err != nil {
			return err
		}
	}
	return u.forgetRemote(ctx)
}

func (u *checkpointUploader) forgetRemote(ctx context.Context) error {
	listed, err := listCheckpoints(ctx, u.store, u.prefix)
	if err != nil {
		return err
	}
	for _, old := range listed[:max(len(listed)-keepRemote, 0)] {
		if err := old.remove(ctx, u.store); err != nil {
			return err
		}
	}
	return nil
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

// storedCheckpoint is what a listing shows of one checkpoint.
type storedCheckpoint struct {
	step  int64
	key   string // of the tree
	sizes map[string]int64
}

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
		step, ok := stepOf(strings.TrimSuffix(name, ".json"))
		if !ok {
			continue
		}
		if _, ok := byStep[step]; !ok {
			byStep[step] = storedCheckpoint{step: step, key: prefix + stepName(step), sizes: map[string]int64{}}
		}
		byStep[step].sizes[object.Key] = object.Size
	}
	listed := slices.Collect(maps.Values(byStep))
	slices.SortFunc(listed, func(a, b storedCheckpoint) int { return cmp.Compare(a.step, b.step) })
	return listed, nil
}

// complete returns the manifest of a checkpoint whose files are all there with
// their sizes. Digests are verified by whoever resumes from it.
func (c storedCheckpoint) complete(ctx context.Context, store artifact.Store) (manifest models.Ref, ok bool, err error) {
	if _, ok := c.sizes[artifact.TreeKey(c.key)]; !ok {
		return models.Ref{}, false, nil
	}
	manifest, err = artifact.FindTree(ctx, store, c.key)
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
		return models.Ref{}, false, nil
	}
	if err != nil {
		return models.Ref{}, false, err
	}
	tree, err := artifact.ReadTree(ctx, store, manifest)
	if err != nil {
		return models.Ref{}, false, err
	}
	for _, file := range tree.Files {
		if size, ok := c.sizes[c.key+"/"+file.Path]; !ok || size != file.Size {
			return models.Ref{}, false, nil
		}
	}
	return manifest, true, nil
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
