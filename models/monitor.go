package models

import (
	"context"
	"time"
)

// WatchRequest tells a monitor which champion to watch from now on.
type WatchRequest struct {
	RequestID string      `json:"request_id"`
	Model     string      `json:"model"`
	Version   string      `json:"version"`
	Reference []float64   `json:"reference"`
	Data      DataSpec    `json:"data"`
	Spec      MonitorSpec `json:"spec"`
	// Prediction is the model output that holds the probability.
	Prediction string `json:"prediction"`
	// Since is the first moment of event time to judge; zero: the first day
	// seen in the log. Days before the champion answered have too few of its
	// predictions and are inconclusive.
	Since time.Time `json:"since,omitzero"`
}

// RetrainSettled tells a monitor how the retraining it asked for ended. A
// promotion arrives as a WatchRequest as well.
type RetrainSettled struct {
	RequestID string `json:"request_id"`
	Started   bool   `json:"started"` // false: cooldown, one in flight, or a person is asked
	Promoted  bool   `json:"promoted"`
	Reason    string `json:"reason"`
}

// ScoreBlocksRequest asks for the matured blocks from a day on.
type ScoreBlocksRequest struct {
	Endpoint   string      `json:"endpoint"`
	Version    string      `json:"version"`
	Spec       MonitorSpec `json:"spec"`
	Prediction string      `json:"prediction"`
	From       time.Time   `json:"from,omitzero"` // start of the first block; zero: the first in the log
	Max        int         `json:"max"`           // most blocks to return
}

// ScoredBlocks are consecutive matured blocks, oldest first. Blocks nobody
// called the endpoint in are present with no rows.
type ScoredBlocks struct {
	Blocks    []Block   `json:"blocks"`
	Watermark time.Time `json:"watermark"` // event time up to which the log is complete
}

// Block is one judged span of event time.
type Block struct {
	Start    time.Time `json:"start"`
	Requests int64     `json:"requests"` // the champion's answered requests
	Labelled int64     `json:"labelled"` // those whose outcome is known
	Loss     float64   `json:"loss"`     // mean log-loss of the labelled
	// Rate is the observed share of label 1, Predicted the mean probability.
	Rate      float64 `json:"rate"`
	Predicted float64 `json:"predicted"`
	// Set by the monitor:
	Version    string  `json:"version"`
	Conclusive bool    `json:"conclusive"` // enough labels
	P          float64 `json:"p"`          // conformal p-value of the block
	Martingale float64 `json:"martingale"` // after the block
}

// Alarm is a detector's cry and what came of it.
type Alarm struct {
	RequestID  string    `json:"request_id"` // of the retraining it asks for
	Block      time.Time `json:"block"`
	Version    string    `json:"version"` // the champion that decayed
	Martingale float64   `json:"martingale"`
	Threshold  float64   `json:"threshold"`
	Loss       float64   `json:"loss"`      // mean of the last 7 conclusive blocks
	Reference  float64   `json:"reference"` // mean of the reference blocks
	Action     string    `json:"action"`    // in words; changes as the retraining goes on
	Settled    bool      `json:"settled"`
	Promoted   bool      `json:"promoted"`
}

// DetectorState is the conformal martingale's state; see internal/drift.
type DetectorState struct {
	Threshold float64   `json:"threshold"`
	Reference []float64 `json:"reference"` // calibration losses plus those seen since
	Capitals  []float64 `json:"capitals"`
	Injected  float64   `json:"injected"` // capital handed out so far
	Windows   int64     `json:"windows"`
	Seed      uint64    `json:"seed"`
	Observed  int64     `json:"observed"`
	Value     float64   `json:"value"` // the martingale
}

// MonitorState is everything a monitor knows; it survives continue-as-new.
type MonitorState struct {
	Endpoint string        `json:"endpoint"`
	Watch    *WatchRequest `json:"watch,omitempty"`
	Next     time.Time     `json:"next,omitzero"` // start of the next block to judge
	Detector DetectorState `json:"detector"`
	Blocks   []Block       `json:"blocks"` // newest last; the last 400
	Alarms   []Alarm       `json:"alarms"` // newest last; the last 50
	// Pending is the retraining that the detector waits for.
	Pending   string    `json:"pending,omitempty"`
	Watermark time.Time `json:"watermark,omitzero"`
	Seen      []string  `json:"seen,omitempty"` // IDs of requests already handled; the last 50
}

// MonitorStatus answers StatusQuery on a Monitor.
type MonitorStatus struct {
	MonitorState
	Waiting string `json:"waiting"`
}

// BlockScoring reads the inference log and the labels.
type BlockScoring interface {
	// ScoreBlocks returns blocks that are mature: the log's watermark is past
	// their end plus the maturity.
	ScoreBlocks(context.Context, ScoreBlocksRequest) (ScoredBlocks, error)
}
