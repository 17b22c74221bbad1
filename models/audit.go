package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Record is one line of a steward's audit trail: what was done to a model, when,
// by whom, and on what evidence. Records form a chain: each has the hash of the
// one before, so that none can be changed, dropped or put in between later.
type Record struct {
	Sequence int64     `json:"sequence"` // 1 for the first
	At       time.Time `json:"at"`       // wall clock
	Action   Action    `json:"action"`
	Version  string    `json:"version,omitempty"`
	By       string    `json:"by"` // who asked: a workflow ID, or a person's identity
	Reason   string    `json:"reason"`
	// Aliases are the model's aliases after an action that moved them; empty, and
	// not nil, when none is left.
	Aliases map[string]string `json:"aliases,omitzero"`
	// Evidence says what the action was decided on.
	Evidence *RecordEvidence `json:"evidence,omitempty"`
	Previous string          `json:"previous"` // hash of the record before; empty: the first
	Hash     string          `json:"hash"`
}

// RecordEvidence names what an action was decided on.
type RecordEvidence struct {
	Verdict    Verdict `json:"verdict,omitempty"`
	RunID      string  `json:"run_id,omitempty"` // MLflow
	Snapshot   string  `json:"snapshot_sha256,omitempty"`
	Model      string  `json:"model_sha256,omitempty"` // of the artifact's manifest
	Code       string  `json:"code_sha256,omitempty"`
	Spec       string  `json:"spec_sha256,omitempty"`
	Signature  string  `json:"signature_sha256,omitempty"` // of the bundle
	Evaluation string  `json:"evaluation_sha256,omitempty"`
}

// Action is what a steward did.
type Action string

// The actions.
const (
	ActionClaimed         Action = "claimed"
	ActionRegistered      Action = "registered"
	ActionApprovalAsked   Action = "approval asked"
	ActionApproved        Action = "approved"
	ActionRejected        Action = "rejected"
	ActionApprovalExpired Action = "approval expired"
	ActionRolloutStarted  Action = "rollout started"
	ActionRolloutOrdered  Action = "rollout ordered" // by a person: paused or resumed
	ActionPromoted        Action = "promoted"
	ActionRolledBack      Action = "rolled back"
	ActionRefused         Action = "refused"
	ActionAliasMoved      Action = "alias moved by another hand"
	ActionAliasesRestored Action = "aliases restored"
	ActionAliasesAdopted  Action = "aliases adopted"
	ActionRetrainStarted  Action = "retraining started"
	ActionRetrainRefused  Action = "retraining not started"
	ActionRetrainEnded    Action = "retraining ended"
)

// Digest is the hex SHA-256 of the record as JSON with an empty Hash. Previous
// is part of it.
func (r Record) Digest() string {
	r.Hash = ""
	r.At = r.At.UTC()
	text, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("digest of record %d: %v", r.Sequence, err)) // no field can fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Follow returns r as the successor of the record with that sequence number and
// hash; 0 and "" for the first.
func (r Record) Follow(sequence int64, hash string) Record {
	r.Sequence, r.Previous = sequence+1, hash
	r.At = r.At.UTC()
	r.Hash = r.Digest()
	return r
}

// VerifyRecords reports the first record that does not follow the one before
// it, or whose content does not match its hash. The first must follow sequence
// and hash.
func VerifyRecords(records []Record, sequence int64, hash string) error {
	for _, r := range records {
		switch {
		case sequence == 0 && r.Sequence > 1:
			return fmt.Errorf("the first record here is number %d: those before it are missing", r.Sequence)
		case r.Sequence != sequence+1:
			return fmt.Errorf("record %d follows record %d: records are missing or were added", r.Sequence, sequence)
		case r.Previous != hash:
			return fmt.Errorf("record %d names %.12s… as the hash of the record before, which is %.12s…: one of the two was changed", r.Sequence, r.Previous, hash)
		case r.Hash != r.Digest():
			return fmt.Errorf("record %d (%s, %s) does not match its hash: it was changed", r.Sequence, r.Action, r.At.UTC().Format(time.RFC3339))
		}
		sequence, hash = r.Sequence, r.Hash
	}
	return nil
}

// AuditSegment is an archived part of a record: JSON lines in the artifact
// store, the first an AuditHeader, the rest one Record each.
type AuditSegment struct {
	First int64  `json:"first"` // sequence numbers
	Last  int64  `json:"last"`
	Head  string `json:"head"` // hash of the last record
	File  Ref    `json:"file"`
}

// AuditHeader is the first line of a segment.
type AuditHeader struct {
	Format int           `json:"format"` // 1
	Model  string        `json:"model"`
	First  int64         `json:"first"`
	Last   int64         `json:"last"`
	Prior  *AuditSegment `json:"prior,omitempty"` // the segment before; nil: the first
}

// ArchiveRecordsRequest archives the oldest records.
type ArchiveRecordsRequest struct {
	Model   string        `json:"model"`
	Records []Record      `json:"records"`
	Prior   *AuditSegment `json:"prior,omitempty"`
}

// Audit archives stewards' records.
type Audit interface {
	// ArchiveRecords is idempotent: the same records make the same object.
	ArchiveRecords(context.Context, ArchiveRecordsRequest) (AuditSegment, error)
}

// AuditPrefix holds the archived records of a model.
func AuditPrefix(model string) string { return fmt.Sprintf("audit/%s/", model) }
