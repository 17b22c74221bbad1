package snapshots

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// Intent is what a collection says before it deletes files. There is one at a
// time: it is the collections' lock as well.
type Intent struct {
	Format int `json:"format"` // 1
	// Owner is drawn by each collection; Host says where it runs, for people.
	Owner string    `json:"owner"`
	Host  string    `json:"host"`
	At    time.Time `json:"at"` // of the last write; wall clock
	// Files are the digests of the objects that are deleted unless another snapshot
	// names them.
	Files []string `json:"files"`
	etag  string
}

// intent is what a collection is about to delete; without one it is empty.
func (c Catalog) intent(ctx context.Context) (Intent, error) {
	raw, info, err := artifact.GetBytes(ctx, c.Store, IntentKey, maxObject)
	if errors.Is(err, artifact.ErrNotFound) {
		return Intent{}, nil
	}
	if err != nil {
		return Intent{}, err
	}
	var found Intent
	if err := json.Unmarshal(raw, &found); err != nil || found.Format != stateFormat {
		return Intent{}, malformed(artifact.URI(c.Store, IntentKey), "a collection's intent", err)
	}
	found.etag = info.ETag
	return found, nil
}
