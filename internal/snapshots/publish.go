package snapshots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// ErrFilesMissing says that files which a manifest names are not there: nobody
// may see that manifest. They must be written again.
var ErrFilesMissing = errors.New("files of the snapshot are missing")

// errDeleting says that a collection deletes the snapshot, or some of its files.
var errDeleting = errors.New("the snapshot is being deleted")

// Published is a snapshot that is complete and in use.
type Published struct {
	Manifest models.Ref
	// Reused says that the same snapshot was there already.
	Reused bool
}

// Publication is a snapshot that is to be made visible.
type Publication struct {
	Manifest []byte
	Use      models.SnapshotUse
	// Beside writes what else belongs into the snapshot's directory, such as its
	// report; nil: nothing. It runs when no collection can take that away any more.
	Beside func(context.Context) error
}

// Publish records a use and makes a snapshot visible: its manifest is written
// last, after all files that it names are known to be there and to stay. It is
// idempotent. It fails with ErrFilesMissing, and with an error of kind
// Unavailable while a collection deletes the same snapshot or its files.
func (c Catalog) Publish(ctx context.Context, p Publication) (Published, error) {
	decoded, err := dataset.Decode(p.Manifest)
	if err != nil {
		return Published{}, err
	}
	use := p.Use
	use.Snapshot = artifact.Digest(p.Manifest)
	key := ManifestKey(use.Snapshot)
	published := Published{Manifest: models.Ref{URI: artifact.URI(c.Store, key), SHA256: use.Snapshot, Size: int64(len(p.Manifest))}}
	files := Files(decoded)
	life, err := c.claim(ctx, files, use)
	if err == nil {
		err = c.complete(ctx, files)
	}
	if err == nil && p.Beside != nil {
		err = p.Beside(ctx)
	}
	if err != nil {
		return Published{}, busy(published.Manifest.URI, err)
	}
	_, err = artifact.PutBytes(ctx, c.Store, key, p.Manifest, artifact.PutOptions{IfAbsent: true, ContentType: "application/json"})
	if published.Reused = errors.Is(err, artifact.ErrPreconditionFailed); err != nil && !published.Reused {
		return Published{}, err
	}
	return published, busy(published.Manifest.URI, c.stillLive(ctx, use.Snapshot, life))
}

// Reuse records the use of a snapshot that should be there. Ok is false where it
// is not, or not any more: then it has to be prepared.
func (c Catalog) Reuse(ctx context.Context, snapshot string, use models.SnapshotUse) (manifest []byte, ok bool, err error) {
	manifest, err = c.manifest(ctx, snapshot)
	if manifest == nil || err != nil {
		return nil, false, err
	}
	decoded, err := dataset.Decode(manifest)
	if err != nil {
		return nil, false, err
	}
	use.Snapshot = snapshot
	files := Files(decoded)
	if _, err = c.claim(ctx, files, use); err == nil {
		err = c.complete(ctx, files)
	}
	if errors.Is(err, errDeleting) || errors.Is(err, ErrFilesMissing) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	// The claim may have begun another life of a snapshot that went meanwhile.
	manifest, err = c.manifest(ctx, snapshot)
	return manifest, manifest != nil && err == nil, err
}

// Files are the digests of the objects that a manifest needs, sorted.
func Files(m models.SnapshotManifest) []string {
	var digests []string
	for _, f := range m.Files {
		digests = append(digests, f.SHA256)
	}
	if m.Profile.SHA256 != "" {
		digests = append(digests, m.Profile.SHA256)
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}

// manifest reads and verifies a snapshot's manifest; nil: there is none.
func (c Catalog) manifest(ctx context.Context, snapshot string) ([]byte, error) {
	raw, info, err := artifact.GetBytes(ctx, c.Store, ManifestKey(snapshot), maxObject)
	if errors.Is(err, artifact.ErrNotFound) {
		return nil, nil
	}
	if err == nil && artifact.Digest(raw) != snapshot {
		err = malformed(artifact.URI(c.Store, info.Key), "the manifest of that digest", nil)
	}
	return raw, err
}

// claims is how often a claim is begun anew while others change the state.
const claims = 20

// claim makes a snapshot live and records its use, and returns the snapshot's
// life. From then on no collection deletes it, or its use, or a file of it that
// is there when nobody's intent names it.
func (c Catalog) claim(ctx context.Context, files []string, use models.SnapshotUse) (life string, err error) {
	for range claims {
		found, err := c.state(ctx, use.Snapshot)
		if err != nil {
			return "", err
		}
		if found.Phase == Deleting {
			// Left by a collection that was killed, or by one that runs.
			intent, err := c.intent(ctx)
			if err == nil {
				err = c.clearStale(ctx, intent)
			}
			if err != nil {
				return "", err
			}
		}
		live, err := c.move(ctx, use.Snapshot, found, Live, files)
		if errors.Is(err, artifact.ErrPreconditionFailed) {
			continue
		}
		if err == nil {
			err = c.recordUse(ctx, use)
		}
		if err != nil {
			return "", err
		}
		// A collection that did not see the use must have gone before this.
		if err = c.stillLive(ctx, use.Snapshot, live.Life); !errors.Is(err, errDeleting) {
			return live.Life, err
		}
	}
	return "", errDeleting
}

// stillLive fails with errDeleting unless the snapshot is live, in that life.
func (c Catalog) stillLive(ctx context.Context, snapshot, life string) error {
	found, err := c.state(ctx, snapshot)
	if err == nil && (found.Phase != Live || found.Life != life) {
		err = errDeleting
	}
	return err
}

// complete fails unless all files are there and stay there. The snapshot must
// have been claimed before.
func (c Catalog) complete(ctx context.Context, files []string) error {
	intent, err := c.intent(ctx)
	if err != nil {
		return err
	}
	for _, digest := range intent.Files {
		if _, named := slices.BinarySearch(files, digest); named {
			if err := c.clearStale(ctx, intent); err != nil {
				return err
			}
			break
		}
	}
	return c.present(ctx, files)
}

// Holds reports whether objects are there and stay there, for whoever has just
// written below a preparation's prefix that it counts on them.
func (c Catalog) Holds(ctx context.Context, digests []string) (bool, error) {
	digests = slices.Clone(digests)
	slices.Sort(digests)
	err := c.complete(ctx, slices.Compact(digests))
	if errors.Is(err, errDeleting) || errors.Is(err, ErrFilesMissing) {
		return false, nil
	}
	return err == nil, err
}

func (c Catalog) present(ctx context.Context, files []string) error {
	group, inGroup := c.group(ctx)
	for _, digest := range files {
		group.Go(func() error {
			_, err := c.Store.Stat(inGroup, artifact.ObjectKey(digest))
			if errors.Is(err, artifact.ErrNotFound) {
				return fmt.Errorf("%w, such as %s", ErrFilesMissing, artifact.URI(c.Store, artifact.ObjectKey(digest)))
			}
			return err
		})
	}
	return group.Wait()
}

// busy turns errDeleting into an error that is tried again.
func busy(uri string, err error) error {
	if !errors.Is(err, errDeleting) {
		return err
	}
	return &models.Error{
		Kind: models.KindUnavailable, Subject: uri, Cause: err,
		Message: "mainspring data gc is deleting this snapshot or files of it",
		Hint:    "it is tried again; a collection that was killed is finished by running it again",
	}
}

// PutObject stores bytes under their digest. Where they lie already and are not
// about to be old enough for a collection, nothing is written.
func (c Catalog) PutObject(ctx context.Context, content []byte) (models.Ref, error) {
	digest := artifact.Digest(content)
	ref := models.Ref{URI: artifact.URI(c.Store, artifact.ObjectKey(digest)), SHA256: digest, Size: int64(len(content))}
	there, err := c.Store.Stat(ctx, artifact.ObjectKey(digest))
	if err == nil && there.Size == ref.Size && c.Fresh(there) {
		return ref, nil
	}
	_, err = c.Store.Put(ctx, artifact.ObjectKey(digest), bytes.NewReader(content), ref.Size, artifact.PutOptions{SHA256: digest})
	return ref, err
}

// Fresh reports whether an object that no manifest names yet will still be there
// when the preparation that counts on it publishes its snapshot. One that is not
// fresh is to be written again.
func (c Catalog) Fresh(there artifact.Info) bool { return c.now().Sub(there.Modified) < Grace/2 }
