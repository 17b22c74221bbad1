package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/dataset/division"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// preparing is a preparation whose listing has been read.
type preparing struct {
	models.Preparation
	store      artifact.Store
	partitions []models.Partition
	key        division.PseudonymKey
	baseline   *profile.Profile
	noBaseline string // why there is none, for people
	lookOnly   bool   // nothing is kept or written, see CheckData
}

// open reads what all steps need. It refuses to go on with another key than the
// one that the preparation was begun with: half of the rows would have other
// pseudonyms.
func (p *Prepare) open(ctx context.Context, of models.Preparation) (*preparing, error) {
	w := &preparing{Preparation: of, store: p.Store}
	w.Data = w.Data.WithDefaults()
	var err error
	if w.key, err = p.pseudonymKey(of.Data); err != nil {
		return nil, err
	}
	if w.key != nil {
		id, err := identity(models.ListPartitionsRequest{Data: of.Data, Baseline: of.Baseline, Served: of.Served}, of.Listing.SHA256, w.key)
		if err != nil {
			return nil, err
		}
		if id != of.ID {
			return nil, &models.Error{
				Kind: models.KindUnavailable, Subject: "data.pseudonym_key", Message: "this worker has another key than the one that the preparation was begun with, or is of another version",
				Hint: "give every worker the same key and version, or start again",
			}
		}
	}
	if err := w.readBaseline(ctx); err != nil {
		return nil, err
	}
	w.partitions, err = readListing(ctx, p.Store, of.Listing)
	return w, err
}

// readBaseline reads the champion's profile. One that is not there any more is no
// reason to stop: there is nothing to compare with.
func (w *preparing) readBaseline(ctx context.Context) error {
	if w.Baseline == nil {
		w.noBaseline = "there is no champion yet whose training rows are known"
		return nil
	}
	var err error
	if w.baseline, err = readProfile(ctx, w.store, w.Baseline.Profile); err == nil && w.baseline == nil {
		w.noBaseline = "the profile of the rows that version " + w.Baseline.Version + " was trained on is not there any more"
	}
	return err
}

// partSummary is what was found in one partition.
type partSummary struct {
	Columns  []models.Column       `json:"columns,omitempty"` // none when the window misses the partition
	Files    []models.SnapshotFile `json:"files,omitempty"`
	Rows     int64                 `json:"rows"`    // read inside the window
	Unknown  int64                 `json:"unknown"` // left out: label not known at AsOf
	Source   int64                 `json:"source"`  // rows of the whole partition
	Times    division.Times        `json:"times"`   // of the whole partition
	Schema   checks.Schema         `json:"schema"`
	Profile  *profile.Profile      `json:"profile,omitempty"`
	Evidence profile.Evidence      `json:"evidence"`
	Runs     []runRef              `json:"runs,omitempty"`
	Served   []servedFeature       `json:"served,omitempty"`
}

// runRef is where a run lies, see profile.Run.
type runRef struct {
	Column string     `json:"column"` // empty: whole rows
	Rows   int        `json:"rows"`
	Object models.Ref `json:"object"`
}

const maxSummary = snapshots.MaxSummary

// summaryKey is where what was found in one partition is kept.
func summaryKey(preparation string, partition int) string {
	return snapshots.PreparationPrefix(preparation) + fmt.Sprintf("parts/%06d.json", partition)
}

// sameKey is where other preparations find the summary of a partition that has
// not changed: it names the partition and all that decides about its share.
func (w *preparing) sameKey(part models.Partition) (string, error) {
	id, err := identity(models.ListPartitionsRequest{Data: w.Data, Baseline: w.Baseline, Served: w.Served}, "", w.key)
	if err != nil {
		return "", err
	}
	encoded, err := json.Marshal(part)
	if err != nil {
		return "", fmt.Errorf("name the partition: %w", err)
	}
	return snapshots.PartitionsPrefix + artifact.Digest(append([]byte(id), encoded...)) + ".json", nil
}

// prepare finds a partition's summary, or reads the partition.
func (w *preparing) prepare(ctx context.Context, n int) (models.PartitionsPrepared, error) {
	own := summaryKey(w.ID, n)
	same, err := w.sameKey(w.partitions[n])
	if err != nil {
		return models.PartitionsPrepared{}, err
	}
	summary, err := w.find(ctx, own, same)
	reused := 1
	if errors.Is(err, artifact.ErrNotFound) {
		reused = 0
		summary, err = w.read(ctx, w.partitions[n])
	}
	if err != nil {
		return models.PartitionsPrepared{}, unavailable(w.partitions[n].URI, "the partition can't be prepared", err)
	}
	if err := w.put(ctx, own, summary); err != nil {
		return models.PartitionsPrepared{}, err
	}
	if err := w.put(ctx, same, snapshots.PartitionPointer{Summary: own}); err != nil {
		return models.PartitionsPrepared{}, err
	}
	return models.PartitionsPrepared{Rows: summary.Rows, Unknown: summary.Unknown, Reused: reused}, nil
}

// find returns a summary that this preparation or another has written, if all
// that it names is still there; else artifact.ErrNotFound.
func (w *preparing) find(ctx context.Context, own, same string) (partSummary, error) {
	summary, err := readJSON[partSummary](ctx, w.store, own)
	if errors.Is(err, artifact.ErrNotFound) {
		var other snapshots.PartitionPointer
		if other, err = readJSON[snapshots.PartitionPointer](ctx, w.store, same); err != nil {
			return summary, err
		}
		summary, err = readJSON[partSummary](ctx, w.store, other.Summary)
	}
	if err != nil {
		return summary, err
	}
	return summary, areThere(ctx, w.store, summary.refs())
}

// refs are the objects that a summary names.
func (s partSummary) refs() (refs []models.Ref) {
	for _, f := range s.Files {
		refs = append(refs, f.Ref)
	}
	for _, r := range s.Runs {
		refs = append(refs, r.Object)
	}
	return refs
}

// areThere fails with artifact.ErrNotFound if an object is gone.
func areThere(ctx context.Context, store artifact.Store, refs []models.Ref) error {
	return each(ctx, len(refs), func(ctx context.Context, i int) error {
		key := dataset.ObjectKey(refs[i].SHA256)
		info, err := store.Stat(ctx, key)
		if err == nil && info.Size != refs[i].Size {
			return fmt.Errorf("%s has %d bytes, not %d: %w", key, info.Size, refs[i].Size, artifact.ErrNotFound)
		}
		return err
	})
}

func readJSON[T any](ctx context.Context, store artifact.Store, key string) (content T, err error) {
	encoded, _, err := artifact.GetBytes(ctx, store, key, maxSummary)
	if err != nil {
		return content, err
	}
	if err := json.Unmarshal(encoded, &content); err != nil {
		return content, fmt.Errorf("read %s: %w", key, err)
	}
	return content, nil
}

func (w *preparing) put(ctx context.Context, key string, content any) error {
	encoded, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	_, err = artifact.PutBytes(ctx, w.store, key, encoded, artifact.PutOptions{ContentType: "application/json"})
	return unavailable(key, "the object can't be written", err)
}

// eachPart reads all summaries, many at once, and gives them to a function in the
// order of the partitions, so that what is added up is the same on any machine.
func (w *preparing) eachPart(ctx context.Context, give func(n int, summary partSummary) error) error {
	const batch = 64
	for from := 0; from < len(w.partitions); from += batch {
		read := make([]partSummary, min(batch, len(w.partitions)-from))
		err := each(ctx, len(read), func(ctx context.Context, i int) (err error) {
			read[i], err = readJSON[partSummary](ctx, w.store, summaryKey(w.ID, from+i))
			return unavailable(summaryKey(w.ID, from+i), "the summary can't be read", err)
		})
		if err != nil {
			return err
		}
		for i, summary := range read {
			if err := give(from+i, summary); err != nil {
				return err
			}
		}
		recordProgress(ctx, fmt.Sprintf("joined %d of %d", from+len(read), len(w.partitions)))
	}
	return nil
}
