package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset/division"
	"github.com/mainspring-ml/mainspring/models"
)

// keepListing stores the partitions, names the preparation and divides the work.
func (p *Prepare) keepListing(ctx context.Context, request models.ListPartitionsRequest, partitions []models.Partition) (models.PartitionList, error) {
	list := models.PartitionList{Count: len(partitions), Tasks: divide(partitions)}
	encoded, err := json.Marshal(partitions)
	if err != nil {
		return list, fmt.Errorf("encode the listing: %w", err)
	}
	if list.Listing, err = artifact.PutObjectBytes(ctx, p.Store, encoded); err != nil {
		return list, unavailable(list.Listing.URI, "the listing can't be written", err)
	}
	for _, task := range list.Tasks {
		list.Bytes += task.Bytes
	}
	key, err := p.pseudonymKey(request.Data)
	if err != nil {
		return list, err
	}
	list.ID, err = identity(request, list.Listing.SHA256, key)
	return list, err
}

// resultFormat is of what preparations keep for each other: summaries, evidence,
// profiles, and the rules by which rows are divided. Whoever changes what one of
// them says raises it, and nothing that an older version has kept is taken up.
const resultFormat = 2

// identity names a preparation: all that decides about its outcome, and nothing
// else.
func identity(request models.ListPartitionsRequest, listing string, key division.PseudonymKey) (string, error) {
	request.Data.Retention = 0 // says how long, not what
	encoded, err := json.Marshal(struct {
		Format int `json:"format"`
		models.ListPartitionsRequest
		Listing string `json:"listing,omitempty"`
		Key     string `json:"key,omitempty"`
	}{resultFormat, request, listing, key.Fingerprint()})
	if err != nil {
		return "", fmt.Errorf("name the preparation: %w", err)
	}
	return artifact.Digest(encoded), nil
}

const (
	// fewTasks is up to how many tasks small partitions are divided into: more
	// would cost more than they read.
	fewTasks = 64
	// taskBytes is what a task should have at least where there are more.
	taskBytes = 8 << 20
	// fileCost is what a file costs beside its bytes, in bytes: the requests.
	fileCost = 64 << 10
)

// divide makes tasks of about the same work, each of partitions that follow each
// other: one for each partition where there are few.
func divide(partitions []models.Partition) []models.PartitionTask {
	var total int64
	for _, part := range partitions {
		total += part.Size + fileCost
	}
	most := int64(min(len(partitions), models.MaxPartitionTasks, max(fewTasks, int(total/taskBytes))))
	var tasks []models.PartitionTask
	var before int64
	last := int64(-1)
	for i, part := range partitions {
		cost := part.Size + fileCost
		// The task that the middle of the partition's work falls into.
		at := int64(float64(most) * (float64(before) + float64(cost)/2) / float64(total))
		if int(most) == len(partitions) {
			at = int64(i)
		}
		if at = min(at, most-1); at != last {
			tasks, last = append(tasks, models.PartitionTask{From: i}), at
		}
		task := &tasks[len(tasks)-1]
		task.To = i + 1
		task.Bytes += part.Size
		before += cost
	}
	return tasks
}

// readListing reads what keepListing has stored.
func readListing(ctx context.Context, store artifact.Store, listing models.Ref) ([]models.Partition, error) {
	encoded, err := artifact.ReadRef(ctx, store, listing, maxListing)
	if err != nil {
		return nil, unavailable(listing.URI, "the listing can't be read", err)
	}
	var partitions []models.Partition
	if err := json.Unmarshal(encoded, &partitions); err != nil {
		return nil, fmt.Errorf("read the listing: %w", err)
	}
	return partitions, nil
}
