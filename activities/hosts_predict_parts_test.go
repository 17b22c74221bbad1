package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// playPredictor is mainspring predict.
func playPredictor(args []string) int {
	flags := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	var req models.PredictRowsRequest
	check(json.Unmarshal([]byte(readText(flags["--request"])), &req))
	at := Paths{Data: flags["--data-dir"], Out: flags["--out"], Latency: flags["--latency"], Failure: flags["--failure"]}
	if err := PredictFiles(context.Background(), req, modelIn(flags["--model-dir"]), at); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

type modelIn string

func (d modelIn) LoadModel(context.Context, models.ModelArtifact) (Predictor, error) {
	runtime, err := serving.OpenRuntime(serving.RuntimeConfig{})
	if err != nil {
		return nil, err
	}
	return runtime.Load(string(d))
}

// playAnswerer is a program of runtime command that answers with distance / 1000
// of the rows it reads. It takes key=value arguments: order (reverse), drop (rows),
// twice (first key again), value (of the first row), column, classes, latency,
// until (waits for that file), exit, env (file that it writes its environment to).
func playAnswerer(args []string) int {
	arg := map[string]string{}
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		arg[key] = value
	}
	if path := arg["env"]; path != "" {
		check(os.WriteFile(path, []byte(strings.Join(os.Environ(), "\n")), 0o600))
	}
	for arg["until"] != "" && readText(arg["until"]) == "" {
		time.Sleep(10 * time.Millisecond)
	}
	if arg["exit"] != "" {
		fmt.Println("the reason with hush-hush-hush")
		code, _ := strconv.Atoi(arg["exit"])
		return code
	}
	if readText(filepath.Join(os.Getenv("MAINSPRING_MODEL_DIR"), "MLmodel")) == "" {
		fmt.Println("no model")
		return 1
	}
	table, err := readHeldOutFiles(context.Background(), os.Getenv("MAINSPRING_DATA_DIR"), []string{"id", "distance"})
	check(err)
	answer := dataset.Series{Name: "probability", Type: dataset.TypeFloat64}
	for _, distance := range table.Series[1].Ints {
		answer.Floats = append(answer.Floats, float64(distance)/1000)
	}
	if arg["value"] != "" {
		answer.Floats[0], err = strconv.ParseFloat(arg["value"], 64)
		check(err)
	}
	if arg["column"] != "" {
		answer.Name = arg["column"]
	}
	if arg["twice"] != "" {
		table.Series[0].Strings[1] = table.Series[0].Strings[0]
	}
	table.Series[1] = answer
	if arg["classes"] != "" {
		rest := dataset.Series{Name: "p1", Type: dataset.TypeFloat64}
		for _, p := range answer.Floats {
			rest.Floats = append(rest.Floats, 1-p)
		}
		table.Series[1].Name = "p0"
		table.Series = append(table.Series, rest)
	}
	rows := make([]int, table.Rows())
	for i := range rows {
		rows[i] = i
	}
	if arg["order"] == "reverse" {
		slices.Reverse(rows)
	}
	drop, _ := strconv.Atoi(arg["drop"])
	var names []string
	for _, s := range table.Series {
		names = append(names, s.Name)
	}
	var b bytes.Buffer
	check(parquetio.Write(&b, table.Pick(names, rows[drop:]), nil))
	check(os.WriteFile(os.Getenv("MAINSPRING_PREDICTIONS"), b.Bytes(), 0o600))
	if arg["latency"] != "" {
		check(os.WriteFile(os.Getenv("MAINSPRING_LATENCY"), []byte(arg["latency"]), 0o600))
	}
	return 0
}

// heldOutRows are those of the tests, in two files: ten flights f0 to f9 with
// distance 0 to 900 of carriers AA, UA and one that is unknown.
func heldOutRows() dataset.Table {
	table := dataset.Table{Series: []dataset.Series{
		{Name: "id", Type: dataset.TypeString}, {Name: "distance", Type: dataset.TypeInt64}, {Name: "carrier", Type: dataset.TypeString},
		{Name: "delay", Type: dataset.TypeFloat64, Nulls: make([]bool, 10)}, {Name: "late", Type: dataset.TypeInt64},
	}}
	for i := range 10 {
		table.Series[0].Strings = append(table.Series[0].Strings, fmt.Sprintf("f%d", i))
		table.Series[1].Ints = append(table.Series[1].Ints, int64(100*i))
		table.Series[2].Strings = append(table.Series[2].Strings, []string{"AA", "UA", "ZZ"}[i%3])
		table.Series[3].Floats = append(table.Series[3].Floats, float64(i)/3)
		table.Series[4].Ints = append(table.Series[4].Ints, int64(i%2))
	}
	table.Series[3].Nulls[4], table.Series[3].Floats[4] = true, 0
	return table
}

func (b *hostBench) heldOut() models.Ref {
	b.Helper()
	ctx := context.Background()
	table := heldOutRows()
	manifest := models.SnapshotManifest{Format: 1}
	for i, rows := range [][]int{{0, 1, 2, 3}, {4, 5, 6, 7, 8, 9}} {
		ref, err := writeTable(ctx, b.memory, table.Pick([]string{"id", "distance", "carrier", "delay", "late"}, rows), nil)
		if err != nil {
			b.Fatal(err)
		}
		manifest.Files = append(manifest.Files, models.SnapshotFile{Path: fmt.Sprintf("test/%d.parquet", i), Rows: int64(len(rows)), Ref: ref})
	}
	// No host that predicts fetches what was trained on: this file is nowhere.
	manifest.Files = append(manifest.Files, models.SnapshotFile{
		Path: "train/a.parquet", Rows: 1, Ref: models.Ref{SHA256: strings.Repeat("0", 64), Size: 1},
	})
	data, err := json.Marshal(manifest)
	if err != nil {
		b.Fatal(err)
	}
	ref, err := artifact.PutObjectBytes(ctx, b.memory, data)
	if err != nil {
		b.Fatal(err)
	}
	return ref
}

// prediction asks for the answers of a model in a directory.
func (b *hostBench) prediction(dir string, predict models.PredictSpec) models.PredictRowsRequest {
	b.Helper()
	manifest, err := artifact.PutTree(context.Background(), b.memory, dir, "models/m")
	if err != nil {
		b.Fatal(err)
	}
	return models.PredictRowsRequest{
		Who: "candidate", Artifact: models.ModelArtifact{
			Manifest: manifest, Source: "s3://mainspring/models/m",
			Inputs:  []models.ModelPort{{Name: "carrier", Datatype: "BYTES", Shape: []int64{-1, 1}}, {Name: "distance", Datatype: "INT64", Shape: []int64{-1, 1}}},
			Outputs: []models.ModelPort{{Name: "probability", Datatype: "FP32", Shape: []int64{-1, 1}}},
		},
		Predict: predict, Data: models.DataSpec{Key: "id", Time: "at", Label: "late", Features: []string{"distance", "carrier", "delay"}},
		Snapshot: b.heldOut(), Key: "abc123", Node: models.LeaseNode{Node: "n"}, RunID: "run1",
		ArtifactURI: "s3://mainspring/mlflow/1/run1/artifacts",
		Train: models.TrainSpec{
			Params: map[string]any{"rounds": 3}, Env: map[string]string{"GORACE": "atexit_sleep_ms=0", "TOKEN": "env:PREDICT_TOKEN"},
		},
	}
}

// answering asks the tests' own program.
func (b *hostBench) answering(args ...string) models.PredictRowsRequest {
	b.Helper()
	b.Environ = append(b.Environ, "PREDICT_TOKEN=hush-hush-hush")
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join(b.dir, "trained")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "MLmodel"), []byte("{}"), 0o600)); err != nil {
		b.Fatal(err)
	}
	return b.prediction(dir, models.PredictSpec{Runtime: models.RuntimeCommand, Command: append([]string{self, "answer"}, args...)})
}

// answered reads a stored file of predictions.
func (b *hostBench) answered(p models.Predictions, columns ...string) dataset.Table {
	b.Helper()
	table, err := readVerified(context.Background(), b.memory, p.File, append([]string{"id"}, columns...))
	if err != nil {
		b.Fatal(err)
	}
	return table
}

func wantNumbers(t *testing.T, got *dataset.Series, want func(row int) float64) {
	t.Helper()
	for i, v := range got.Floats {
		if diff := v - want(i); diff > 1e-6 || diff < -1e-6 {
			t.Errorf("%s of row %d is %v, want %v", got.Name, i, v, want(i))
		}
	}
}
