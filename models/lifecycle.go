package models

import (
	"context"
	"time"
)

// Stage is a part of a lifecycle.
type Stage string

// The stages, in order.
const (
	StagePrepare  Stage = "prepare"
	StageTrain    Stage = "train"
	StageEvaluate Stage = "evaluate"
	StageRegister Stage = "register"
	StageApprove  Stage = "approve" // only where the spec asks for it
	StageRollout  Stage = "rollout"
	StageDone     Stage = "done"
)

// Verdict is the answer of a gate or judge.
type Verdict string

// The verdicts. Only a pass promotes.
const (
	VerdictPass         Verdict = "pass"
	VerdictFail         Verdict = "fail"
	VerdictInconclusive Verdict = "inconclusive"
)

// Rank orders verdicts by how much they decide: a fail is 0, a check that only
// informs and has none comes last.
func (v Verdict) Rank() int {
	switch v {
	case VerdictFail:
		return 0
	case VerdictInconclusive:
		return 1
	case VerdictPass:
		return 2
	}
	return 3
}

// LifecycleResult is what a lifecycle returns. A candidate that the gate
// refused is a result, not a failure.
type LifecycleResult struct {
	Model    string      `json:"model"`
	Version  string      `json:"version,omitempty"` // empty: not registered
	RunID    string      `json:"run_id"`            // MLflow
	Snapshot string      `json:"snapshot_sha256"`
	Gate     GateVerdict `json:"gate"`
	Promoted bool        `json:"promoted"`
	Reason   string      `json:"reason"` // one sentence a person can read
	// RefusedBy is who said no to the candidate; empty: nobody did. One that is
	// neither promoted nor refused failed: its release broke.
	RefusedBy Refusal `json:"refused_by,omitempty"`
}

// Refusal is who said no to a candidate.
type Refusal string

// Those who may say no. An answer that is not conclusive is a no.
const (
	RefusedByGate   Refusal = "gate"
	RefusedByCanary Refusal = "canary"
	RefusedByPerson Refusal = "person"
)

// LifecycleStatus answers StatusQuery on a Lifecycle.
type LifecycleStatus struct {
	Stage      Stage               `json:"stage"`
	WaitingFor string              `json:"waiting_for,omitempty"`
	Spec       LifecycleSpec       `json:"spec"`
	Started    map[Stage]time.Time `json:"started"` // wall clock, by stage
	Ended      map[Stage]time.Time `json:"ended"`
	Snapshot   *Snapshot           `json:"snapshot,omitempty"`
	Training   *TrainResult        `json:"training,omitempty"`
	Evaluation *Evaluation         `json:"evaluation,omitempty"`
	Gate       *GateVerdict        `json:"gate,omitempty"`
	Version    string              `json:"version,omitempty"` // once registered
	Approval   *Approval           `json:"approval,omitempty"`
	Result     *LifecycleResult    `json:"result,omitempty"`
}

// LifecycleClosed tells the steward that a lifecycle ended, however it did.
type LifecycleClosed struct {
	LifecycleID string          `json:"lifecycle_id"`
	Result      LifecycleResult `json:"result"`
	Error       string          `json:"error,omitempty"` // empty: it has a result
	// GPUSeconds are what its training leased, whatever came of it.
	GPUSeconds float64 `json:"gpu_seconds,omitempty"`
}

// Entities reaches workflows that live forever, starting them when they are
// not there yet. Every method is idempotent: receivers drop a request whose ID
// they have seen.
type Entities interface {
	SignalSteward(context.Context, StewardSignal) error
	// SignalMonitor starts a monitor for a request to watch only.
	SignalMonitor(context.Context, MonitorSignal) error
	// ReadChampion asks the model's steward; no steward means no champion.
	ReadChampion(context.Context, ReadChampionRequest) (ReadChampionResult, error)
	// FindClosed returns those of the given workflow IDs that are not running.
	FindClosed(context.Context, FindClosedRequest) (FindClosedResult, error)
	// TellHolders signals many holders of leases at once.
	TellHolders(context.Context, TellHoldersRequest) error
	// TellPool tells a device pool something. It does not start one.
	TellPool(context.Context, TellPoolRequest) (TellPoolResult, error)
}

// StewardSignal is a request to a model's steward; exactly one field is set
// beside Model.
type StewardSignal struct {
	Model           string           `json:"model"`
	Register        *RegisterRequest `json:"register,omitempty"`
	RequestApproval *ApprovalRequest `json:"request_approval,omitempty"`
	RollOut         *RollOutRequest  `json:"roll_out,omitempty"`
	Retrain         *RetrainRequest  `json:"retrain,omitempty"`
	Withdraw        *Withdrawal      `json:"withdraw,omitempty"`
	LifecycleClosed *LifecycleClosed `json:"lifecycle_closed,omitempty"`
}

// MonitorSignal is a request to an endpoint's monitor; one field is set beside
// Endpoint.
type MonitorSignal struct {
	Endpoint string          `json:"endpoint"`
	Watch    *WatchRequest   `json:"watch,omitempty"`
	Settled  *RetrainSettled `json:"settled,omitempty"`
}

// FindClosedRequest names workflows by ID and, where that matters, by run.
type FindClosedRequest struct {
	WorkflowIDs []string    `json:"workflow_ids"`
	Runs        []HolderRun `json:"runs,omitempty"` // of these workflows
}

// FindClosedResult lists the closed or unknown ones, sorted, and those of the
// runs whose workflow ID is in use by another one now.
type FindClosedResult struct {
	WorkflowIDs []string    `json:"workflow_ids"`
	Replaced    []HolderRun `json:"replaced,omitempty"`
}

// HolderRun is one life of a workflow ID: all runs that continue each other
// have the same first.
type HolderRun struct {
	WorkflowID string `json:"workflow_id"`
	FirstRunID string `json:"first_run_id"`
}

// ReadChampionRequest names a model.
type ReadChampionRequest struct {
	Model string `json:"model"`
}

// ReadChampionResult has the champion, or nil when there is none yet.
type ReadChampionResult struct {
	Champion *ChampionModel `json:"champion,omitempty"`
}
