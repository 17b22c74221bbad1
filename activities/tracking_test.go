package activities

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/mlflow/mlflowtest"
	"github.com/mainspring-ml/mainspring/models"
)

// fakeMLflow is a client of the in-memory server, which passes the same suite
// as the real one.
func fakeMLflow(t *testing.T) *mlflow.Client {
	t.Helper()
	c, err := mlflow.New(mlflow.Config{BaseURL: mlflowtest.NewServer("s3://bucket/mlflow").Start(t)})
	require.NoError(t, err)
	return c
}

var runRequest = models.CreateRunRequest{
	Key: "0123456789abcdef", Experiment: "flight-delay", Name: "as of 2013-03-01",
	StartTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Params: map[string]string{"rounds": "60"},
	Tags: map[string]string{"mainspring.code_commit": "", "mainspring.lifecycle": "l"},
	Snapshot: models.Snapshot{
		Manifest: models.Ref{URI: "s3://bucket/m", SHA256: "aa11bb22cc33dd44ee55ff66aa11bb22cc33dd44ee55ff66aa11bb22cc33dd44"},
		Train:    models.Span{Rows: 10}, Test: models.Span{Rows: 3},
		Columns: []models.Column{{Name: "x", Type: "float64"}},
	},
}

func TestCreateRunIsOneRunHoweverOften(t *testing.T) {
	c := fakeMLflow(t)
	tracking := &Tracking{MLflow: c, WorkflowPage: func(id, run string) string { return "http://ui/" + id + run }}
	first, err := tracking.CreateRun(t.Context(), runRequest)
	require.NoError(t, err)
	second, err := tracking.CreateRun(t.Context(), runRequest)
	require.NoError(t, err)
	require.Equal(t, first, second)

	run, err := c.GetRun(t.Context(), first.RunID)
	require.NoError(t, err)
	require.Equal(t, "60", run.Params["rounds"])
	require.Equal(t, "l", run.Tags["mainspring.lifecycle"])
	require.Equal(t, "http://ui/l", run.Tags["mainspring.workflow_url"])
	require.Contains(t, run.Tags["mlflow.note.content"], "Made by the lifecycle [l](http://ui/l).")
	require.NotContains(t, run.Tags, "mainspring.code_commit", "an empty tag says nothing")
	require.Len(t, run.Datasets, 2)
	require.Contains(t, run.Datasets[0].Source+run.Datasets[1].Source, "s3://bucket/m")
}

func TestWhatIsSaidOfRowsThatAHashSplits(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2013, 1, d, 0, 0, 0, 0, time.UTC) }
	require.Equal(t, "Trained on **8 rows** from 2013-01-01 to 2013-01-09; judged on **2 rows** to 2013-01-11 that it has not seen.",
		learnedFrom(models.Span{Rows: 8, From: day(1), To: day(9)}, models.Span{Rows: 2, From: day(9), To: day(11)}))
	require.Equal(t, "Trained on **8 rows**; judged on **2 rows** that it has not seen; both from 2013-01-01 to 2013-01-11.",
		learnedFrom(models.Span{Rows: 8, From: day(1), To: day(11)}, models.Span{Rows: 2, From: day(1), To: day(11)}))

	rows := rowsOf(models.DataSpec{Key: "id", Window: 10 * models.Day, Split: models.SplitSpec{By: models.SplitByHash, Salt: "s"}})
	require.NotContains(t, rows, "holdout")
	require.Equal(t, models.SplitSpec{By: models.SplitByHash, Column: "id", Fraction: 0.2, Salt: "s"}, rows["split"])
	rows = rowsOf(models.DataSpec{Window: 10 * models.Day, Holdout: models.Day})
	require.NotContains(t, rows, "split")
	require.Equal(t, models.Day.String(), rows["holdout"])
}

// The run's page says whether its data is new, and what was odd about it.
func TestRunsTellOfTheirData(t *testing.T) {
	c := fakeMLflow(t)
	request := runRequest
	request.Snapshot.Unread, request.Snapshot.Reused = true, true
	request.Snapshot.Checks = []models.CheckResult{
		{Check: "nulls", Severity: models.SeverityWarn, Message: "too many nulls"}, {Check: "skew", Skipped: "no endpoint", Message: "no endpoint"},
	}
	made, err := (&Tracking{MLflow: c}).CreateRun(t.Context(), request)
	require.NoError(t, err)
	run, err := c.GetRun(t.Context(), made.RunID)
	require.NoError(t, err)
	note := run.Tags["mlflow.note.content"]
	require.Contains(t, note, "source and spec are unchanged, nothing was read.")
	require.Contains(t, note, "\n- `nulls`: too many nulls\n")
	require.NotContains(t, note, "no endpoint")
}

func TestFinishRunRecordsFiguresAndStatus(t *testing.T) {
	c := fakeMLflow(t)
	tracking := &Tracking{MLflow: c}
	run, err := tracking.CreateRun(t.Context(), runRequest)
	require.NoError(t, err)
	request := models.FinishRunRequest{RunID: run.RunID, Status: "FINISHED", EndTime: runRequest.StartTime.Add(time.Minute),
		Metrics: map[string]float64{"test_log_loss": 0.52, "log_loss/carrier=<9E>": 1, "../x": math.NaN()}, Tags: map[string]string{"mainspring.gate": "pass"}}
	for range 2 {
		require.NoError(t, tracking.FinishRun(t.Context(), request))
	}
	got, err := c.GetRun(t.Context(), run.RunID)
	require.NoError(t, err)
	require.Equal(t, mlflow.RunFinished, got.Status)
	require.InDelta(t, 0.52, got.Metrics["test_log_loss"].Value, 1e-12)
	require.Equal(t, "pass", got.Tags["mainspring.gate"])
	require.InDelta(t, 1, got.Metrics["log_loss/carrier__9E_"].Value, 0, "a name that MLflow refuses is no reason to fail")
	require.True(t, math.IsNaN(got.Metrics["x"].Value))
}

func TestAnnotateRunLeavesTheRunOpen(t *testing.T) {
	c := fakeMLflow(t)
	tracking := &Tracking{MLflow: c}
	run, err := tracking.CreateRun(t.Context(), runRequest)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, tracking.AnnotateRun(t.Context(), models.AnnotateRunRequest{RunID: run.RunID, At: runRequest.StartTime.Add(time.Minute),
			Metrics: map[string]float64{"mainspring.gpu_seconds.lost": 12.5}, Tags: map[string]string{"mainspring.attempts": "2", "mainspring.skipped": ""}}))
	}
	got, err := c.GetRun(t.Context(), run.RunID)
	require.NoError(t, err)
	require.Equal(t, mlflow.RunRunning, got.Status)
	require.InDelta(t, 12.5, got.Metrics["mainspring.gpu_seconds.lost"].Value, 1e-12)
	require.Equal(t, "2", got.Tags["mainspring.attempts"])
	require.NotContains(t, got.Tags, "mainspring.skipped")
}

func TestRegistryRegistersOnceAndMovesAliases(t *testing.T) {
	c := fakeMLflow(t)
	run, err := (&Tracking{MLflow: c}).CreateRun(t.Context(), runRequest)
	require.NoError(t, err)
	registry := &Registry{MLflow: c, NamespaceID: func(context.Context) (string, error) { return "ns", nil }}
	claim, err := registry.ClaimModel(t.Context(), models.ClaimModelRequest{Model: "flight-delay", ModelNote: "delays", Steward: "model/m/run1"})
	require.NoError(t, err)
	request := models.CreateModelVersionRequest{Key: "fedcba9876543210", Model: "flight-delay", Owner: claim.Owner, RunID: run.RunID,
		Source: run.ArtifactURI + "/model", Description: "**pass**", Tags: map[string]string{"mainspring.gate": "pass"}}
	first, err := registry.CreateModelVersion(t.Context(), request)
	require.NoError(t, err)
	second, err := registry.CreateModelVersion(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, first, second)

	move := func(aliases map[string]string) {
		t.Helper()
		require.NoError(t, registry.MoveAliases(t.Context(), models.MoveAliasesRequest{Model: "flight-delay", Owner: claim.Owner, Aliases: aliases}))
	}
	move(map[string]string{models.AliasChallenger: first.Version})
	for range 2 { // a repeated promotion is a promotion
		move(map[string]string{models.AliasChampion: first.Version, models.AliasChallenger: "", models.AliasPrevious: ""})
	}
	model, err := c.GetRegisteredModel(t.Context(), "flight-delay")
	require.NoError(t, err)
	require.Equal(t, map[string]string{models.AliasChampion: first.Version}, model.Aliases)
	require.Equal(t, "delays", model.Description)
}

func TestMLflowThatRefusesIsNotWaitedFor(t *testing.T) {
	c := fakeMLflow(t)
	err := (&Tracking{MLflow: c}).FinishRun(t.Context(), models.FinishRunRequest{RunID: "unknown", Status: "FINISHED", EndTime: time.Now()})
	var failed *models.Error
	require.ErrorAs(t, err, &failed)
	require.False(t, failed.Kind.Retryable(), "%v", err)

	denying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(denying.Close)
	denied, err := mlflow.New(mlflow.Config{BaseURL: denying.URL})
	require.NoError(t, err)
	_, err = (&Tracking{MLflow: denied}).CreateRun(t.Context(), runRequest)
	require.ErrorAs(t, err, &failed)
	require.Equal(t, models.KindUnavailable, failed.Kind, "until the token is renewed")
	require.Contains(t, failed.Error(), "MLFLOW_TRACKING_TOKEN")

	gone, err := mlflow.New(mlflow.Config{BaseURL: "http://127.0.0.1:1", ReadRetries: -1})
	require.NoError(t, err)
	_, err = (&Tracking{MLflow: gone}).CreateRun(t.Context(), runRequest)
	require.ErrorAs(t, err, &failed)
	require.Equal(t, models.KindUnavailable, failed.Kind)
}
