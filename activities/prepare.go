package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// Prepare reads source partitions and writes snapshots to the store's bucket.
type Prepare struct {
	Store artifact.Store
	// Getenv reads the variables that a spec's references name; nil: there are none.
	Getenv func(string) string

	once   sync.Once
	memory *semaphore.Weighted // bytes of partitions that this process reads
}

var _ models.DataPreparation = (*Prepare)(nil)

// ListPartitions implements models.DataPreparation. Names that begin with '_'
// or '.' are what other engines leave while they write.
func (p *Prepare) ListPartitions(ctx context.Context, request models.ListPartitionsRequest) (models.PartitionList, error) {
	defer pulse(ctx, busy("listing the source"))() // a million files take minutes
	partitions, err := partitionsOf(ctx, p.Store, request.Data)
	if err != nil {
		return models.PartitionList{}, err
	}
	return p.keepListing(ctx, request, partitions)
}

// partitionsOf lists a source that must hold something.
func partitionsOf(ctx context.Context, store artifact.Store, spec models.DataSpec) ([]models.Partition, error) {
	found, err := partitionsAt(ctx, store, spec)
	if err == nil && found.absent != nil { // the cause says what to do
		return nil, &models.Error{Kind: models.KindInvalidSpec, Subject: "data.source", Message: "there is nothing to read", Cause: found.absent}
	}
	if err == nil && len(found.partitions) == 0 {
		err = &models.Error{
			Kind: models.KindInvalidSpec, Subject: "data.source",
			Message: fmt.Sprintf("%s holds no partitions, which end with %s (%d other files)", spec.Source, dataset.PartitionEndings, found.others),
			Hint:    "name the directory or prefix that the partitions lie in, or upload them",
		}
	}
	return found.partitions, err
}

// held is what a source holds.
type held struct {
	partitions []models.Partition // by name
	others     int                // further files
	absent     error              // why there is nothing at all; nil: there is something
}

// partitionsAt lists a source. One that does not exist (yet) holds nothing.
func partitionsAt(ctx context.Context, store artifact.Store, spec models.DataSpec) (held, error) {
	all, err := artifact.ListURI(ctx, store, spec.Source)
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return held{absent: err}, nil
	case errors.Is(err, artifact.ErrInvalid):
		return held{}, &models.Error{
			Kind: models.KindInvalidSpec, Subject: "data.source", Message: fmt.Sprintf("%q can't be listed", spec.Source), Cause: err,
			Hint: "a relative path is uploaded by the mainspring client, which puts the s3:// URI in its place",
		}
	case err != nil:
		return held{}, unavailable(spec.Source, "the source can't be listed", err)
	}
	var found held
	for _, file := range all {
		part := models.Partition{URI: file.URI, ETag: file.ETag, Size: file.Size}
		if dataset.IsPartition(spec.Format, dataset.PartitionName(spec.Source, part)) {
			found.partitions = append(found.partitions, part)
		} else {
			found.others++
		}
	}
	slices.SortFunc(found.partitions, func(a, b models.Partition) int { return strings.Compare(a.URI, b.URI) })
	return found, nil
}

const (
	// partitionsInFlight is how many partitions one task reads side by side.
	partitionsInFlight = 4
	// bytesInFlight bounds what all tasks of a process read at the same time, and so
	// its memory. A partition that is larger is read alone.
	bytesInFlight = 256 << 20
)

// inFlight is what the tasks of this process share.
func (p *Prepare) inFlight() *semaphore.Weighted {
	p.once.Do(func() { p.memory = semaphore.NewWeighted(bytesInFlight) })
	return p.memory
}

// PreparePartitions implements models.DataPreparation. A partition's summary is
// written after all that it names.
func (p *Prepare) PreparePartitions(ctx context.Context, request models.PreparePartitionsRequest) (models.PartitionsPrepared, error) {
	defer pulse(ctx, busy("reading partitions"))() // the first row of a large text is known late
	work, err := p.open(ctx, request.Preparation)
	if err != nil {
		return models.PartitionsPrepared{}, err
	}
	return p.prepare(ctx, work, request.Task)
}

// prepare prepares a task's partitions; those that are prepared are found.
func (p *Prepare) prepare(ctx context.Context, work *preparing, task models.PartitionTask) (models.PartitionsPrepared, error) {
	done := make([]models.PartitionsPrepared, task.To-task.From)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(partitionsInFlight)
	memory := p.inFlight()
	for i := range done {
		n := task.From + i
		size := min(work.partitions[n].Size, bytesInFlight)
		group.Go(func() (err error) {
			if err := memory.Acquire(groupCtx, size); err != nil {
				return err // another partition's error is the reason
			}
			defer memory.Release(size)
			done[i], err = work.prepare(groupCtx, n)
			recordProgress(ctx, fmt.Sprintf("partition %d", n+1))
			return err
		})
	}
	if err := errors.Join(group.Wait(), ctx.Err()); err != nil {
		return models.PartitionsPrepared{}, firstOf(err)
	}
	var all models.PartitionsPrepared
	for _, one := range done {
		all.Rows += one.Rows
		all.Unknown += one.Unknown
		all.Reused += one.Reused
	}
	return all, nil
}

// firstOf is the first of joined errors: the others follow from it.
func firstOf(err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()[0]
	}
	return err
}
