package activities_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// measureRequest predicts with the models of that name and asks to measure.
func measureRequest(t *testing.T, s *activities.Scoring, input models.EvaluateInput) models.MeasureRequest {
	t.Helper()
	predictions, err := s.PredictRows(t.Context(), models.PredictRowsRequest{
		Who: "candidate", Artifact: input.Candidate, Prediction: input.Spec.Prediction, Data: input.Data, Snapshot: input.Snapshot.Manifest,
	})
	if err != nil {
		t.Fatal(err)
	}
	return models.MeasureRequest{Input: input, Candidate: predictions}
}

func TestMeasureSlicesAndWritesEvidence(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	input.RunID, input.ArtifactURI = "run1", "s3://elsewhere/mlflow/1/run1/artifacts"
	input.Spec.Slices = []models.SliceSpec{{Column: "carrier", MinRows: 50}, {Column: "weight", Quantiles: 2, MinRows: 10}}
	s := &activities.Scoring{Store: store, Models: loaded{"good": {probability: map[string]float32{"UA": 0.875, "B6": 0.625}}}}
	got, err := s.MeasurePredictions(t.Context(), measureRequest(t, s, input))
	if err != nil {
		t.Fatal(err)
	}
	type slice struct {
		column, name string
		rows         int64
		judged       bool
	}
	var slices []slice
	for _, s := range got.Slices {
		slices = append(slices, slice{s.Column, s.Slice, s.Rows, s.Judged})
	}
	// Weights are days of the year: 46 to 58.
	want := []slice{{"carrier", "B6", 53, true}, {"carrier", "UA", 48, false}, {"weight", "[46, 52]", 56, true}, {"weight", "(52, 58]", 45, true}}
	if !reflect.DeepEqual(slices, want) {
		t.Errorf("slices %+v, want %+v", slices, want)
	}
	near(t, "B6's log-loss", got.Slices[0].Candidate[models.LogLoss].Value, -(27*math.Log(0.375)+26*math.Log(0.625))/53)
	if got.Champion != nil || got.Gain != nil || got.Gains != nil {
		t.Errorf("there is no champion: %+v", got.Gain)
	}
	if !reflect.DeepEqual(got.Checks, input.Snapshot.Checks) || len(got.Checks) == 0 {
		t.Errorf("checks %+v", got.Checks)
	}
	rows := int64(0)
	for _, bin := range got.Reliability {
		rows += bin.Rows
	}
	if rows != 101 {
		t.Errorf("the reliability diagram has %d rows", rows)
	}
	checkFiles(t, store, input, got)
}

// checkFiles wants the evidence at the run's artifacts, in their own bucket.
func checkFiles(t *testing.T, store artifact.Store, input models.EvaluateInput, got models.Evaluation) {
	t.Helper()
	if len(got.Files) == 0 {
		t.Fatal("no evidence was written")
	}
	names := map[string]bool{}
	for _, file := range got.Files {
		names[file.Name] = true
		if file.URI != input.ArtifactURI+"/"+file.Name {
			t.Errorf("%s lies at %s", file.Name, file.URI)
		}
		if _, err := artifact.ReadRef(t.Context(), store, file.Ref, 1<<20); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"evaluation/gate.md", "evaluation/evaluation.json", "evaluation/reliability.svg"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestEvidenceNeedsS3AndTheSameRows(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	s := &activities.Scoring{Store: store, Models: loaded{"good": even(0.5)}}
	request := measureRequest(t, s, input)

	elsewhere := request
	elsewhere.Input.ArtifactURI = "file:///tmp/mlruns/1"
	_, err := s.MeasurePredictions(t.Context(), elsewhere)
	wantFailure(t, err, models.KindInvalidSpec, "do not lie in S3", "--default-artifact-root")

	type row struct {
		ID         string  `parquet:"id"`
		Prediction float64 `parquet:"prediction"`
	}
	rows := make([]row, 101)
	for i := range rows {
		at := time.Date(2013, 2, 15, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 3 * time.Hour)
		rows[i] = row{at.Format(time.RFC3339), 0.5}
	}
	swapped, short, wrong := append([]row{}, rows...), rows[:100], append([]row{}, rows...)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	wrong[7].Prediction = math.NaN()
	for name, c := range map[string]struct {
		rows []row
		text string // empty: it is measured
	}{
		"the same": {rows, ""},
		"swapped":  {swapped, "row 3 has the key"},
		"short":    {short, "100 rows instead of 101"},
		"NaN":      {wrong, "row 7 has no number"},
	} {
		ref, err := artifact.PutObjectBytes(t.Context(), store, encode(t, c.rows))
		if err != nil {
			t.Fatal(err)
		}
		changed := request
		changed.Candidate.File = ref
		_, err = s.MeasurePredictions(t.Context(), changed)
		switch {
		case c.text == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.text != "" && err == nil:
			t.Errorf("%s: no error", name)
		case c.text != "":
			wantFailure(t, err, models.KindInvalidSpec, "no predictions for the snapshot's held-out rows", c.text, "candidate")
		}
	}
	damaged := request
	damaged.Candidate.File.SHA256 = strings.Repeat("0", 64)
	_, err = s.MeasurePredictions(t.Context(), damaged)
	wantFailure(t, err, models.KindInvalidSpec, "digest")

	foreign := request
	foreign.Input.Spec.Slices = []models.SliceSpec{{Column: "unused"}}
	_, err = s.MeasurePredictions(t.Context(), foreign)
	wantFailure(t, err, models.KindInvalidSpec, "evaluate.slices", `no column "unused"; the snapshot has id, at, late, weight, carrier`)
}

// threeClasses always answers 0.5, 0.25, 0.25.
func threeClasses(rows int) serving.Tensor {
	data := make([]float32, 0, 3*rows)
	for range rows {
		data = append(data, 0.5, 0.25, 0.25)
	}
	return serving.Tensor{Datatype: "FP32", Shape: []int64{int64(rows), 3}, Data: data}
}

func TestMulticlassAndRegressionAreMeasured(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	input.Data.Task = models.TaskMulticlass
	hundreds := func(rows int) serving.Tensor {
		data := make([]float64, rows)
		for i := range data {
			data[i] = 3
		}
		return serving.Tensor{Datatype: "FP64", Shape: []int64{int64(rows)}, Data: data}
	}
	s := &activities.Scoring{Store: store, Models: loaded{"good": {answer: threeClasses}, "number": {answer: hundreds}}}
	request := measureRequest(t, s, input)
	if request.Candidate.Classes != 3 {
		t.Fatalf("got %+v", request.Candidate)
	}
	request.Champion = &request.Candidate
	request.Input.Champion = &models.ChampionModel{Version: "2"}
	got, err := s.MeasurePredictions(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	// 51 zeros with probability 0.5 and 50 ones with 0.25.
	near(t, "log-loss", got.Candidate[models.LogLoss].Value, (51*math.Ln2+50*2*math.Ln2)/101)
	if got.Gain == nil || got.Gain.Value != 0 {
		t.Errorf("gain against itself %+v", got.Gain)
	}

	// Integer labels are found among named classes as people write them.
	request.Input.Data.Classes = []string{"1", "0", "2"}
	if got, err = s.MeasurePredictions(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	near(t, "log-loss of other classes", got.Candidate[models.LogLoss].Value, (50*math.Ln2+51*2*math.Ln2)/101)
	request.Input.Data.Classes = []string{"0", "2", "3"}
	_, err = s.MeasurePredictions(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, `the label "1" of row 1 is not one of data.classes`)

	request.Input.Data.Classes, request.Input.Data.Label = nil, "weight" // days of the year
	_, err = s.MeasurePredictions(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, `the label "46" of row 0 is not an integer from 0 to 2`)
	request.Input.Data.Label = input.Data.Label

	fewer := *request.Champion
	fewer.Classes = 2
	request.Input.Data.Classes, request.Champion = nil, &fewer
	_, err = s.MeasurePredictions(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, "champion (version 2)", "add up to 0.75")

	input.Data.Task, input.Spec.Prediction, input.Candidate.Source = models.TaskRegression, "probability", "s3://mainspring/number"
	got, err = s.MeasurePredictions(t.Context(), measureRequest(t, s, input))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "rmse", got.Candidate[models.RMSE].Value, math.Sqrt((51.*9+50.*4)/101))
	near(t, "a day's squared error", got.Days[0].Candidate, (9+4)/2.)
}

func TestWorkerPredictsWithItsOwnRuntimeOnly(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	_, err := (&activities.Scoring{Store: store}).PredictRows(t.Context(), models.PredictRowsRequest{
		Who: "candidate", Artifact: input.Candidate, Predict: models.PredictSpec{Runtime: models.RuntimePyfunc},
		Data: input.Data, Snapshot: input.Snapshot.Manifest,
	})
	wantFailure(t, err, models.KindInvalidSpec, "evaluate.predict.runtime", "pyfunc runs on a host")
}

func TestTheChampionMustAnswerTheSameQuestion(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	s := &activities.Scoring{Store: store, Models: loaded{"good": even(0.5)}}
	request := measureRequest(t, s, input)
	request.Champion = &request.Candidate
	request.Input.Champion = &models.ChampionModel{Version: "3", Task: models.TaskRegression}
	_, err := s.MeasurePredictions(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, "champion (version 3)", "task regression", "can't be compared")

	request.Input.Champion.Task = models.TaskBinary
	got, err := s.MeasurePredictions(t.Context(), request)
	if err != nil || got.ChampionVersion != "3" {
		t.Errorf("compared with %q, %v", got.ChampionVersion, err)
	}

	request.Champion = nil
	_, err = s.MeasurePredictions(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, "champion (version 3)", "its answers are missing")
}

// A worker that runs out of memory would do so at every attempt.
func TestWhatWouldNotFitIntoMemoryIsRefused(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	input.Spec.Champion = models.ChampionGate{Block: models.Duration(time.Second), Resamples: 1_000_000}
	input.Spec.Slices = []models.SliceSpec{{Column: "weight", MinRows: 1}}
	s := &activities.Scoring{Store: store, Models: loaded{"good": even(0.5)}}
	request := measureRequest(t, s, input)
	request.Champion, request.Input.Champion = &request.Candidate, &models.ChampionModel{Version: "3"}
	_, err := s.MeasurePredictions(t.Context(), request)
	wantFailure(t, err, models.KindInvalidSpec, "101 blocks of 1s, 1000000 resamples and 13 slices", "GiB", "longer evaluate.champion.block")
}

func TestChampionThatNeedsADroppedColumn(t *testing.T) {
	store := shipments(t)
	input := scoringInput(t, store)
	champion := carrierArtifact("good")
	champion.Inputs[0].Name = "airport"
	s := &activities.Scoring{Store: store, Models: loaded{"good": even(0.5)}}
	_, err := s.PredictRows(t.Context(), models.PredictRowsRequest{
		Who: "champion (version 3)", Artifact: champion, Data: input.Data, Snapshot: input.Snapshot.Manifest,
	})
	wantFailure(t, err, models.KindModelRejected, "champion (version 3)", `input "airport" is no feature`, "keep the column in data.features")
}
