package models

import (
	"context"
	"time"
)

// ScoreBlocksRequest asks for the matured blocks from a moment on.
type ScoreBlocksRequest struct {
	Endpoint   string      `json:"endpoint"`
	Version    string      `json:"version"`
	Data       DataSpec    `json:"data"` // task, classes and features
	Spec       MonitorSpec `json:"spec"`
	Prediction string      `json:"prediction"`
	// Reference is the object that BuildReference wrote: bins, slices and
	// calibration. Without one, inputs and slices are left out.
	Reference *Ref      `json:"reference,omitempty"`
	From      time.Time `json:"from,omitzero"` // start of the first block; zero: the first in the log
	Max       int       `json:"max"`           // most blocks to return
	// Open are blocks that were scored once, oldest first. Those that the log has
	// passed by maturity and corrections are scored once more.
	Open []OpenBlock `json:"open,omitempty"`
}

// OpenBlock is a block whose labels may still change.
type OpenBlock struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// ScoredBlocks are consecutive matured blocks, oldest first. Blocks of time
// that nobody called the endpoint in are present with no rows.
type ScoredBlocks struct {
	Blocks []Block `json:"blocks"` // their first scores
	// Final are last scores, of blocks of Open and of Blocks, oldest first. Without
	// corrections a first score is the last one as well, and is in both lists.
	Final []Block `json:"final,omitempty"`
	// Ahead are blocks that ended and whose labels have not matured: requests and
	// the estimated loss only; the newest 31, or as many as can be read in
	// reasonable time. With More there are none.
	Ahead     []Block   `json:"ahead,omitempty"`
	Watermark time.Time `json:"watermark"` // event time up to which the log is complete
	// More says that further scores are due, all of them later than these: ask
	// again, from the end of Blocks.
	More bool `json:"more"`
}

// BlockScoring reads the inference log and the labels.
type BlockScoring interface {
	// ScoreBlocks returns blocks that are mature: the log's watermark is past
	// their end plus the maturity. The same log gives the same scores whenever it
	// is asked for, and in whatever pieces. It fails with KindInvalidSpec for a
	// file of the log that is damaged or was deleted while it was read, and when
	// no answer of a block has the prediction.
	ScoreBlocks(context.Context, ScoreBlocksRequest) (ScoredBlocks, error)
}
