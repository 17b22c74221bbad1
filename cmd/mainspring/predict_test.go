package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// predictIn writes held-out rows and a request and runs mainspring predict on
// them.
func predictIn(t *testing.T, dir string, change func(*models.PredictRowsRequest)) outcome {
	t.Helper()
	type row struct {
		ID       string `parquet:"id"`
		Carrier  string `parquet:"carrier"`
		Distance int64  `parquet:"distance"`
	}
	var rows bytes.Buffer
	if err := parquet.Write(&rows, []row{{"a", "UA", 0}, {"b", "AA", 1000}}); err != nil {
		t.Fatal(err)
	}
	manifest := models.SnapshotManifest{Format: 1, Files: []models.SnapshotFile{{
		Path: "test/a.parquet", Rows: 2, Ref: models.Ref{SHA256: artifact.Digest(rows.Bytes()), Size: int64(rows.Len())},
	}}}
	request := models.PredictRowsRequest{
		Who: "candidate", Data: models.DataSpec{Key: "id", Features: []string{"carrier", "distance"}},
		Artifact: models.ModelArtifact{
			Inputs:  []models.ModelPort{{Name: "carrier", Datatype: "BYTES", Shape: []int64{-1, 1}}, {Name: "distance", Datatype: "INT64", Shape: []int64{-1, 1}}},
			Outputs: []models.ModelPort{{Name: "probability", Datatype: "FP32", Shape: []int64{-1, 1}}},
		},
	}
	change(&request)
	if err := os.MkdirAll(filepath.Join(dir, "data", "test"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]any{"data/manifest.json": manifest, "request.json": request} {
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "test", "a.parquet"), rows.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	model, err := filepath.Abs(filepath.Join("..", "..", "internal", "serving", "testdata", "flights"))
	if err != nil {
		t.Fatal(err)
	}
	return mainspring(t, "predict", "--request", filepath.Join(dir, "request.json"), "--model-dir", model, "--data-dir", filepath.Join(dir, "data"),
		"--out", filepath.Join(dir, "out.parquet"), "--latency", filepath.Join(dir, "latency.json"), "--failure", filepath.Join(dir, "failure.json"))
}

func TestPredictWritesPredictionsAndLatency(t *testing.T) {
	if os.Getenv(serving.LibraryVariable) == "" {
		t.Skipf("SKIPPED: %s is not set, so the serving runtime is not tested", serving.LibraryVariable)
	}
	dir := t.TempDir()
	if got := predictIn(t, dir, func(*models.PredictRowsRequest) {}); got.code != 0 {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	type answer struct {
		ID         string  `parquet:"id"`
		Prediction float64 `parquet:"prediction"`
	}
	answers, err := parquet.ReadFile[answer](filepath.Join(dir, "out.parquet"))
	if err != nil || len(answers) != 2 || answers[1].ID != "b" || answers[0].Prediction != 0.5 || answers[1].Prediction != 0.5 {
		t.Errorf("got %+v, %v", answers, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "latency.json"))
	var latency models.Latency
	if err != nil || json.Unmarshal(text, &latency) != nil || latency.Requests != 200 {
		t.Errorf("latency %s, %v", text, err)
	}
}

func TestPredictTellsWhyThereAreNoPredictions(t *testing.T) {
	dir := t.TempDir()
	got := predictIn(t, dir, func(r *models.PredictRowsRequest) { r.Prediction = "score" })
	if got.code != exitFailed || !strings.Contains(got.stderr, `there is no output "score"`) {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	text, err := os.ReadFile(filepath.Join(dir, "failure.json"))
	if err != nil || !strings.Contains(string(text), `"kind":"ModelRejected"`) || !strings.Contains(string(text), "set evaluate.prediction") {
		t.Errorf("failure %s, %v", text, err)
	}
}
