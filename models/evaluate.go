package models

import (
	"context"
	"time"
)

// EvaluateInput is the input of the Evaluate workflow.
type EvaluateInput struct {
	Model     string        `json:"model"`
	Spec      EvaluateSpec  `json:"spec"`
	Data      DataSpec      `json:"data"`
	Snapshot  Snapshot      `json:"snapshot"`
	Candidate ModelArtifact `json:"candidate"`
	RunID     string        `json:"run_id"`
	// ArtifactURI is the root of the run's artifacts; empty: the evidence is kept
	// with the predictions only.
	ArtifactURI string         `json:"artifact_uri,omitempty"`
	OutOfFold   *Ref           `json:"out_of_fold,omitempty"`
	Champion    *ChampionModel `json:"champion,omitempty"` // nil: there is none
	// Train has the code and environment that runtimes pyfunc and command run in.
	Train TrainSpec `json:"train,omitzero"`
	// Seed makes resampling repeatable.
	Seed uint64 `json:"seed"`
}

// ChampionModel is the version a candidate is compared with, and how it
// predicts.
type ChampionModel struct {
	Version    string        `json:"version"`
	Artifact   ModelArtifact `json:"artifact"`
	Predict    PredictSpec   `json:"predict,omitzero"`
	Prediction string        `json:"prediction,omitempty"`
	Train      TrainSpec     `json:"train,omitzero"`
	// Task and Classes are of the data that it was trained on; no task: not known.
	Task    Task     `json:"task,omitempty"`
	Classes []string `json:"classes,omitempty"`
	// Profile is what the rows that it was trained on look like.
	Profile Ref `json:"profile,omitzero"`
	// Endpoint is where it is served; empty: nowhere.
	Endpoint string `json:"endpoint,omitempty"`
}

// PredictRowsRequest asks for one model's answers to the held-out rows.
type PredictRowsRequest struct {
	Who        string        `json:"who"` // for people: "candidate", "champion (version 3)"
	Artifact   ModelArtifact `json:"artifact"`
	Predict    PredictSpec   `json:"predict"`
	Prediction string        `json:"prediction"` // output or column
	Data       DataSpec      `json:"data"`
	Snapshot   Ref           `json:"snapshot"` // manifest
	// The rest is for PredictOnHost only. Key names the job in paths: hex, the
	// same for all attempts.
	Key   string    `json:"key,omitempty"`
	Token int64     `json:"token,omitempty"` // the lease's fencing token; 0: no lease
	Node  LeaseNode `json:"node,omitzero"`   // without a lease only its name is set
	Train TrainSpec `json:"train,omitzero"`  // code and environment of the program
	RunID string    `json:"run_id,omitempty"`
	// ArtifactURI is the root of the run's artifacts, where the program's log
	// goes; empty: it stays on the host.
	ArtifactURI string `json:"artifact_uri,omitempty"`
}

// Predictions are one model's answers.
type Predictions struct {
	// File is Parquet with the key column and "prediction" or, for task
	// multiclass, "p0", "p1", …: one row per held-out row, in their order.
	File Ref   `json:"file"`
	Rows int64 `json:"rows"`
	// Classes is the number of probabilities per row; 1 for the other tasks.
	Classes int `json:"classes"`
	// Latency is of single rows; nil: the runtime did not measure it.
	Latency *Latency `json:"latency,omitempty"`
	Seconds float64  `json:"seconds"` // for all rows
	Node    string   `json:"node,omitempty"`
	Devices []string `json:"devices,omitempty"` // UUIDs
}

// Latency is the time that single rows took, one after the other.
type Latency struct {
	Requests  int     `json:"requests"`
	P50Millis float64 `json:"p50_ms"`
	P99Millis float64 `json:"p99_ms"`
}

// MeasureRequest asks for the evidence in two models' answers.
type MeasureRequest struct {
	Input     EvaluateInput `json:"input"`
	Candidate Predictions   `json:"candidate"`
	Champion  *Predictions  `json:"champion,omitempty"`
}

// Evaluation is the evidence on the held-out rows.
type Evaluation struct {
	Rows      int64               `json:"rows"`
	Blocks    int                 `json:"blocks"`
	Candidate map[Metric]Estimate `json:"candidate"`
	// ChampionVersion is what the candidate was compared with, even if nothing
	// came of it; empty: there is no champion.
	ChampionVersion string              `json:"champion_version,omitempty"`
	Champion        map[Metric]Estimate `json:"champion,omitempty"`
	// Gain is the gain in the gate's metric, paired by row and resampled by
	// block; above 0 the candidate is better, whatever the metric's direction.
	Gain *Estimate `json:"gain,omitempty"`
	// Gains are those of all metrics.
	Gains map[Metric]Estimate `json:"gains,omitempty"`
	// Days are the losses by block, oldest first.
	Days []BlockComparison `json:"days"`
	// Slices are in the order of the spec, those with too few rows included.
	Slices []SliceEvidence `json:"slices,omitempty"`
	// Reliability is the candidate's reliability diagram, of probabilities only.
	Reliability []ReliabilityBin `json:"reliability,omitempty"`
	// Serving is what answering costs; nil: not measured.
	Serving *ServingFigures `json:"serving,omitempty"`
	// Checks are the snapshot's data checks.
	Checks []CheckResult `json:"checks,omitempty"`
	// Reference are out-of-sample block losses of the candidate (out-of-fold
	// and held-out), oldest first: what the monitor will hold live blocks
	// against.
	Reference []float64 `json:"reference"`
	// Predictions refers to a Parquet file with key, label and predictions.
	Predictions Ref `json:"predictions"`
	// Files are the plots and tables among the run's artifacts, by name.
	Files []EvidenceFile `json:"files,omitempty"`
}

// Estimate is a figure with its interval at the gate's level on each side.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// BlockComparison is one held-out block.
type BlockComparison struct {
	Start     time.Time `json:"start"`
	Rows      int64     `json:"rows"`
	Candidate float64   `json:"candidate"` // mean loss
	Champion  float64   `json:"champion,omitempty"`
}

// SliceEvidence is one part of the held-out rows.
type SliceEvidence struct {
	Column string `json:"column"`
	Slice  string `json:"slice"` // a value, "(12, 40]", "other" or "null"
	Rows   int64  `json:"rows"`
	Blocks int    `json:"blocks"`
	// Judged is false when there are too few rows; then there are no figures.
	Judged    bool                `json:"judged"`
	Candidate map[Metric]Estimate `json:"candidate,omitempty"`
	Champion  map[Metric]Estimate `json:"champion,omitempty"`
	Gain      *Estimate           `json:"gain,omitempty"` // in the gate's metric
	// Strict has the candidate's figures for slice limits, and Gain's, at the
	// level shared by all slices.
	Strict     map[Metric]Estimate `json:"strict,omitempty"`
	StrictGain *Estimate           `json:"strict_gain,omitempty"`
}

// ReliabilityBin is one bin of a reliability diagram: of rows that were
// predicted about Predicted, the share Observed had the outcome.
type ReliabilityBin struct {
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	Rows      int64   `json:"rows"`
	Predicted float64 `json:"predicted"` // mean
	Observed  float64 `json:"observed"`
}

// ServingFigures are what the candidate costs to serve.
type ServingFigures struct {
	Runtime   Runtime  `json:"runtime"`
	SizeBytes int64    `json:"size_bytes"` // of the model's files
	Latency   *Latency `json:"latency,omitempty"`
}

// EvidenceFile is one file of the evidence, at Name below the run's artifacts.
type EvidenceFile struct {
	Name string `json:"name"` // such as evaluation/reliability.svg
	Ref
}

// GateVerdict is the gate's answer with its reasons.
type GateVerdict struct {
	Verdict Verdict     `json:"verdict"`
	Reason  string      `json:"reason"`
	Checks  []GateCheck `json:"checks"`
}

// GateCheck is one line of the gate's table.
type GateCheck struct {
	Name    string   `json:"name"`
	Slice   string   `json:"slice,omitempty"` // column and value; empty: all rows
	Verdict Verdict  `json:"verdict"`
	Figure  Estimate `json:"figure"`
	Limit   string   `json:"limit"` // in words: "≤ 0.65", "gain > 0"
	// Champion is the champion's figure, where there is one.
	Champion *Estimate `json:"champion,omitempty"`
}

// EvaluationSummary is as much of an evaluation as a version carries along with
// it: all figures of the whole, and the worst of the slices.
type EvaluationSummary struct {
	Task      Task    `json:"task,omitempty"`
	Level     float64 `json:"level,omitempty"` // on each side of an interval
	TrainRows int64   `json:"train_rows,omitempty"`
	Rows      int64   `json:"rows,omitempty"` // held out
	Blocks    int     `json:"blocks,omitempty"`
	// ChampionVersion is what the candidate was compared with; empty: nothing.
	ChampionVersion string              `json:"champion_version,omitempty"`
	Champion        map[Metric]Estimate `json:"champion,omitempty"`
	Gains           map[Metric]Estimate `json:"gains,omitempty"`
	Metric          Metric              `json:"metric,omitempty"` // of the slices' figures
	Slices          []SliceSummary      `json:"slices,omitempty"` // worst first, at most ten
	AllSlices       int                 `json:"all_slices,omitempty"`
	Serving         *ServingFigures     `json:"serving,omitempty"`
}

// SliceSummary is one judged slice in the gate's metric.
type SliceSummary struct {
	Slice     string    `json:"slice"` // column and value
	Rows      int64     `json:"rows"`
	Candidate Estimate  `json:"candidate"`
	Champion  *Estimate `json:"champion,omitempty"`
	Gain      *Estimate `json:"gain,omitempty"`
}

// EvaluateResult is what the Evaluate workflow returns.
type EvaluateResult struct {
	Evaluation Evaluation  `json:"evaluation"`
	Gate       GateVerdict `json:"gate"`
	// Summary is what a version carries along.
	Summary EvaluationSummary `json:"summary,omitzero"`
}

// EvaluateStatus answers StatusQuery on an Evaluate workflow.
type EvaluateStatus struct {
	EvaluateResult
	Waiting string `json:"waiting,omitempty"`
}

// Scoring predicts with the serving runtime and scores the answers.
type Scoring interface {
	// PredictRows answers the held-out rows with the built-in runtime, in the
	// worker. Failures: KindModelRejected when the model can't be loaded or fed.
	PredictRows(context.Context, PredictRowsRequest) (Predictions, error)
	// MeasurePredictions turns answers into evidence, and writes it and its
	// plots into the run's artifacts.
	MeasurePredictions(context.Context, MeasureRequest) (Evaluation, error)
}
