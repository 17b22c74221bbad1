package models

import (
	"context"
	"fmt"
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
	// Runtime is what will predict with the model for the gate; empty: onnx.
	Runtime Runtime `json:"runtime,omitempty"`
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
	// Hosts are those of the last lease, by group rank.
	Hosts []HostFacts `json:"hosts,omitempty"`
	// Account says where the GPU-seconds of all attempts went.
	Account GPUAccount `json:"account"`
	// Attempts tells each attempt's end, oldest first, at most the last 20.
	Attempts []AttemptSummary `json:"attempts,omitempty"`
	// Skipped are checkpoints that did not verify and were not resumed from.
	Skipped []string `json:"skipped,omitempty"`
}

// GPUAccount splits a training's GPU-seconds: a device leased for a second is
// one, a share of a device is that share. All but Waiting were leased, and add
// up to what a budget counts.
type GPUAccount struct {
	Waiting       float64 `json:"waiting"`       // asked for and not yet granted; nobody's loss but time
	Starting      float64 `json:"starting"`      // from the lease to the first progress: data, environment, processes
	Computing     float64 `json:"computing"`     // progress that counts
	Checkpointing float64 `json:"checkpointing"` // writing checkpoints, storing the model
	Lost          float64 `json:"lost"`          // computed and repeated, or held without progress
}

// Leased is what was leased, whatever came of it.
func (a GPUAccount) Leased() float64 { return a.Starting + a.Computing + a.Checkpointing + a.Lost }

// Add returns the sum of two accounts.
func (a GPUAccount) Add(b GPUAccount) GPUAccount {
	return GPUAccount{
		Waiting: a.Waiting + b.Waiting, Starting: a.Starting + b.Starting, Computing: a.Computing + b.Computing,
		Checkpointing: a.Checkpointing + b.Checkpointing, Lost: a.Lost + b.Lost,
	}
}

// String writes an account in one line, for people.
func (a GPUAccount) String() string {
	leased := a.Leased()
	number := func(v float64) string {
		switch {
		case v < 0.05:
			return "0"
		case v >= 100:
			return fmt.Sprintf("%.0f", v)
		default:
			return fmt.Sprintf("%.3g", v)
		}
	}
	part := func(v float64) string {
		if leased <= 0 {
			return number(v)
		}
		return fmt.Sprintf("%s (%.0f %%)", number(v), 100*v/leased)
	}
	return fmt.Sprintf("%s GPU-seconds leased: starting %s, computing %s, checkpointing %s, lost %s; waited for %s before",
		number(leased), part(a.Starting), part(a.Computing), part(a.Checkpointing), part(a.Lost), number(a.Waiting))
}

// AttemptSummary is one attempt of a training.
type AttemptSummary struct {
	Attempt int        `json:"attempt"` // 1 for the first
	Token   int64      `json:"token"`
	Nodes   []string   `json:"nodes"`
	GPUs    float64    `json:"gpus"`  // devices leased; a share counts as that share
	Began   time.Time  `json:"began"` // lease granted
	Ended   time.Time  `json:"ended"`
	From    int64      `json:"from"`   // step it resumed from
	To      int64      `json:"to"`     // last step that was seen
	Reason  ExitReason `json:"reason"` // why it ended
	Detail  string     `json:"detail,omitempty"`
	// Account is this attempt's share of the training's.
	Account GPUAccount `json:"account"`
}

// ExitReason says why an attempt, or one host's share of it, ended.
type ExitReason string

// The exit reasons. The first three end well: the last of them goes on later.
const (
	ExitFinished  ExitReason = "finished"
	ExitPreempted ExitReason = "preempted" // asked to give way: preemption, drain, resize
	ExitPaused    ExitReason = "paused"    // the budget is used up

	ExitCancelled   ExitReason = "cancelled"
	ExitOutOfMemory ExitReason = "out of memory"
	ExitSignal      ExitReason = "signal"      // a signal that nobody here sent
	ExitStatus      ExitReason = "exit status" // the program's own failure
	ExitDataError   ExitReason = "data error"  // exit status 65, as in sysexits.h
	ExitNotStarted  ExitReason = "not started" // command not found, environment failed
	ExitHang        ExitReason = "hang"        // no progress for hang_timeout
	ExitTimeout     ExitReason = "timeout"     // longer than train.timeout
	ExitFenced      ExitReason = "fenced"      // a newer lease took a device
	ExitLeaseLost   ExitReason = "lease lost"  // node or device
	ExitAgentLost   ExitReason = "agent lost"  // the host's agent did not come back
	ExitNoModel     ExitReason = "no model"    // ended well and left no usable model
)

// AttemptReport is what the agent of rank 0 knows of an attempt's times. It is
// part of RanksResult, and the details of the error when the ranks failed.
type AttemptReport struct {
	Reason ExitReason `json:"reason"`
	// FirstProgress is when the first line of progress was seen; zero: never.
	FirstProgress time.Time `json:"first_progress,omitzero"`
	LastProgress  time.Time `json:"last_progress,omitzero"`
	Step          int64     `json:"step"`       // last that was seen
	Checkpoint    int64     `json:"checkpoint"` // newest that was uploaded; 0: none
	// CheckpointAt is when the newest uploaded checkpoint was complete.
	CheckpointAt time.Time `json:"checkpoint_at,omitzero"`
	// CheckpointSeconds is how long rank 0 was busy writing checkpoints.
	CheckpointSeconds float64   `json:"checkpoint_seconds"`
	Ended             time.Time `json:"ended"` // when the last rank had ended
	// Skipped are checkpoints that did not verify and were not resumed from.
	Skipped []string `json:"skipped,omitempty"`
}

// TopUp gives a paused training more to use. Signalling twice with the same ID
// counts once.
type TopUp struct {
	ID         string `json:"id"`
	GPUSeconds int64  `json:"gpu_seconds"`
	By         string `json:"by,omitempty"`
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
	// Account is of the attempts that have ended.
	Account GPUAccount `json:"account"`
	// Budget is what may be used in all, in GPU-seconds; 0: no limit.
	Budget   int64            `json:"budget_gpu_seconds,omitempty"`
	Attempts []AttemptSummary `json:"attempts,omitempty"`
	// Skipped are checkpoints that did not verify and were not resumed from.
	Skipped []string `json:"skipped,omitempty"`
}

// TrainState is where a training stands.
type TrainState string

// The states of a training.
const (
	TrainLeasing   TrainState = "waiting for devices"
	TrainPreparing TrainState = "preparing" // code and environment, before devices are leased
	TrainRunning   TrainState = "running"
	TrainPaused    TrainState = "paused: the budget is used up"
	TrainFinished  TrainState = "finished"
	TrainFailed    TrainState = "failed"
	TrainCancelled TrainState = "cancelled"
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

// AnnotateRunRequest adds figures and facts to a run and leaves it open.
type AnnotateRunRequest struct {
	RunID   string             `json:"run_id"`
	At      time.Time          `json:"at"` // of the metrics; repeating them changes nothing
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Tags    map[string]string  `json:"tags,omitempty"`
}

// Tracking records runs in MLflow.
type Tracking interface {
	CreateRun(context.Context, CreateRunRequest) (Run, error)
	AnnotateRun(context.Context, AnnotateRunRequest) error
	FinishRun(context.Context, FinishRunRequest) error
}

// Checkpoint is a complete, verified checkpoint in the artifact store.
type Checkpoint struct {
	Step     int64 `json:"step"` // 0: there is none
	Manifest Ref   `json:"manifest"`
	// At is when it was stored.
	At time.Time `json:"at,omitzero"`
	// Skipped names newer checkpoints that are incomplete or damaged, and why.
	Skipped []string `json:"skipped,omitempty"`
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
	// Lease is what the pool knows the devices' loan by; the agent tells the
	// pool of saved work when Preemptible is set.
	Lease       string `json:"lease"` // request ID
	Pool        string `json:"pool"`
	Preemptible bool   `json:"preemptible,omitempty"`
	Run         Run    `json:"run"`
	// Features are the model inputs the data can feed; a model with others is
	// rejected.
	Features []Column `json:"features"`
	// Runtime is what will predict with the model. Only one for onnx, which is
	// also the default, has to be one that the built-in server loads.
	Runtime Runtime `json:"runtime,omitempty"`
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
	Reattached bool          `json:"reattached"`
	Report     AttemptReport `json:"report"`
	// Host is what the ranks ran on.
	Host HostFacts `json:"host,omitzero"`
}

// PrepareEnvironmentRequest asks a worker or host to prove, before any device
// is leased, that a training's code and environment can be had.
type PrepareEnvironmentRequest struct {
	RunKey string    `json:"run_key"`
	Train  TrainSpec `json:"train"`
	Run    Run       `json:"run"` // the build log becomes one of its artifacts
}

// PreparedEnvironment says what was built.
type PreparedEnvironment struct {
	Digest string `json:"digest,omitempty"` // of the environment; empty: the host's own interpreter
	Reused bool   `json:"reused"`           // it was there already
	LogURI string `json:"log_uri,omitempty"`
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
	// PrepareEnvironment builds the environment and unpacks the code on this
	// host, or fails with KindEnvironmentFailed. It needs no lease.
	PrepareEnvironment(context.Context, PrepareEnvironmentRequest) (PreparedEnvironment, error)
	// RunRanks starts or re-attaches to the ranks of (RunKey, Token) and returns
	// when all have ended. Cancellation ends them: SIGTERM, grace, SIGKILL.
	// Failures: KindStaleFence, KindEnvironmentFailed, KindTrainingFailed (a
	// rank's own exit code, memory limit, or data error), KindRankLost (killed,
	// silent), KindModelRejected. Their details are an AttemptReport.
	RunRanks(context.Context, RunRanksRequest) (RanksResult, error)
	// PredictOnHost answers the held-out rows with a program on this host: the
	// built-in runtime on a leased device, mlflow.pyfunc, or the spec's command.
	// Starting the same Key and Token again re-attaches. Failures: those of
	// RunRanks.
	PredictOnHost(context.Context, PredictRowsRequest) (Predictions, error)
	// TransformOnHost runs the spec's preparing program on this host, as
	// PredictOnHost does its own. What it has left is stored before the listing.
	TransformOnHost(context.Context, TransformRequest) (TransformResult, error)
	// StartReplica starts or re-attaches to a model server and returns once it
	// is ready. It fails with KindNotTrusted when the files or the signature do
	// not verify.
	StartReplica(context.Context, StartReplicaRequest) (Replica, error)
	// WatchReplica returns when the server has ended or is not ready any more;
	// cancellation drains and ends it.
	WatchReplica(context.Context, WatchReplicaRequest) (ReplicaExit, error)
}
