package artifacttest_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/artifact/artifacttest"
)

func TestMemory(t *testing.T) {
	store := artifact.NewMemory("mainspring")
	artifacttest.Run(t, func(testing.TB) artifact.Store { return store })
}

func openS3(t *testing.T, transport http.RoundTripper) *artifact.S3 {
	t.Helper()
	cfg := artifact.ConfigFromEnv(os.Getenv)
	cfg.Endpoint = os.Getenv("MAINSPRING_TEST_S3_ENDPOINT")
	if cfg.Endpoint == "" {
		t.Skip("NOT TESTED against a real S3 server: MAINSPRING_TEST_S3_ENDPOINT is not set (make test sets it)")
	}
	cfg.Bucket, cfg.Transport = "mainspring-suite", transport
	store, err := artifact.NewS3(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.EnsureBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func TestS3(t *testing.T) {
	store := openS3(t, nil)
	artifacttest.Run(t, func(testing.TB) artifact.Store { return store })
}

// counting counts the parts that were taken, and gives up after some.
type counting struct {
	taken  atomic.Int64
	enough int64
	giveUp func()
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.URL.Query().Has("partNumber") && response.StatusCode == http.StatusOK && c.taken.Add(1) == c.enough {
		c.giveUp()
	}
	return response, err
}

// TestS3Resumes: a real server keeps what an interrupted upload has sent.
func TestS3Resumes(t *testing.T) {
	const parts, before = 12, 5
	content := make([]byte, parts*8<<20)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(content) // never fails
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := &counting{enough: before, giveUp: cancel}
	key := "resumes/" + strconv.FormatUint(rand.Uint64(), 36)
	_, err := openS3(t, first).Upload(ctx, key, bytes.NewReader(content), int64(len(content)), artifact.PutOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v; want cancelled", err)
	}
	second := &counting{}
	store := openS3(t, second)
	if _, err := store.Stat(t.Context(), key); !errors.Is(err, artifact.ErrNotFound) {
		t.Fatalf("error %v; an object that is not complete is shown", err)
	}
	done, err := store.Upload(t.Context(), key, bytes.NewReader(content), int64(len(content)), artifact.PutOptions{})
	if err != nil || done.SHA256 != artifact.Digest(content) {
		t.Fatalf("got %+v, error %v", done, err)
	}
	if got, _, err := artifact.GetBytes(t.Context(), store, key, int64(len(content))); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the object has %d bytes (%v), and others", len(got), err)
	}
	if n := second.taken.Load(); n == 0 || n > parts-before {
		t.Errorf("%d of %d parts were sent the second time, after %d the first time", n, parts, before)
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Error(err)
	}
}
