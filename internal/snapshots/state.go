package snapshots

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// Grace is how long a condemned snapshot waits for somebody who uses it, and
// how old an object must be to be deleted, where nothing else is said.
const Grace = 24 * time.Hour

// Phase is where a snapshot stands between being made and being gone.
type Phase string

// The phases. The transitions are live ⇄ condemned → deleting → no state, and
// deleting → live, in another life, when a collection was killed.
const (
	Live      Phase = "live"
	Condemned Phase = "condemned"
	Deleting  Phase = "deleting"
)

// State is the content of a snapshot's state.json.
type State struct {
	Format int   `json:"format"` // 1
	Phase  Phase `json:"state"`
	// Life is drawn when a state is written where none was, or over one that a
	// killed collection has left.
	Life string `json:"life"`
	// Revision grows with each write of a life, so that no two have the same bytes,
	// of which stores make ETags.
	Revision int64     `json:"revision"`
	At       time.Time `json:"at"` // of the last write; wall clock
	// Files are the digests of all objects that the snapshot needs, sorted.
	Files []string `json:"files"`
}

const stateFormat = 1

// maxObject bounds what is read at once: a manifest or state of about a hundred
// thousand files.
const maxObject = 32 << 20

// Catalog reads and changes the snapshots of one bucket. It keeps nothing.
type Catalog struct {
	Store artifact.Store
	Now   func() time.Time // nil: time.Now
	// Parallel is how many objects are asked for at once; 0: 16.
	Parallel int
}

// group runs what is done for many objects.
func (c Catalog) group(ctx context.Context) (*errgroup.Group, context.Context) {
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(c.Parallel, 16))
	return group, inGroup
}

func (c Catalog) now() time.Time {
	if c.Now == nil {
		return time.Now().UTC()
	}
	return c.Now().UTC()
}

// stored is a state as it was read; the ETag is empty where there is none.
type stored struct {
	State
	etag string
}

// State is where a snapshot stands; ok is false where it has no state.
func (c Catalog) State(ctx context.Context, snapshot string) (state State, ok bool, err error) {
	found, err := c.state(ctx, snapshot)
	return found.State, found.etag != "", err
}

func (c Catalog) state(ctx context.Context, snapshot string) (stored, error) {
	raw, info, err := artifact.GetBytes(ctx, c.Store, StateKey(snapshot), maxObject)
	if errors.Is(err, artifact.ErrNotFound) {
		return stored{}, nil
	}
	if err != nil {
		return stored{}, err
	}
	found := stored{etag: info.ETag}
	if err := json.Unmarshal(raw, &found.State); err != nil || found.Format != stateFormat {
		return stored{}, malformed(artifact.URI(c.Store, info.Key), "a snapshot's state", err)
	}
	return found, nil
}

// move replaces a state by its successor in another phase, unless somebody else
// has replaced it: then it fails with artifact.ErrPreconditionFailed.
func (c Catalog) move(ctx context.Context, snapshot string, from stored, phase Phase, files []string) (stored, error) {
	next := State{Format: stateFormat, Phase: phase, Life: from.Life, Revision: from.Revision + 1, At: c.now(), Files: files}
	options := artifact.PutOptions{IfMatch: from.etag, ContentType: "application/json"}
	options.IfAbsent = from.etag == ""
	if from.etag == "" || (from.Phase == Deleting && phase == Live) {
		next.Life = rand.Text()
	}
	raw, err := json.Marshal(next)
	if err != nil {
		return stored{}, fmt.Errorf("encode the state of snapshot %s: %w", snapshot, err)
	}
	info, err := artifact.PutBytes(ctx, c.Store, StateKey(snapshot), raw, options)
	return stored{State: next, etag: info.ETag}, err
}

// malformed is about an object that this program did not write, or a newer one.
func malformed(uri, what string, cause error) error {
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: uri, Message: "the object is not " + what, Cause: cause,
		Hint: "it was changed by hand, or written by a newer version",
	}
}
