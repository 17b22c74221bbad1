package models

import (
	"context"
	"time"
)

// EvaluateInput is the input of the Evaluate workflow.
type EvaluateInput struct {
	Model     string         `json:"model"`
	Spec      EvaluateSpec   `json:"spec"`
	Data      DataSpec       `json:"data"`
	Snapshot  Snapshot       `json:"snapshot"`
	Candidate ModelArtifact  `json:"candidate"`
	RunID     string         `json:"run_id"`
	OutOfFold *Ref           `json:"out_of_fold,omitempty"`
	Champion  *ChampionModel `json:"champion,omitempty"` // nil: there is none
	// Seed makes resampling repeatable.
	Seed uint64 `json:"seed"`
}

// ChampionModel is the version a candidate is compared with.
type ChampionModel struct {
	Version  string        `json:"version"`
	Artifact ModelArtifact `json:"artifact"`
}

// Evaluation is the evidence on the held-out rows.
type Evaluation struct {
	Rows      int64               `json:"rows"`
	Blocks    int                 `json:"blocks"`
	Candidate map[Metric]Estimate `json:"candidate"`
	Champion  map[Metric]Estimate `json:"champion,omitempty"`
	// Gain is champion minus candidate of the gate's metric, paired by row and
	// resampled by block; above 0 the candidate is better.
	Gain *Estimate `json:"gain,omitempty"`
	// Days are the losses by block, oldest first.
	Days []BlockComparison `json:"days"`
	// Reference are out-of-sample block losses of the candidate (out-of-fold
	// and held-out), oldest first: what the monitor will hold live blocks
	// against.
	Reference []float64 `json:"reference"`
	// Predictions refers to a Parquet file with key, label and predictions.
	Predictions Ref `json:"predictions"`
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

// GateVerdict is the gate's answer with its reasons.
type GateVerdict struct {
	Verdict Verdict     `json:"verdict"`
	Reason  string      `json:"reason"`
	Checks  []GateCheck `json:"checks"`
}

// GateCheck is one line of the gate's table.
type GateCheck struct {
	Name    string   `json:"name"`
	Verdict Verdict  `json:"verdict"`
	Figure  Estimate `json:"figure"`
	Limit   string   `json:"limit"` // in words: "≤ 0.65", "gain > 0"
}

// EvaluateResult is what the Evaluate workflow returns.
type EvaluateResult struct {
	Evaluation Evaluation  `json:"evaluation"`
	Gate       GateVerdict `json:"gate"`
}

// Scoring predicts with the serving runtime and scores the answers.
type Scoring interface {
	// ScoreModel predicts the held-out rows with candidate and champion.
	// Failures: KindModelRejected when a model can't be loaded or fed.
	ScoreModel(context.Context, EvaluateInput) (Evaluation, error)
}
