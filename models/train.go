package models

import (
	"context"
	"time"
)

// TrainInput is the input of the Train workflow.
type TrainInput struct {
	Model    string    `json:"model"`
	Train    TrainSpec `json:"train"`
	Snapshot Snapshot  `json:"snapshot"`
	Data     DataSpec  `json:"data"`
	// Tags go to the MLflow run.
	Tags map[string]string `json:"tags,omitempty"`
}

// TrainResult is what a training leaves.
type TrainResult struct {
	RunID    string        `json:"run_id"` // MLflow
	RunURL   string        `json:"run_url"`
	Artifact ModelArtifact `json:"artifact"`
	// OutOfFold refers to the training rows' out-of-fold predictions (Parquet:
	// key column, prediction), when the program wrote them.
	OutOfFold *Ref               `json:"out_of_fold,omitempty"`
	Metrics   map[string]float64 `json:"metrics"` // last value of each reported metric
	Steps     int64              `json:"steps"`
	Curve     [][2]float64       `json:"curve,omitempty"` // loss by step, at most 60 points
	Restarts  int                `json:"restarts"`
	Devices   []string           `json:"devices"` // UUIDs of the last lease
}

// ModelArtifact is a model in MLflow's model format in the artifact store.
type ModelArtifact struct {
	Manifest Ref         `json:"manifest"` // tree manifest; its digest is the artifact's
	Source   string      `json:"source"`   // the directory's URI, as MLflow's registry is told
	Inputs   []ModelPort `json:"inputs"`
	Outputs  []ModelPort `json:"outputs"`
}

// ModelPort is a named tensor. Shape has -1 for the batch.
type ModelPort struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"` // Open Inference Protocol: BYTES, FP32, INT64, …
	Shape    []int64 `json:"shape"`
}

// TrainStatus answers StatusQuery on a Train workflow. Live progress is in the
// heartbeat details of its RunRanks activities, see RankProgress.
type TrainStatus struct {
	State    TrainState `json:"state"`
	Waiting  string     `json:"waiting,omitempty"`
	RunID    string     `json:"run_id,omitempty"`
	Lease    *Lease     `json:"lease,omitempty"`
	Attempt  int        `json:"attempt"` // 1 for the first
	Resumed  int64      `json:"resumed"` // step of the checkpoint that this attempt started from
	Failures []string   `json:"failures,omitempty"`
}

// TrainState is where a training stands.
type TrainState string

// The states of a training.
const (
	TrainLeasing  TrainState = "waiting for devices"
	TrainRunning  TrainState = "running"
	TrainFinished TrainState = "finished"
)

// CreateRunRequest asks for the lifecycle's one MLflow run. Key is the
// idempotency key: the same key gives the same run.
type CreateRunRequest struct {
	Key        string            `json:"key"`
	Experiment string            `json:"experiment"`
	Name       string            `json:"name"`
	StartTime  time.Time         `json:"start_time"`
	Params     map[string]string `json:"params"`
	Tags       map[string]string `json:"tags"`
	Snapshot   Snapshot          `json:"snapshot"` // logged as the run's dataset
}

// Run is an MLflow run.
type Run struct {
	RunID        string    `json:"run_id"`
	ExperimentID string    `json:"experiment_id"`
	ArtifactURI  string    `json:"artifact_uri"`
	URL          string    `json:"url"` // its page
	StartTime    time.Time `json:"start_time"`
}

// FinishRunRequest closes a run.
type FinishRunRequest struct {
	RunID   string             `json:"run_id"`
	Status  string             `json:"status"` // FINISHED, FAILED or KILLED
	EndTime time.Time          `json:"end_time"`
	Metrics map[string]float64 `json:"metrics,omitempty"` // final figures, such as the evaluation's
	Tags    map[string]string  `json:"tags,omitempty"`
}

// Tracking records runs in MLflow.
type Tracking interface {
	CreateRun(context.Context, CreateRunRequest) (Run, error)
	FinishRun(context.Context, FinishRunRequest) error
}

// Checkpoint is a complete, verified checkpoint in the artifact store.
type Checkpoint struct {
	Step     int64 `json:"step"` // 0: there is none
	Manifest Ref   `json:"manifest"`
}

// FindCheckpointRequest asks for the newest checkpoint of a run key.
type FindCheckpointRequest struct {
	RunKey string `json:"run_key"`
}

// Checkpoints finds what a training can resume from.
type Checkpoints interface {
	// FindCheckpoint returns the newest checkpoint that is complete, and Step 0
	// when there is none.
	FindCheckpoint(context.Context, FindCheckpointRequest) (Checkpoint, error)
}

// WatchNodeRequest starts the long activity whose time-out is node loss.
type WatchNodeRequest struct {
	Node string `json:"node"`
	Boot string `json:"boot"`
}

// MasterEndpoint is where rank 0 will listen.
type MasterEndpoint struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
}

// ReserveMasterPortRequest asks rank 0's host for a port.
type ReserveMasterPortRequest struct {
	RunKey string `json:"run_key"`
	Token  int64  `json:"token"`
}

// RunRanksRequest runs one host's share of a gang.
type RunRanksRequest struct {
	// RunKey names the training in paths: hex, the same for all attempts.
	RunKey string `json:"run_key"`
	Token  int64  `json:"token"` // the lease's fencing token
	// Node is this host's part of the lease; one rank runs per device.
	Node      LeaseNode      `json:"node"`
	GroupRank int            `json:"group_rank"` // index of this host
	Groups    int            `json:"groups"`     // number of hosts
	WorldSize int            `json:"world_size"`
	Restart   int            `json:"restart"` // 0 for the first attempt
	Master    MasterEndpoint `json:"master"`
	Train     TrainSpec      `json:"train"`
	Snapshot  Ref            `json:"snapshot"` // manifest
	Data      DataSpec       `json:"data"`
	Resume    Checkpoint     `json:"resume"`
	Run       Run            `json:"run"`
	// Features are the model inputs the data can feed; a model with others is
	// rejected.
	Features []Column `json:"features"`
}

// RanksResult is what one host's ranks left. Only the host of rank 0 fills
// Artifact, OutOfFold and Metrics.
type RanksResult struct {
	Artifact  *ModelArtifact     `json:"artifact,omitempty"`
	OutOfFold *Ref               `json:"out_of_fold,omitempty"`
	Metrics   map[string]float64 `json:"metrics,omitempty"`
	Steps     int64              `json:"steps"`
	Curve     [][2]float64       `json:"curve,omitempty"` // loss by step, at most 60 points
	// Reattached says that the agent found the ranks already running.
	Reattached bool `json:"reattached"`
}

// RankProgress is the heartbeat detail of RunRanks.
type RankProgress struct {
	Phase   string             `json:"phase"` // fetching data, building environment, training, uploading
	Step    int64              `json:"step"`
	Of      int64              `json:"of"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	// Curve is the loss by step, thinned to at most 60 points, for live views.
	Curve      [][2]float64 `json:"curve,omitempty"`
	Checkpoint int64        `json:"checkpoint"` // newest uploaded step
	Reattached bool         `json:"reattached"`
	PIDs       []int        `json:"pids,omitempty"`
}

// Hosts are the activities of one host's agent, on that host's queue.
type Hosts interface {
	// WatchNode heartbeats until it is cancelled or the agent stops.
	WatchNode(context.Context, WatchNodeRequest) error
	// ReserveMasterPort returns a port that was free a moment ago.
	ReserveMasterPort(context.Context, ReserveMasterPortRequest) (MasterEndpoint, error)
	// RunRanks starts or re-attaches to the ranks of (RunKey, Token) and returns
	// when all have ended. Cancellation ends them: SIGTERM, grace, SIGKILL.
	// Failures: KindStaleFence, KindEnvironmentFailed, KindTrainingFailed (a
	// rank's own exit code), KindRankLost (killed), KindModelRejected.
	RunRanks(context.Context, RunRanksRequest) (RanksResult, error)
	// StartReplica starts or re-attaches to a model server and returns once it
	// is ready.
	StartReplica(context.Context, StartReplicaRequest) (Replica, error)
	// WatchReplica returns when the server has ended or is not ready any more;
	// cancellation drains and ends it.
	WatchReplica(context.Context, WatchReplicaRequest) (ReplicaExit, error)
}
