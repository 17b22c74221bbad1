package copying

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
)

// Copier carries plans out.
type Copier struct {
	Source artifact.Store // that reaches every item
	To     Destination
	// Parallel is how many objects are under way at once; 0: DefaultParallel.
	Parallel int
}

// DefaultParallel is how many objects are under way at once.
const DefaultParallel = 8

// inMemory is the largest object that is not spooled.
const inMemory = 8 << 20

// Progress counts what is done. It may be read at any time.
type Progress struct {
	Objects, Bytes               atomic.Int64 // sent
	SkippedObjects, SkippedBytes atomic.Int64 // there already
}

// Done is the number of bytes that are at the destination.
func (p *Progress) Done() int64 { return p.Bytes.Load() + p.SkippedBytes.Load() }

func (p *Progress) skipped(size int64) {
	p.SkippedObjects.Add(1)
	p.SkippedBytes.Add(size)
}

func (p *Progress) arrived(size int64, err error) {
	if err == nil {
		p.Objects.Add(1)
		p.Bytes.Add(size)
	}
}

// Missing is what of a plan is not at its destination yet. Items of unknown
// digest count as missing.
func (c Copier) Missing(ctx context.Context, plan Plan) (items []Item, err error) {
	there := make([]bool, len(plan.Items))
	err = c.each(ctx, plan.Items, func(ctx context.Context, i int) error {
		item, err := c.known(ctx, plan.Items[i])
		if err == nil {
			there[i], err = c.has(ctx, item)
		}
		return err
	})
	for i, item := range plan.Items {
		if !there[i] {
			items = append(items, item)
		}
	}
	return items, err
}

// Run carries out a plan. What is there already is left alone, so that a run
// that was cut off goes on; after an error too.
func (c Copier) Run(ctx context.Context, plan Plan, progress *Progress) error {
	end, err := c.To.Begin(ctx)
	if err != nil {
		return err
	}
	if err = c.unsealed(ctx, plan); err == nil {
		err = c.carryOut(ctx, plan, progress)
	}
	return errors.Join(err, end(err == nil))
}

func (c Copier) carryOut(ctx context.Context, plan Plan, progress *Progress) error {
	if err := c.items(ctx, plan, progress); err != nil {
		return err
	}
	at, ok := c.To.(*bucketPrefix)
	if !plan.IsSnapshot || !ok || at.prefix != "" {
		return c.seals(ctx, plan.Seals, progress)
	}
	// At a bucket's root snapshots are collected, perhaps at this moment.
	err := at.publish(ctx, c, plan.Seals, progress)
	if errors.Is(err, snapshots.ErrFilesMissing) {
		if err := c.items(ctx, plan, progress); err != nil {
			return err
		}
		err = at.publish(ctx, c, plan.Seals, progress)
	}
	return err
}

// publish seals a snapshot so that no collection deletes what it names.
func (d *bucketPrefix) publish(ctx context.Context, c Copier, seals []Seal, progress *Progress) error {
	manifest := seals[len(seals)-1]
	published, err := snapshots.Catalog{Store: d.store}.Publish(ctx, snapshots.Publication{
		Manifest: manifest.Content,
		Beside:   func(ctx context.Context) error { return c.seals(ctx, seals[:len(seals)-1], progress) },
	})
	if size := int64(len(manifest.Content)); err == nil && published.Reused {
		progress.skipped(size)
	} else {
		progress.arrived(size, err)
	}
	return err
}

func (c Copier) seals(ctx context.Context, seals []Seal, progress *Progress) error {
	for _, s := range seals {
		if err := c.seal(ctx, s, progress); err != nil {
			return err
		}
	}
	return nil
}

func (c Copier) items(ctx context.Context, plan Plan, progress *Progress) error {
	isLate := func(i Item) bool { return i.Late }
	first := slices.DeleteFunc(slices.Clone(plan.Items), isLate)
	late := slices.DeleteFunc(slices.Clone(plan.Items), func(i Item) bool { return !i.Late })
	for _, items := range [][]Item{first, late} {
		err := c.each(ctx, items, func(ctx context.Context, i int) error { return c.item(ctx, items[i], progress) })
		if err != nil {
			return err
		}
	}
	return nil
}

// unsealed makes sure that the plan replaces no other whole: its last seal is
// the one that says that everything is there.
func (c Copier) unsealed(ctx context.Context, plan Plan) error {
	if len(plan.Seals) == 0 {
		return nil
	}
	last := plan.Seals[len(plan.Seals)-1]
	there, err := c.To.Read(ctx, last.Key, maxManifest)
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !bytes.Equal(there, last.Content):
		return &artifact.Error{
			Op: "copy to", URI: c.To.URI(last.Key), Class: artifact.ErrPreconditionFailed, Message: "something else is there already",
			Hint: "nothing was changed; copy to another prefix, or remove that one first",
		}
	}
	return nil
}

func (c Copier) each(ctx context.Context, items []Item, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(c.Parallel, 0))
	if c.Parallel <= 0 {
		group.SetLimit(DefaultParallel)
	}
	for i := range items {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// item copies one object, unless it is there.
func (c Copier) item(ctx context.Context, item Item, progress *Progress) error {
	item, err := c.known(ctx, item)
	if err != nil {
		return err
	}
	there, err := c.has(ctx, item)
	switch {
	case err != nil:
		return err
	case there:
		progress.skipped(item.Size)
		return nil
	case item.Size <= inMemory:
		err = c.small(ctx, item)
		progress.arrived(item.Size, err)
	default:
		var came atomic.Int64
		err = c.To.Fetch(ctx, c.Source, item, func(n int64) {
			came.Add(n)
			progress.Bytes.Add(n)
		})
		progress.Bytes.Add(-came.Load())
		progress.arrived(item.Size, err)
	}
	return err
}

func (c Copier) has(ctx context.Context, item Item) (bool, error) {
	if item.SHA256 == "" {
		return false, nil
	}
	return c.To.Has(ctx, item.Key, item.SHA256, item.Size)
}

// known asks the source for an item's digest. Local files are read.
func (c Copier) known(ctx context.Context, item Item) (Item, error) {
	if item.SHA256 != "" {
		return item, nil
	}
	if path, ok := artifact.LocalPath(item.From); ok {
		digest, _, err := digestFile(path)
		if err != nil {
			return item, local(path, err)
		}
		item.SHA256 = digest
		return item, nil
	}
	bucket, key, err := artifact.ParseURI(item.From)
	if err != nil {
		return item, err
	}
	info, err := c.Source.InBucket(bucket).Stat(ctx, key)
	if err != nil {
		return item, err
	}
	if item.ETag != "" && info.ETag != item.ETag {
		return item, changed(item.From, "it was replaced after it had been listed")
	}
	item.SHA256 = info.SHA256
	return item, nil
}

// small copies an object through memory: it is sent when its bytes are proven.
func (c Copier) small(ctx context.Context, item Item) error {
	stream, now, err := artifact.OpenURI(ctx, c.Source, item.From)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // only read from
	if err := same(item, now); err != nil {
		return err
	}
	content, err := readAll(stream, now, inMemory)
	if err != nil {
		return err
	}
	digest := artifact.Digest(content)
	if item.SHA256 != "" && digest != item.SHA256 {
		return corrupt(item.From, digest, item.SHA256)
	}
	return c.To.PutBytes(ctx, item.Key, content, digest)
}

func (c Copier) seal(ctx context.Context, s Seal, progress *Progress) error {
	digest, size := artifact.Digest(s.Content), int64(len(s.Content))
	there, err := c.To.Has(ctx, s.Key, digest, size)
	switch {
	case err != nil:
		return err
	case there:
		progress.skipped(size)
		return nil
	}
	err = c.To.PutBytes(ctx, s.Key, s.Content, digest)
	progress.arrived(size, err)
	return err
}
