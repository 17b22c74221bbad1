package activities_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// putObject stores data at an s3:// URI.
func putObject(t testing.TB, store artifact.Store, uri string, data []byte) {
	t.Helper()
	bucket, key, err := artifact.ParseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.PutBytes(t.Context(), store.InBucket(bucket), key, data, artifact.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// downStore does not answer.
type downStore struct{ artifact.Store }

func (downStore) List(context.Context, string) ([]artifact.Info, error) {
	return nil, &artifact.Error{Op: "list", Message: "connection refused", Class: artifact.ErrUnavailable}
}

func (d downStore) InBucket(string) artifact.Store { return d }

func wantFailure(t *testing.T, err error, kind models.ErrorKind, texts ...string) {
	t.Helper()
	var e *models.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error %v, want kind %s", err, kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

func TestLongReadsHeartbeat(t *testing.T) {
	r, b := newReplay(t)
	r.day(march(1), 40, 0)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(b.ScoreBlocks)
	prepare := &activities.Prepare{Store: shipments(t)}
	env.RegisterActivity(prepare.PreparePartitions)
	var beats atomic.Int64
	env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { beats.Add(1) })
	if _, err := env.ExecuteActivity(b.ScoreBlocks, blocksRequest()); err != nil || beats.Load() == 0 {
		t.Errorf("ScoreBlocks: %d heartbeats, %v", beats.Load(), err)
	}
	list, err := prepare.ListPartitions(t.Context(), models.ListPartitionsRequest{Data: shipmentSpec()})
	if err != nil {
		t.Fatal(err)
	}
	beats.Store(0)
	request := models.PreparePartitionsRequest{
		Preparation: models.Preparation{ID: list.ID, Listing: list.Listing, Data: shipmentSpec()}, Task: list.Tasks[0]}
	if _, err := env.ExecuteActivity(prepare.PreparePartitions, request); err != nil || beats.Load() == 0 {
		t.Errorf("PreparePartitions: %d heartbeats, %v", beats.Load(), err)
	}
}
