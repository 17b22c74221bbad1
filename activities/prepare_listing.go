package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	maxPartitions = 256 << 20
	maxSummary    = 64 << 20
)

// keepListing stores the partitions, names the preparation and divides the work.
func (p *Prepare) keepListing(ctx context.Context, request models.ListPartitionsRequest, partitions []models.Partition) (models.PartitionList, error) {
	list := models.PartitionList{Count: len(partitions)}
	encoded, err := json.Marshal(partitions)
	if err != nil {
		return list, fmt.Errorf("encode the listing: %w", err)
	}
	if list.Listing, err = artifact.PutObjectBytes(ctx, p.Store, encoded); err != nil {
		return list, unavailable(list.Listing.URI, "the listing can't be written", err)
	}
	identity, err := json.Marshal(struct {
		models.ListPartitionsRequest
		Listing string `json:"listing"`
	}{request, list.Listing.SHA256})
	if err != nil {
		return list, fmt.Errorf("name the preparation: %w", err)
	}
	list.ID = artifact.Digest(identity)
	each := (len(partitions) + models.MaxPartitionTasks - 1) / models.MaxPartitionTasks
	for from := 0; from < len(partitions); from += each {
		task := models.PartitionTask{From: from, To: min(from+each, len(partitions))}
		for _, part := range partitions[task.From:task.To] {
			task.Bytes += part.Size
		}
		list.Tasks = append(list.Tasks, task)
		list.Bytes += task.Bytes
	}
	return list, nil
}

// summaryKey is where what was found in one partition is kept.
func summaryKey(preparation string, partition int) string {
	return fmt.Sprintf("preparations/%s/parts/%06d.json", preparation, partition)
}

// PreparePartitions implements models.DataPreparation.
func (p *Prepare) PreparePartitions(ctx context.Context, request models.PreparePartitionsRequest) (models.PartitionsPrepared, error) {
	var done models.PartitionsPrepared
	preparation := request.Preparation
	encoded, err := artifact.ReadRef(ctx, p.Store, preparation.Listing, maxPartitions)
	if err != nil {
		return done, unavailable(preparation.Listing.URI, "the listing can't be read", err)
	}
	var partitions []models.Partition
	if err := json.Unmarshal(encoded, &partitions); err != nil {
		return done, fmt.Errorf("read the listing: %w", err)
	}
	for i := request.Task.From; i < request.Task.To; i++ {
		key := summaryKey(preparation.ID, i)
		summary, err := p.readSummary(ctx, key)
		switch {
		case errors.Is(err, artifact.ErrNotFound):
			if summary, err = p.prepare(ctx, preparation.Data, partitions[i]); err != nil {
				return done, err
			}
			if err := p.writeSummary(ctx, key, summary); err != nil {
				return done, err
			}
		case err != nil:
			return done, unavailable(key, "the summary can't be read", err)
		default:
			done.Reused++
		}
		done.Rows += summary.Rows
		done.Unknown += summary.Unknown
	}
	return done, nil
}

func (p *Prepare) readSummary(ctx context.Context, key string) (dataset.Summary, error) {
	var summary dataset.Summary
	encoded, _, err := artifact.GetBytes(ctx, p.Store, key, maxSummary)
	if err == nil {
		err = json.Unmarshal(encoded, &summary)
	}
	return summary, err
}

func (p *Prepare) writeSummary(ctx context.Context, key string, summary dataset.Summary) error {
	encoded, err := json.Marshal(summary)
	if err != nil {
		return fmt.Errorf("encode a partition's summary: %w", err)
	}
	_, err = artifact.PutBytes(ctx, p.Store, key, encoded, artifact.PutOptions{ContentType: "application/json"})
	return unavailable(key, "the summary can't be written", err)
}

// merged joins what was found in all partitions, in their order.
func (p *Prepare) merged(ctx context.Context, request models.WriteSnapshotRequest) (dataset.Summary, error) {
	var all dataset.Summary
	for i := range request.Count {
		summary, err := p.readSummary(ctx, summaryKey(request.Preparation.ID, i))
		if err != nil {
			return all, unavailable(summaryKey(request.Preparation.ID, i), "the summary can't be read", err)
		}
		all = dataset.Merge(all, summary)
	}
	return all, nil
}

// FindSnapshot implements models.DataPreparation.
func (p *Prepare) FindSnapshot(context.Context, models.FindSnapshotRequest) (models.FindSnapshotResult, error) {
	return models.FindSnapshotResult{}, nil
}
