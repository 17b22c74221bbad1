package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// carrierModel predicts by carrier: as the label is 1 in every second row of
// either, a constant is as good as one can be.
type carrierModel struct {
	probability map[string]float32
	answer      func(rows int) serving.Tensor // nil: by carrier
	closed      bool
}

func (m *carrierModel) Predict(_ context.Context, inputs map[string]serving.Tensor) (map[string]serving.Tensor, error) {
	carriers, ok := inputs["carrier"].Data.([]string)
	if !ok || len(inputs) != 1 {
		return nil, fmt.Errorf("fed with %v", inputs)
	}
	if m.answer != nil {
		return map[string]serving.Tensor{"probability": m.answer(len(carriers))}, nil
	}
	out := make([]float32, len(carriers))
	for i, c := range carriers {
		out[i] = m.probability[c]
	}
	return map[string]serving.Tensor{"probability": {Datatype: "FP32", Shape: []int64{int64(len(out)), 1}, Data: out}}, nil
}

func (m *carrierModel) Close() error {
	m.closed = true
	return nil
}

// loaded are the models of the tests by the last part of their source.
type loaded map[string]*carrierModel

func (l loaded) LoadModel(_ context.Context, a models.ModelArtifact) (activities.Predictor, error) {
	m, ok := l[path.Base(a.Source)]
	if !ok {
		return nil, &models.Error{Kind: models.KindModelRejected, Message: "not a model"}
	}
	return m, nil
}

func carrierArtifact(name string) models.ModelArtifact {
	return models.ModelArtifact{
		Source:  "s3://mainspring/" + name,
		Inputs:  []models.ModelPort{{Name: "carrier", Datatype: "BYTES", Shape: []int64{-1, 1}}},
		Outputs: []models.ModelPort{{Name: "probability", Datatype: "FP32", Shape: []int64{-1, 1}}},
	}
}

// even puts every row at p.
func even(p float32) *carrierModel {
	return &carrierModel{probability: map[string]float32{"UA": p, "B6": p}}
}

func scoringInput(t *testing.T, store artifact.Store) models.EvaluateInput {
	t.Helper()
	snapshot, err := prepare(t.Context(), &activities.Prepare{Store: store}, shipmentSpec())
	if err != nil {
		t.Fatal(err)
	}
	candidate := carrierArtifact("good")
	candidate.Manifest = storedModel(t, store)
	return models.EvaluateInput{Model: "delay", Data: shipmentSpec(), Snapshot: snapshot, Candidate: candidate, Seed: 7}
}

// storedModel is a model of 7 bytes.
func storedModel(t *testing.T, store artifact.Store) models.Ref {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"MLmodel": "{}", "model.onnx": "bytes"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	manifest, err := artifact.PutTree(t.Context(), store, dir, "models/good")
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

// score does what the workflow does: both models answer in the worker, and the
// answers are measured.
func score(ctx context.Context, s *activities.Scoring, input models.EvaluateInput) (models.Evaluation, error) {
	request := models.MeasureRequest{Input: input}
	var err error
	request.Candidate, err = s.PredictRows(ctx, models.PredictRowsRequest{
		Who: "candidate", Artifact: input.Candidate, Predict: input.Spec.Predict, Prediction: input.Spec.Prediction,
		Data: input.Data, Snapshot: input.Snapshot.Manifest,
	})
	if err != nil {
		return models.Evaluation{}, err
	}
	if champion := input.Champion; champion != nil {
		name := champion.Prediction
		if name == "" {
			name = input.Spec.Prediction
		}
		predictions, err := s.PredictRows(ctx, models.PredictRowsRequest{
			Who: "champion (version " + champion.Version + ")", Artifact: champion.Artifact, Predict: champion.Predict, Prediction: name,
			Data: input.Data, Snapshot: input.Snapshot.Manifest,
		})
		if err != nil {
			return models.Evaluation{}, err
		}
		request.Champion = &predictions
	}
	return s.MeasurePredictions(ctx, request)
}

func TestPredictAndMeasure(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	good, bad := even(0.5), &carrierModel{probability: map[string]float32{"UA": 0.875, "B6": 0.625}}
	s := &activities.Scoring{Store: store, Models: loaded{"good": good, "bad": bad}}
	input.Champion = &models.ChampionModel{Version: "3", Artifact: carrierArtifact("bad")}
	got, err := score(t.Context(), s, input)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != 101 || got.Blocks != 13 || len(got.Days) != 13 {
		t.Errorf("%d rows, %d blocks, %d days", got.Rows, got.Blocks, len(got.Days))
	}
	// UA has 24 rows of each label; B6 has 27 zeros and 26 ones, since the last
	// day ends after five rows.
	badLoss := -(24*math.Log(0.125) + 24*math.Log(0.875) + 27*math.Log(0.375) + 26*math.Log(0.625)) / 101
	near(t, "candidate's log-loss", got.Candidate[models.LogLoss].Value, math.Ln2)
	near(t, "candidate's Brier score", got.Candidate[models.Brier].Value, 0.25)
	near(t, "candidate's AUC", got.Candidate[models.AUC].Value, 0.5)
	near(t, "champion's log-loss", got.Champion[models.LogLoss].Value, badLoss)
	near(t, "gain", got.Gain.Value, badLoss-math.Ln2)
	if !(got.Gain.Low > 0 && got.Gain.Low <= got.Gain.Value && got.Gain.Value <= got.Gain.High) {
		t.Errorf("gain %+v", got.Gain)
	}
	near(t, "a day's loss", got.Days[0].Candidate, math.Ln2)
	if got.Days[0].Rows != 8 || !got.Days[0].Start.Equal(march(1).AddDate(0, 0, -14)) {
		t.Errorf("first day %+v", got.Days[0])
	}
	if len(got.Reference) != 0 {
		t.Errorf("days of eight rows became a reference: %v", got.Reference)
	}
	if !good.closed || !bad.closed {
		t.Error("a model was left open")
	}
	again, err := score(t.Context(), s, input)
	if err != nil {
		t.Fatal(err)
	}
	if serving := got.Serving; serving == nil || serving.SizeBytes != 7 || serving.Runtime != models.RuntimeONNX ||
		serving.Latency.Requests != 200 || serving.Latency.P99Millis < serving.Latency.P50Millis || serving.Latency.P50Millis <= 0 {
		t.Errorf("serving costs %+v", serving)
	}
	got.Serving, again.Serving = nil, nil // a latency is never the same twice
	first, _ := json.Marshal(got)
	if second, _ := json.Marshal(again); !bytes.Equal(first, second) {
		t.Error("the same input gives another evaluation")
	}
	checkPredictions(t, store, got.Predictions)
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func checkPredictions(t *testing.T, store artifact.Store, ref models.Ref) {
	t.Helper()
	data, err := artifact.ReadRef(t.Context(), store, ref, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	type prediction struct {
		Key       string  `parquet:"key"`
		Label     float64 `parquet:"label"`
		Candidate float64 `parquet:"candidate"`
		Champion  float64 `parquet:"champion"`
	}
	rows, err := parquet.Read[prediction](bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if want := (prediction{"2013-02-15T03:00:00Z", 1, 0.5, 0.625}); len(rows) != 101 || rows[1] != want {
		t.Errorf("%d predictions, the second is %+v", len(rows), rows[1])
	}
}

type fold struct {
	ID         string  `parquet:"id"`
	Prediction float64 `parquet:"prediction"`
}

func TestReferenceJoinsOutOfFoldAndHeldOutDays(t *testing.T) {
	store := artifact.NewMemory("mainspring")
	var rows []shipment
	var folds []fold
	for _, r := range append(month(2013, time.January), month(2013, time.February)...) {
		for range 5 { // 40 rows a day
			r.ID += "+"
			rows = append(rows, r)
			if at := time.UnixMicro(r.At).UTC(); at.Month() == time.January {
				folds = append(folds, fold{r.ID, 0.75})
			}
		}
	}
	folds = append(folds, fold{"no training row", 0.5})
	putObject(t, store, "s3://source/shipments/a.parquet", encode(t, rows))
	input := scoringInput(t, store)
	ref, err := artifact.PutObjectBytes(t.Context(), store, encode(t, folds))
	if err != nil {
		t.Fatal(err)
	}
	input.OutOfFold = &ref
	s := &activities.Scoring{Store: store, Models: loaded{"good": even(0.5)}}
	got, err := score(t.Context(), s, input)
	if err != nil {
		t.Fatal(err)
	}
	// 31 days of January out of fold; 12 whole held-out days. February 27 has
	// 5 × 5 known rows: too few.
	if len(got.Reference) != 31+12 {
		t.Fatalf("%d days: %v", len(got.Reference), got.Reference)
	}
	near(t, "a January day", got.Reference[0], -(math.Log(0.25)+math.Log(0.75))/2)
	near(t, "a held-out day", got.Reference[42], math.Ln2)

	for name, c := range map[string]struct {
		data []byte
		text string
	}{
		"other keys":   {encode(t, []fold{{"x", 0.5}}), "none of the 1 keys is a training row's"},
		"no numbers":   {encode(t, []fold{{rows[0].ID, math.NaN()}}), "is NaN, no probability"},
		"other column": {encode(t, []struct{ ID string }{{"x"}}), `must be Parquet with the columns "id" and "prediction"`},
		"no Parquet":   {[]byte("id,prediction"), `must be Parquet`},
	} {
		if ref, err = artifact.PutObjectBytes(t.Context(), store, c.data); err != nil {
			t.Fatal(err)
		}
		_, err := score(t.Context(), s, input)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantFailure(t, err, models.KindModelRejected, c.text)
	}
}

func TestModelsThatDoNotFit(t *testing.T) {
	store := shipments(t)
	base := scoringInput(t, store)
	halves := func(rows int) serving.Tensor {
		return serving.Tensor{Datatype: "FP32", Shape: []int64{int64(rows), 2}, Data: make([]float32, 2*rows)}
	}
	tooLarge := func(rows int) serving.Tensor {
		data := make([]float64, rows)
		data[rows-1] = 1.5
		return serving.Tensor{Datatype: "FP64", Shape: []int64{int64(rows)}, Data: data}
	}
	words := func(rows int) serving.Tensor {
		return serving.Tensor{Datatype: "BYTES", Shape: []int64{int64(rows)}, Data: make([]string, rows)}
	}
	s := &activities.Scoring{Store: store, Models: loaded{
		"good": even(0.5), "halves": {answer: halves}, "large": {answer: tooLarge}, "words": {answer: words},
	}}
	for name, c := range map[string]struct {
		change func(*models.EvaluateInput)
		texts  []string
	}{
		"foreign input": {
			func(in *models.EvaluateInput) { in.Candidate.Inputs[0].Name = "carier" },
			[]string{"candidate s3://mainspring/good", `input "carier" is no feature (nearest: "carrier"); the features are weight, carrier`},
		},
		"wrong type": {
			func(in *models.EvaluateInput) { in.Candidate.Inputs[0].Datatype = "FP32" },
			[]string{"the data can't be fed", `"carrier"`, "FP32"},
		},
		"no such output": {
			func(in *models.EvaluateInput) { in.Spec.Prediction = "score" },
			[]string{`no output "score"; the outputs are probability`, "evaluate.prediction"},
		},
		"two columns": {
			func(in *models.EvaluateInput) { in.Candidate.Source = "s3://mainspring/halves" },
			[]string{"has the shape [101 2] for 101 rows"},
		},
		"no probability": {
			func(in *models.EvaluateInput) { in.Candidate.Source = "s3://mainspring/large" },
			[]string{"is 1.5 for a held-out row"},
		},
		"no number": {
			func(in *models.EvaluateInput) { in.Candidate.Source = "s3://mainspring/words" },
			[]string{"holds BYTES, no numbers"},
		},
		"broken champion": {
			func(in *models.EvaluateInput) {
				in.Champion = &models.ChampionModel{Version: "9", Artifact: carrierArtifact("gone")}
			},
			[]string{"not a model"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			input := base
			input.Candidate.Inputs, input.Candidate.Outputs = carrierArtifact("good").Inputs, carrierArtifact("good").Outputs
			c.change(&input)
			_, err := score(t.Context(), s, input)
			wantFailure(t, err, models.KindModelRejected, c.texts...)
		})
	}
}

// The real runtime with a small model of the example's ports, on the
// example's held-out rows.
func TestScoreFlightsWithTheRuntime(t *testing.T) {
	if os.Getenv(serving.LibraryVariable) == "" {
		t.Skipf("SKIPPED: %s is not set, so the serving runtime is not tested", serving.LibraryVariable)
	}
	store := artifact.NewMemory("mainspring")
	dir, err := filepath.Abs(filepath.Join("..", "examples", "flights", "data"))
	if err != nil {
		t.Fatal(err)
	}
	spec := flightsSpec(dir)
	snapshot, err := prepare(t.Context(), &activities.Prepare{Store: store}, spec)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := artifact.PutTree(t.Context(), store, filepath.Join("..", "internal", "serving", "testdata", "flights"), "models/x")
	if err != nil {
		t.Fatal(err)
	}
	unpack := t.TempDir()
	open := sync.OnceValues(func() (*serving.Runtime, error) { return serving.OpenRuntime(serving.RuntimeConfig{}) })
	loader := &activities.ServingModels{Store: store, Runtime: open, Dir: unpack}
	runtime, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
	})
	ports, err := runtime.Load(filepath.Join("..", "internal", "serving", "testdata", "flights"))
	if err != nil {
		t.Fatal(err)
	}
	model := models.ModelArtifact{Manifest: manifest, Source: "s3://mainspring/models/x", Inputs: ports.Inputs, Outputs: ports.Outputs}
	if err := ports.Close(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	got, err := score(t.Context(), &activities.Scoring{Store: store, Models: loader}, models.EvaluateInput{
		Data: spec, Snapshot: snapshot, Candidate: model, Champion: &models.ChampionModel{Version: "1", Artifact: model}, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("two models on %d rows took %v: %+v", got.Rows, time.Since(started), got.Candidate)
	if got.Rows != 12_435 || got.Blocks != 14 || len(got.Reference) != 14 || got.Gain.Value != 0 {
		t.Errorf("%d rows, %d blocks, %d reference days, gain %+v", got.Rows, got.Blocks, len(got.Reference), got.Gain)
	}
	if left, err := os.ReadDir(unpack); err != nil || len(left) != 0 {
		t.Errorf("models were left behind: %v, %v", left, err)
	}
	if size, err := json.Marshal(got); err != nil || len(size) > 16<<10 {
		t.Errorf("the evaluation's payload has %d bytes, %v", len(size), err)
	}
}

func TestScoringNeedsItsSnapshot(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	input.Snapshot.Manifest.SHA256 = "00"
	_, err := score(t.Context(), &activities.Scoring{Store: store, Models: loaded{"good": even(0.5)}}, input)
	wantFailure(t, err, models.KindInvalidSpec, "content differs from its digest")
	if !errors.Is(err, artifact.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}
