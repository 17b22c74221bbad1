package snapshots

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Intent is what a collection says before it deletes files. There is one at a
// time: it is the collections' lock as well. It is never deleted, only emptied,
// since a deletion can't be conditional.
type Intent struct {
	Format int `json:"format"` // 1
	// Owner is drawn by each collection, empty when none runs; Host says where it
	// runs, for people.
	Owner string    `json:"owner"`
	Host  string    `json:"host"`
	At    time.Time `json:"at"` // of the last write; wall clock
	// Revision tells apart writes that are the same otherwise.
	Revision int64 `json:"revision"`
	// Files are the digests of the objects that are deleted unless another snapshot
	// names them.
	Files []string `json:"files"`
	etag  string
}

// Lease is for how long an intent holds after it was written. A collection
// renews it well before, and stops when it could not; one that was killed does
// not, and then others go on without it.
const Lease = 10 * time.Minute

func (i Intent) held(now time.Time) bool { return i.Owner != "" && now.Sub(i.At) < Lease }

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

// writeIntent replaces an intent, unless somebody else has.
func (c Catalog) writeIntent(ctx context.Context, from, next Intent) (Intent, error) {
	next.Format, next.At, next.Revision = stateFormat, c.now(), from.Revision+1
	raw, err := json.Marshal(next)
	if err != nil {
		return Intent{}, fmt.Errorf("encode the collection's intent: %w", err)
	}
	options := artifact.PutOptions{IfMatch: from.etag, IfAbsent: from.etag == "", ContentType: "application/json"}
	info, err := artifact.PutBytes(ctx, c.Store, IntentKey, raw, options)
	next.etag = info.ETag
	return next, err
}

// clearStale empties the intent of a collection that was killed. It fails with
// errDeleting if one runs, or begins just now.
func (c Catalog) clearStale(ctx context.Context, found Intent) error {
	if found.held(c.now()) {
		return errDeleting
	}
	if found.Owner == "" {
		return nil
	}
	_, err := c.writeIntent(ctx, found, Intent{})
	if errors.Is(err, artifact.ErrPreconditionFailed) {
		return errDeleting
	}
	return err
}

// lock begins a collection.
func (c Catalog) lock(ctx context.Context, host string) (Intent, error) {
	var found Intent
	for range claims {
		var err error
		if found, err = c.intent(ctx); err != nil {
			return Intent{}, err
		}
		if found.held(c.now()) {
			break
		}
		held, err := c.writeIntent(ctx, found, Intent{Owner: rand.Text(), Host: host})
		if !errors.Is(err, artifact.ErrPreconditionFailed) {
			return held, err
		}
		// Another collection began, or a preparation emptied a stale intent.
	}
	return Intent{}, another(found)
}

// another says that two collections met.
func another(found Intent) error {
	message := "another mainspring data gc runs"
	if found.Host != "" {
		message += fmt.Sprintf(" on %s, last heard of at %s", found.Host, found.At.Format(time.RFC3339))
	}
	return &models.Error{
		Kind: models.KindUnavailable, Subject: IntentKey, Message: message,
		Hint: fmt.Sprintf("wait until it has ended; one that was killed is given up after %s", Lease),
	}
}
