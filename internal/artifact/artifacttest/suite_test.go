package artifacttest_test

import (
	"os"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/artifact/artifacttest"
)

func TestMemory(t *testing.T) {
	store := artifact.NewMemory("mainspring")
	artifacttest.Run(t, func(testing.TB) artifact.Store { return store })
}

func TestS3(t *testing.T) {
	cfg := artifact.ConfigFromEnv(os.Getenv)
	cfg.Endpoint = os.Getenv("MAINSPRING_TEST_S3_ENDPOINT")
	if cfg.Endpoint == "" {
		t.Skip("NOT TESTED against a real S3 server: MAINSPRING_TEST_S3_ENDPOINT is not set (make test sets it)")
	}
	cfg.Bucket = "mainspring-suite"
	store, err := artifact.NewS3(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := store.EnsureBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	artifacttest.Run(t, func(testing.TB) artifact.Store { return store })
}
