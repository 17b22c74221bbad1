package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/models"
)

// listing is what a source held, kept as an object: a source may have more
// partitions than fit a workflow's state.
type listing struct {
	Partitions []knownPartition `json:"partitions"` // sorted by URI
}

// knownPartition is a partition by content. Newest is the latest moment at which
// one of its labels is known; zero: it was there from the start, or has none.
type knownPartition struct {
	URI    string    `json:"uri"`
	ETag   string    `json:"etag"`
	New    bool      `json:"new,omitempty"` // no retraining has been asked for since it came
	Newest time.Time `json:"newest,omitzero"`
}

// maxListing bounds a listing: about a million partitions.
const maxListing = 256 << 20

// FindArrivals implements models.Retrainings. The same state and the same source
// give the same result, but for the wall clock of a change.
func (r *Retrainings) FindArrivals(ctx context.Context, request models.ArrivalRequest) (models.ArrivalState, error) {
	defer pulse(ctx, busy("listing the source"))() // a source of many partitions takes minutes
	found, err := partitionsAt(ctx, r.Store, request.Data)
	if err != nil {
		return models.ArrivalState{}, err
	}
	before, known, err := r.readListing(ctx, request.State)
	if err != nil {
		return models.ArrivalState{}, err
	}
	next := models.ArrivalState{Count: len(found.partitions)}
	if known {
		next.Changed = request.State.Changed
	}
	now := listing{Partitions: []knownPartition{}}
	for _, part := range found.partitions {
		is := knownPartition{URI: part.URI, ETag: part.ETag}
		was, there := before[part.URI]
		switch {
		case !known: // the first look: everything is known already
		case there && was.ETag == part.ETag:
			is = was
		default:
			is.New = true
			if is.Newest, err = r.newestLabel(ctx, request.Data, part); notYet(err) {
				next.Unreadable = err.Error()
				continue
			} else if err != nil {
				return models.ArrivalState{}, err
			}
			next.Changed = r.now()
		}
		now.Partitions = append(now.Partitions, is)
		if is.New {
			next.New++
			next.Example = part.URI
			if is.Newest.After(next.Newest) {
				next.Newest = is.Newest
			}
		}
	}
	next.Listing, err = r.writeListing(ctx, now)
	return next, err
}

// readListing reads what the source held. A listing that is not stored any more
// is as none: what came since can't be told.
func (r *Retrainings) readListing(ctx context.Context, state *models.ArrivalState) (before map[string]knownPartition, known bool, err error) {
	if state == nil {
		return nil, false, nil
	}
	data, err := artifact.ReadRef(ctx, r.Store, state.Listing, maxListing)
	if gone(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, unavailable(state.Listing.URI, "the listing of the source can't be read", err)
	}
	var was listing
	if err := json.Unmarshal(data, &was); err != nil {
		return nil, false, &models.Error{Kind: models.KindInvalidSpec, Subject: state.Listing.URI, Message: "the listing of the source can't be read", Cause: err}
	}
	before = make(map[string]knownPartition, len(was.Partitions))
	for _, part := range was.Partitions {
		if state.New == 0 { // a retraining was asked for: they are known now
			part.New = false
		}
		before[part.URI] = part
	}
	return before, true, nil
}

func (r *Retrainings) writeListing(ctx context.Context, now listing) (models.Ref, error) {
	data, err := json.Marshal(now)
	if err != nil {
		return models.Ref{}, err
	}
	ref, err := artifact.PutObjectBytes(ctx, r.Store, data)
	return ref, unavailable(ref.URI, "the listing of the source can't be written", err)
}

// newestLabel is the latest moment at which a label of the partition is known,
// by its footer where that says it. A label of the future is not known yet.
func (r *Retrainings) newestLabel(ctx context.Context, data models.DataSpec, part models.Partition) (newest time.Time, err error) {
	file, err := openPartition(ctx, r.Store, data, part)
	if err != nil {
		return time.Time{}, err
	}
	newest, err = latestTime(ctx, file, cmp.Or(data.LabelTime, data.Time))
	if err = cmp.Or(err, file.Close()); err != nil {
		return time.Time{}, unreadable(part.URI, err)
	}
	if now := r.now(); newest.After(now) {
		newest = now
	}
	return newest, nil
}

// latestTime is the largest time in a column; zero: it has none. Groups whose times
// nobody knows are read.
func latestTime(ctx context.Context, file partition.Reader, column string) (newest time.Time, err error) {
	unknown := []int{}
	for i, group := range file.Groups(column) {
		switch {
		case group.Rows == 0:
		case group.Max.IsZero():
			unknown = append(unknown, i)
		case group.Max.After(newest):
			newest = group.Max
		}
	}
	if len(unknown) == 0 {
		return newest, nil
	}
	err = file.Chunks(ctx, unknown, []string{column}, func(c dataset.Chunk) error {
		times := &c.Table.Series[0]
		if times.Type != dataset.TypeTimestamp {
			return fmt.Errorf("column %q has no times but values of type %s: %w", column, times.Type, parquetio.ErrNoColumn)
		}
		for row, micros := range times.Ints {
			if at := time.UnixMicro(micros).UTC(); !times.IsNull(row) && at.After(newest) {
				newest = at
			}
		}
		return nil
	})
	return newest, err
}

// notYet: the partition itself can't be used as it is: half written, gone again,
// or of no format that can be read. The next look tries again, and nothing else waits for it.
func notYet(err error) bool {
	var failed *models.Error
	return errors.As(err, &failed) && !failed.Kind.Retryable()
}
