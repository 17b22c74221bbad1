package models

import (
	"context"
	"time"
)

// LineageEvent tells a lineage service, in OpenLineage's words, that a run
// began or how it ended. The activity fills in schemas and figures from what
// the references point at.
type LineageEvent struct {
	Type LineageEventType `json:"type"`
	At   time.Time        `json:"at"`
	// RunID is a UUID; all events of a run have the same. Workflow is where people
	// see it.
	RunID    string `json:"run_id"`
	Workflow string `json:"workflow"`
	Job      string `json:"job"` // such as flight-delay/prepare
	// Parent is the run that this one is a part of; empty: none.
	ParentRunID string           `json:"parent_run_id,omitempty"`
	ParentJob   string           `json:"parent_job,omitempty"`
	Inputs      []LineageDataset `json:"inputs,omitempty"`
	Outputs     []LineageDataset `json:"outputs,omitempty"`
	Error       string           `json:"error,omitempty"` // of a FAIL
	AsOf        time.Time        `json:"as_of,omitzero"`  // the moment that the run is meant for
}

// LineageEventType is what happened to a run.
type LineageEventType string

// The types of events.
const (
	LineageStart    LineageEventType = "START"
	LineageComplete LineageEventType = "COMPLETE"
	LineageFail     LineageEventType = "FAIL"
	LineageAbort    LineageEventType = "ABORT" // cancelled
)

// LineageDataset is something that was read or written.
type LineageDataset struct {
	URI string `json:"uri"` // of the source, the snapshot's manifest or the model
	// Snapshot has what is told of prepared data; nil: it is none.
	Snapshot *LineageSnapshot `json:"snapshot,omitempty"`
	// Version tells apart what has the same URI.
	Version string `json:"version,omitempty"`
}

// LineageSnapshot is what events tell of a snapshot.
type LineageSnapshot struct {
	Columns []Column `json:"columns"`
	Rows    int64    `json:"rows"`
	// Side is train or test, of which Rows and the profile are told; empty: Rows is
	// of both, and no column's values are told.
	Side    string `json:"side,omitempty"`
	Bytes   int64  `json:"bytes"`
	Files   int    `json:"files"`
	Profile Ref    `json:"profile,omitzero"`
	Report  Ref    `json:"report,omitzero"`
}

// Lineage tells others what was made of what.
type Lineage interface {
	// EmitLineage sends an event to where the worker is configured to send them;
	// nowhere is success.
	EmitLineage(context.Context, LineageEvent) error
}
