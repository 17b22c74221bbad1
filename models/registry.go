package models

import (
	"context"
	"time"
)

// Candidate is a trained and evaluated model.
type Candidate struct {
	Lifecycle    string `json:"lifecycle"`               // workflow ID
	LifecycleRun string `json:"lifecycle_run,omitempty"` // its run ID
	RunID        string `json:"run_id"`                  // MLflow
	Snapshot     string `json:"snapshot_sha256"`
	// SnapshotManifest is the snapshot's manifest, Profile what its rows look like.
	SnapshotManifest Ref                 `json:"snapshot_manifest,omitzero"`
	Profile          Ref                 `json:"profile,omitzero"`
	Artifact         ModelArtifact       `json:"artifact"`
	Metrics          map[Metric]Estimate `json:"metrics"`
	Gate             GateVerdict         `json:"gate"`
	// Summary is what the version's page shows of the evaluation.
	Summary EvaluationSummary `json:"summary,omitzero"`
	// Evidence are the evaluation's files among the run's artifacts.
	Evidence  []EvidenceFile `json:"evidence,omitempty"`
	Reference []float64      `json:"reference"`
	// OutOfFold and HeldOut are the candidate's predictions of rows that it was
	// not trained on, for its monitor.
	OutOfFold *Ref     `json:"out_of_fold,omitempty"`
	HeldOut   Ref      `json:"held_out,omitzero"`
	Devices   []string `json:"devices"` // UUIDs
	// Hosts are those of the last attempt, with driver and devices.
	Hosts      []HostFacts `json:"hosts,omitempty"`
	CodeSHA256 string      `json:"code_sha256"`
	CodeCommit string      `json:"code_commit,omitempty"`
	SpecSHA256 string      `json:"spec_sha256"`
	Trained    TimeSpan    `json:"trained,omitzero"`
}

// HostFacts are what a model was trained on, for its provenance.
type HostFacts struct {
	Node     string       `json:"node"`
	OS       string       `json:"os,omitempty"`     // such as linux/amd64 6.1.0
	Driver   string       `json:"driver,omitempty"` // of the devices, such as "NVIDIA 550.54.15"
	Devices  []DeviceFact `json:"devices"`
	Software string       `json:"software,omitempty"` // of the agent: Mainspring's version
}

// DeviceFact names one device.
type DeviceFact struct {
	UUID  string `json:"uuid"`
	Model string `json:"model,omitempty"`
}

// TimeSpan is a stretch of wall clock.
type TimeSpan struct {
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
}

// CreateModelVersionRequest registers a candidate in MLflow. Key is the
// idempotency key.
type CreateModelVersionRequest struct {
	Key         string            `json:"key"`
	Model       string            `json:"model"`
	Source      string            `json:"source"`
	RunID       string            `json:"run_id"`
	Description string            `json:"description"` // Markdown
	Tags        map[string]string `json:"tags"`
	// Lifecycle and LifecycleRun name the workflow that the version's page links.
	Lifecycle    string `json:"lifecycle,omitempty"`
	LifecycleRun string `json:"lifecycle_run,omitempty"`
	// Owner is who holds the model, see ClaimModelRequest. Nobody else's request is
	// carried out.
	Owner string `json:"owner,omitempty"`
}

// RegisteredVersion is MLflow's answer.
type RegisteredVersion struct {
	Version string `json:"version"`
	URL     string `json:"url"`
}

// ClaimModelRequest makes a steward the one writer of a model in MLflow. The
// activity completes Owner with what tells this Temporal namespace from all
// others.
type ClaimModelRequest struct {
	Model     string `json:"model"`
	ModelNote string `json:"model_note,omitempty"` // its description, if the claim creates it
	Steward   string `json:"steward"`              // workflow ID and first run ID
	// TakeOver replaces an owner of another namespace; an operator's decision.
	TakeOver bool `json:"take_over,omitempty"`
}

// ClaimModelResult has the owner to name in further requests.
type ClaimModelResult struct {
	Owner string `json:"owner"`
	// Before is the owner that was replaced; empty: nobody.
	Before string `json:"before,omitempty"`
	// Aliases are those that MLflow has now.
	Aliases map[string]string `json:"aliases,omitempty"`
}

// MoveAliasesRequest sets aliases of a model; an empty version deletes one.
// Setting an alias to the version it has is success.
type MoveAliasesRequest struct {
	Model   string            `json:"model"`
	Aliases map[string]string `json:"aliases"` // alias → version
	// Expected is what each of the aliases is recorded to be now. One that is
	// neither this nor the wanted version was moved by somebody else, and nothing
	// is done. Nil: not looked at.
	Expected map[string]string `json:"expected,omitempty"`
	Owner    string            `json:"owner,omitempty"` // who holds the model; nobody else's request is carried out
}

// ReadAliasesRequest asks what MLflow has. Versions are those that should exist.
type ReadAliasesRequest struct {
	Model    string   `json:"model"`
	Versions []string `json:"versions,omitempty"`
}

// ReadAliasesResult is what MLflow has.
type ReadAliasesResult struct {
	Exists  bool              `json:"exists"`            // the registered model
	Aliases map[string]string `json:"aliases"`           // alias → version
	Deleted []string          `json:"deleted,omitempty"` // those of Versions that do not exist
	Owner   string            `json:"owner,omitempty"`
}

// TagModelVersionRequest adds facts to a version.
type TagModelVersionRequest struct {
	Model       string            `json:"model"`
	Version     string            `json:"version"`
	Tags        map[string]string `json:"tags"`
	Description string            `json:"description,omitempty"` // empty: left as it is
}

// The aliases a steward keeps.
const (
	AliasChampion   = "champion"
	AliasChallenger = "challenger"
	AliasPrevious   = "previous"
)

// Registry keeps versions and aliases in MLflow. Only ModelSteward calls it.
type Registry interface {
	// ClaimModel fails with KindNotOwner when another steward holds the model.
	ClaimModel(context.Context, ClaimModelRequest) (ClaimModelResult, error)
	CreateModelVersion(context.Context, CreateModelVersionRequest) (RegisteredVersion, error)
	// MoveAliases fails with KindAliasMoved, whose details are a list of
	// AliasDifference, or with KindNotOwner.
	MoveAliases(context.Context, MoveAliasesRequest) error
	ReadAliases(context.Context, ReadAliasesRequest) (ReadAliasesResult, error)
	// TagModelVersion fails with KindNotFound when the version was deleted.
	TagModelVersion(context.Context, TagModelVersionRequest) error
}
