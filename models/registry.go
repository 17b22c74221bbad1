package models

import (
	"context"
	"time"
)

// RegisterRequest asks a steward to register a candidate. RequestID is the
// dedupe key; ReplyTo gets SignalRegistered.
type RegisterRequest struct {
	RequestID string        `json:"request_id"`
	ReplyTo   string        `json:"reply_to"`
	Spec      LifecycleSpec `json:"spec"`
	Candidate Candidate     `json:"candidate"`
}

// Candidate is a trained and evaluated model.
type Candidate struct {
	Lifecycle  string              `json:"lifecycle"` // workflow ID
	RunID      string              `json:"run_id"`
	Snapshot   string              `json:"snapshot_sha256"`
	Artifact   ModelArtifact       `json:"artifact"`
	Metrics    map[Metric]Estimate `json:"metrics"`
	Gate       GateVerdict         `json:"gate"`
	Reference  []float64           `json:"reference"`
	Devices    []string            `json:"devices"`
	CodeSHA256 string              `json:"code_sha256"`
	SpecSHA256 string              `json:"spec_sha256"`
}

// RegisterReply answers a RegisterRequest.
type RegisterReply struct {
	RequestID string `json:"request_id"`
	Version   string `json:"version"`
	URL       string `json:"url"` // the version's page
	Error     string `json:"error,omitempty"`
}

// RollOutRequest asks a steward to release a registered version. ReplyTo gets
// SignalRolledOut.
type RollOutRequest struct {
	RequestID string `json:"request_id"`
	ReplyTo   string `json:"reply_to"`
	Version   string `json:"version"`
}

// RollOutReply answers a RollOutRequest.
type RollOutReply struct {
	RequestID string  `json:"request_id"`
	Version   string  `json:"version"`
	Verdict   Verdict `json:"verdict"`
	Promoted  bool    `json:"promoted"`
	Reason    string  `json:"reason"`
}

// Withdrawal takes a lifecycle's requests back: a waiting one is dropped, a
// running rollout is rolled back.
type Withdrawal struct {
	LifecycleID string `json:"lifecycle_id"`
	Reason      string `json:"reason"`
}

// RetrainRequest asks a steward for a new lifecycle.
type RetrainRequest struct {
	RequestID string    `json:"request_id"`
	Trigger   Trigger   `json:"trigger"`
	AsOf      time.Time `json:"as_of"`              // event time
	Endpoint  string    `json:"endpoint,omitempty"` // its monitor is told how it ended
}

// StewardState is everything a steward knows; it survives continue-as-new.
// Versions hold what a rollback or a retraining needs.
type StewardState struct {
	Model       string         `json:"model"`
	Champion    string         `json:"champion,omitempty"` // version
	Challenger  string         `json:"challenger,omitempty"`
	Previous    string         `json:"previous,omitempty"`
	Versions    []ModelVersion `json:"versions"`    // newest last
	Retrainings []Retraining   `json:"retrainings"` // newest last
	Records     []Record       `json:"records"`     // newest last
	// RolledOut answers a repeated request without doing it again.
	RolledOut []RollOutReply `json:"rolled_out,omitempty"`
}

// ModelVersion is a registered candidate as the steward keeps it.
type ModelVersion struct {
	Version      string        `json:"version"`
	URL          string        `json:"url"`
	RegisteredAt time.Time     `json:"registered_at"`
	Candidate    Candidate     `json:"candidate"`
	Spec         LifecycleSpec `json:"spec"`
}

// Record is one line of a steward's audit trail. Hash is SHA-256 over the
// previous hash and the record without its hash.
type Record struct {
	Sequence int64     `json:"sequence"`
	At       time.Time `json:"at"` // wall clock
	Action   Action    `json:"action"`
	Version  string    `json:"version,omitempty"`
	By       string    `json:"by"` // the workflow that asked
	Reason   string    `json:"reason"`
	Previous string    `json:"previous"`
	Hash     string    `json:"hash"`
}

// Action is what a steward did.
type Action string

// The actions.
const (
	ActionRegistered     Action = "registered"
	ActionRolloutStarted Action = "rollout started"
	ActionPromoted       Action = "promoted"
	ActionRolledBack     Action = "rolled back"
	ActionRefused        Action = "refused"
	ActionRetrainStarted Action = "retraining started"
	ActionRetrainRefused Action = "retraining not started"
	ActionRetrainEnded   Action = "retraining ended"
)

// Retraining is one retraining and how it ended.
type Retraining struct {
	RequestID   string    `json:"request_id"`
	LifecycleID string    `json:"lifecycle_id"`
	Trigger     Trigger   `json:"trigger"`
	AsOf        time.Time `json:"as_of"`
	Endpoint    string    `json:"endpoint,omitempty"`
	Ended       bool      `json:"ended"`
	Promoted    bool      `json:"promoted"`
	Version     string    `json:"version,omitempty"`
	Reason      string    `json:"reason,omitempty"`
}

// StewardStatus answers StatusQuery on a ModelSteward.
type StewardStatus struct {
	StewardState
	Doing string `json:"doing"` // empty: waiting for requests
}

// CreateModelVersionRequest registers a candidate in MLflow. Key is the
// idempotency key.
type CreateModelVersionRequest struct {
	Key         string            `json:"key"`
	Model       string            `json:"model"`
	ModelNote   string            `json:"model_note,omitempty"`
	Source      string            `json:"source"`
	RunID       string            `json:"run_id"`
	Description string            `json:"description"` // Markdown
	Tags        map[string]string `json:"tags"`
}

// RegisteredVersion is MLflow's answer.
type RegisteredVersion struct {
	Version string `json:"version"`
	URL     string `json:"url"`
}

// MoveAliasesRequest sets aliases of a model; an empty version deletes one.
// Setting an alias to the version it has is success.
type MoveAliasesRequest struct {
	Model   string            `json:"model"`
	Aliases map[string]string `json:"aliases"` // alias → version
}

// TagModelVersionRequest adds facts to a version.
type TagModelVersionRequest struct {
	Model   string            `json:"model"`
	Version string            `json:"version"`
	Tags    map[string]string `json:"tags"`
}

// The aliases a steward keeps.
const (
	AliasChampion   = "champion"
	AliasChallenger = "challenger"
	AliasPrevious   = "previous"
)

// Registry keeps versions and aliases in MLflow. Only ModelSteward calls it.
type Registry interface {
	CreateModelVersion(context.Context, CreateModelVersionRequest) (RegisteredVersion, error)
	MoveAliases(context.Context, MoveAliasesRequest) error
	TagModelVersion(context.Context, TagModelVersionRequest) error
}
