package clouds

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/copying"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/telemetry"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/worker"
)

// flight is a row of the lake.
type flight struct {
	ID      string `parquet:"id"`
	At      int64  `parquet:"at,timestamp(microsecond)"`
	Late    int64  `parquet:"late"`
	Carrier string `parquet:"carrier,dict"`
}

func (w *world) fillLake() {
	w.Helper()
	for m := time.January; m <= time.March; m++ {
		var rows []flight
		for at := time.Date(2013, m, 1, 0, 0, 0, 0, time.UTC); at.Month() == m; at = at.Add(time.Hour) {
			rows = append(rows, flight{ID: at.Format(time.RFC3339), At: at.UnixMicro(), Late: int64(at.YearDay() * 7 % 3 / 2), Carrier: []string{"UA", "B6"}[at.Day()%2]})
		}
		var b bytes.Buffer
		require.NoError(w, parquet.Write(&b, rows))
		_, err := artifact.PutBytes(w.Context(), w.farStore, fmt.Sprintf("flights/2013-%02d.parquet", m), b.Bytes(), artifact.PutOptions{})
		require.NoError(w, err)
	}
}

// A real worker, told of the lake by MAINSPRING_STORES, prepares data of one
// cloud into the other.
func TestAPreparationReadsFromOneCloudAndWritesToTheOther(t *testing.T) {
	w := newWorld(t)
	w.fillLake()
	before, err := w.farStore.List(t.Context(), "")
	require.NoError(t, err)
	for name, value := range w.env {
		t.Setenv(name, value)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx, worker.Config{}) }()
	defer func() {
		stop()
		require.NoError(t, <-ended)
	}()
	outlets, err := telemetry.New(ctx, "test")
	require.NoError(t, err)
	temporal, err := worker.Dial(ctx, outlets)
	require.NoError(t, err)
	defer temporal.Close()
	spec := models.DataSpec{
		Source: "s3://lake/flights/", Time: "at", Key: "id", Label: "late", Features: []string{"carrier"},
		AsOf: time.Date(2013, 4, 1, 0, 0, 0, 0, time.UTC), Window: 60 * models.Day, Holdout: 14 * models.Day,
	}.WithDefaults()
	run, err := temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "clouds-" + word(), TaskQueue: models.TaskQueue},
		models.PrepareDataWorkflow, models.PrepareDataInput{Model: "delay", Data: spec})
	require.NoError(t, err)
	var snapshot models.Snapshot
	require.NoError(t, run.Get(ctx, &snapshot))
	require.True(t, strings.HasPrefix(snapshot.Manifest.URI, "s3://"+w.env["MAINSPRING_S3_BUCKET"]+"/"), snapshot.Manifest.URI)
	require.Positive(t, snapshot.Train.Rows)
	require.Positive(t, snapshot.Test.Rows)
	t.Logf("snapshot %.12s has %d and %d rows", snapshot.SHA256(), snapshot.Train.Rows, snapshot.Test.Rows)
	after, err := w.farStore.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, before, after, "something was written to the lake")

	// Copied to the lake, it is the same snapshot there.
	plan, err := copying.At(ctx, w.both, snapshot.Manifest.URI)
	require.NoError(t, err)
	for _, root := range []string{"", "copies/1/"} {
		to, err := copying.Open(w.both, "s3://lake/"+root)
		require.NoError(t, err)
		require.NoError(t, copying.Copier{Source: w.both, To: to}.Run(ctx, plan, &copying.Progress{}))
		w.complete(snapshot.SHA256(), root, true)
		copied := "s3://lake/" + root + dataset.ManifestKey(snapshot.SHA256())
		_, err = copying.Snapshot(ctx, w.both, copied)
		require.NoError(t, err)
	}
}
