package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mainspring-ml/mainspring/models"
)

// FindTransformed implements models.DataPreparation. A task that lacks nothing
// but its own listing is given it.
func (p *Prepare) FindTransformed(ctx context.Context, request models.FindTransformedRequest) (models.FindTransformedResult, error) {
	defer pulse(ctx, busy("looking for what the program has left"))()
	listing := sync.OnceValues(func() ([]models.Partition, error) { return readListing(ctx, p.Store, request.Raw.Listing) })
	whole := make([]bool, len(request.Tasks))
	err := each(ctx, len(whole), func(ctx context.Context, i int) (err error) {
		whole[i], err = transforms{p.Store}.gather(ctx, request.Raw, request.Tasks[i], listing)
		return err
	})
	var result models.FindTransformedResult
	if err != nil {
		return result, err
	}
	for i, task := range request.Tasks {
		if !whole[i] {
			result.Missing = append(result.Missing, task)
		}
	}
	return result, nil
}

// ListTransformed implements models.DataPreparation. The list's ID covers what
// the program has left instead of the source's files.
func (p *Prepare) ListTransformed(ctx context.Context, request models.ListTransformedRequest) (models.PartitionList, error) {
	defer pulse(ctx, busy("looking for what the program has left"))()
	raw := request.Raw
	left := make([][]models.Partition, len(request.Tasks))
	err := each(ctx, len(left), func(ctx context.Context, i int) error {
		key := taskKey(raw.ID, request.Tasks[i])
		outputs, found, err := transforms{p.Store}.find(ctx, key)
		if err == nil && !found {
			err = &models.Error{
				Kind: models.KindPreparationFailed, Subject: key, Message: "what the preparing program has left is not there any more",
				Hint: "start again; was the store cleaned meanwhile?",
			}
		}
		left[i] = outputs
		recordProgress(ctx, key)
		return err
	})
	if err != nil {
		return models.PartitionList{}, err
	}
	all := slices.Concat(left...)
	slices.SortFunc(all, func(a, b models.Partition) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(all); i++ {
		if all[i].Name == all[i-1].Name {
			return models.PartitionList{}, &models.Error{
				Kind: models.KindPreparationFailed, Subject: "data.prepare",
				Message: fmt.Sprintf("two runs of the preparing program have left a file of the name %q", all[i].Name),
				Hint:    "name a run's files after those that it reads, or set per: source",
			}
		}
	}
	return p.keepListing(ctx, models.ListPartitionsRequest{Data: raw.Data, Baseline: raw.Baseline, Served: raw.Served}, all)
}
