package claimcheck

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	prefix = "payloads/"
	// patience bounds one call of the codec. When the store does not answer the
	// workflow task fails and Temporal tries it again.
	patience = 20 * time.Second
	attempts = 3
	// fresh is how long an object that was stored is believed to be there. Older
	// ones are written again, which renews their age in the bucket.
	fresh = time.Hour
	// remembered bounds the memory of what was stored or read lately: replays
	// ask for the same payloads again.
	remembered      = 256
	rememberedBytes = 64 << 20
)

func (c *Codec) checkIn(packed []byte, size int) (Claim, error) {
	digest := artifact.Digest(packed)
	key := prefix + digest
	claim := Claim{URI: artifact.URI(c.Store, key), SHA256: digest, Stored: int64(len(packed)), Size: int64(size)}
	if c.recent.stored(digest) {
		return claim, nil
	}
	err := retry(func(ctx context.Context) error {
		_, err := artifact.PutBytes(ctx, c.Store, key, packed, artifact.PutOptions{ContentType: "application/gzip"})
		return err
	})
	if err != nil {
		return Claim{}, fmt.Errorf("keep a payload of %d bytes in the artifact store: %w", size, err)
	}
	c.recent.remember(digest, packed)
	return claim, nil
}

func (c *Codec) checkOut(claim Claim) ([]byte, error) {
	if packed := c.recent.bytes(claim.SHA256); packed != nil {
		return packed, nil
	}
	if c.Store == nil {
		return nil, &models.Error{Kind: models.KindUnavailable, Subject: claim.URI,
			Message: fmt.Sprintf("this payload of %d bytes is kept in the artifact store, and none is configured here", claim.Size),
			Hint:    "set MAINSPRING_S3_ENDPOINT, MAINSPRING_S3_BUCKET and the AWS_* keys as for the worker"}
	}
	var packed []byte
	err := retry(func(ctx context.Context) (err error) {
		packed, err = artifact.ReadRef(ctx, c.Store, models.Ref{URI: claim.URI, SHA256: claim.SHA256, Size: claim.Stored}, largest)
		return err
	})
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return nil, fmt.Errorf("a payload of %d bytes has been deleted from the artifact store; "+
			"objects under %s must live as long as the histories that name them: %w", claim.Size, prefix, err)
	case err != nil:
		return nil, fmt.Errorf("fetch a payload of %d bytes: %w", claim.Size, err)
	}
	c.recent.remember(claim.SHA256, packed)
	return packed, nil
}

// retry tries again what may work a moment later.
func retry(call func(context.Context) error) error {
	// The SDK's codecs are given no context.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	for attempt := range attempts {
		if err = call(ctx); err == nil || !errors.Is(err, artifact.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(attempt+1) * 200 * time.Millisecond):
		}
	}
	return err
}

// recent remembers a bounded number of packed payloads, the oldest go first.
type recent struct {
	mu    sync.Mutex
	kept  map[string]memory
	order []string
	size  int
}

type memory struct {
	packed []byte
	at     time.Time
}

func (r *recent) stored(digest string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.kept[digest]
	return ok && time.Since(m.at) < fresh
}

func (r *recent) bytes(digest string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept[digest].packed
}

func (r *recent) remember(digest string, packed []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil {
		r.kept = map[string]memory{}
	}
	if _, ok := r.kept[digest]; !ok {
		r.order = append(r.order, digest)
		r.size += len(packed)
	}
	r.kept[digest] = memory{packed, time.Now()}
	for len(r.order) > 1 && (len(r.order) > remembered || r.size > rememberedBytes) {
		r.size -= len(r.kept[r.order[0]].packed)
		delete(r.kept, r.order[0])
		r.order = r.order[1:]
	}
}
