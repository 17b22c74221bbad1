package models

import "encoding/json"

// LifecycleSpec is the file a person writes and the input of the Lifecycle
// workflow. Paths in it are local until the client has resolved them, see
// Source.
type LifecycleSpec struct {
	Model    ModelSpec    `json:"model" jsonschema_description:"What is being built, and under which name it is registered."`
	Data     DataSpec     `json:"data" jsonschema_description:"Where the rows come from, which of them are used, and what must hold for them."`
	Train    TrainSpec    `json:"train" jsonschema_description:"The training command, its code and environment, and the devices it needs."`
	Evaluate EvaluateSpec `json:"evaluate,omitzero" jsonschema_description:"What a candidate must prove before it is registered as promotable."`
	Deploy   *DeploySpec  `json:"deploy,omitempty" jsonschema_description:"The endpoint and the canary. Absent: nothing is served; a version that passes becomes champion in the registry."`
	Monitor  *MonitorSpec `json:"monitor,omitempty" jsonschema_description:"How live quality is watched, and when to retrain. Absent: nobody watches."`
	// Trigger says why this lifecycle runs. The engine sets it on retraining.
	Trigger *Trigger `json:"trigger,omitempty" jsonschema_description:"Why this lifecycle runs; set by the engine on retraining."`
}

// ModelSpec names the model.
type ModelSpec struct {
	Name        string `json:"name" jsonschema_description:"Name of the registered model: letters, digits, '-', '_' and '.'."`
	Description string `json:"description,omitempty" jsonschema_description:"One sentence for the registry."`
}

// Source is a local path that the client has turned, or will turn, into bytes
// that every host can fetch. In a spec it is written as a plain string.
type Source struct {
	Path   string `json:"path,omitempty" jsonschema_description:"Local path, relative to the spec file."`
	URI    string `json:"uri,omitempty" jsonschema_description:"Where the packed bytes lie; set by the client."`
	SHA256 string `json:"sha256,omitempty" jsonschema_description:"Digest of the packed bytes; set by the client."`
	Size   int64  `json:"size,omitempty" jsonschema_description:"Size of the packed bytes; set by the client."`
	Commit string `json:"commit,omitempty" jsonschema_description:"Git commit of the path, with '+dirty' when files differ; set by the client."`
}

// IsZero reports whether nothing is named.
func (s Source) IsZero() bool { return s == Source{} }

// Ref is the packed form; its URI is empty until the client resolved it.
func (s Source) Ref() Ref { return Ref{URI: s.URI, SHA256: s.SHA256, Size: s.Size} }

// UnmarshalJSON accepts a plain path or the resolved object.
func (s *Source) UnmarshalJSON(data []byte) error {
	var path string
	if err := json.Unmarshal(data, &path); err == nil {
		*s = Source{Path: path}
		return nil
	}
	type plain Source
	return json.Unmarshal(data, (*plain)(s))
}

// TrainSpec describes the training command. One rank runs per leased device.
type TrainSpec struct {
	Command     []string          `json:"command" jsonschema_description:"Program and arguments, never a shell string. A leading 'python' is the environment's interpreter."`
	Code        Source            `json:"code,omitzero" jsonschema_description:"Directory that becomes the working directory on every host; packed by the client, .gitignore respected."`
	Environment Environment       `json:"environment,omitzero" jsonschema_description:"What the program needs. Absent: whatever the host has."`
	Params      map[string]any    `json:"params,omitempty" jsonschema_description:"Handed to the program as JSON in MAINSPRING_PARAMS, and recorded in MLflow."`
	Env         map[string]string `json:"env,omitempty" jsonschema_description:"Further environment variables. A value env:NAME or file:PATH is a secret, resolved on the host that runs the program."`
	Resources   Resources         `json:"resources,omitzero" jsonschema_description:"Devices to lease. Default: one node with one device."`
	Timeout     Duration          `json:"timeout,omitempty" jsonschema_description:"Longest time one attempt may run. Default: 24h."`
	Grace       Duration          `json:"grace,omitempty" jsonschema_description:"Time between SIGTERM and SIGKILL. Default: 30s."`
	MaxRestarts *int              `json:"max_restarts,omitempty" jsonschema_description:"How often the gang is restarted from its last checkpoint after a rank or host was lost. Preemptions, drains and pauses do not count. Default: 10."`
	HangTimeout Duration          `json:"hang_timeout,omitempty" jsonschema_description:"Longest time without progress; a gang that is silent for longer is ended and restarted like one that failed. Progress is a line in MAINSPRING_PROGRESS or a new checkpoint and, before the first of these, output. Default: 30m."`
	Budget      Budget            `json:"budget,omitzero" jsonschema_description:"What the whole training may use before it pauses and asks for more."`
	Checkpoints CheckpointKeep    `json:"checkpoints,omitzero" jsonschema_description:"Which checkpoints are kept."`
}

// Budget bounds a training without killing it: when it is used up, the gang
// ends at a checkpoint, gives its devices back and waits for a top-up.
type Budget struct {
	GPUSeconds int64 `json:"gpu_seconds,omitempty" jsonschema_description:"GPU-seconds over all attempts, counted while devices are leased; a share of a device counts as that share. 0: no limit."`
}

// CheckpointKeep says which uploaded checkpoints stay. The newest Last always
// do, so that a damaged one leaves another to resume from.
type CheckpointKeep struct {
	Last  int   `json:"keep_last,omitempty" jsonschema_description:"How many of the newest checkpoints are kept. Default: 3."`
	Every int64 `json:"keep_every,omitempty" jsonschema_description:"Also keep the first checkpoint of each so many steps, for ever. 0: none."`
}

// Environment is a Python environment, built once per digest on each host.
type Environment struct {
	Requirements Source `json:"requirements,omitzero" jsonschema_description:"Pinned requirements file; hashes in it are enforced."`
	SystemSite   bool   `json:"system_site_packages,omitempty" jsonschema_description:"Let the environment see the host's own packages (a driver-matched torch, say)."`
	Python       string `json:"python,omitempty" jsonschema_description:"Interpreter to build on or, without requirements, to use as it is. Default: python3."`
}

// EvaluateSpec is the gate between training and registration: how predictions
// are made, and what they must prove.
type EvaluateSpec struct {
	Prediction    string        `json:"prediction,omitempty" jsonschema_description:"Name of the model output (or column of a predict command) that holds the probability of label 1, the probabilities of the classes, or the number. Default: probability, or prediction for task regression."`
	Predict       PredictSpec   `json:"predict,omitzero" jsonschema_description:"What makes the predictions: the same runtime that will serve."`
	Threshold     float64       `json:"threshold,omitempty" jsonschema_description:"Probability from which on label 1 counts as predicted, for accuracy and f1. Default: 0.5."`
	Quantile      float64       `json:"quantile,omitempty" jsonschema_description:"Quantile that a regression predicts, for pinball. Default: 0.5."`
	Limits        []MetricLimit `json:"limits,omitempty" jsonschema_description:"Absolute limits on the held-out rows."`
	Champion      ChampionGate  `json:"champion,omitzero" jsonschema_description:"The paired comparison with the champion on the same rows."`
	Slices        []SliceSpec   `json:"slices,omitempty" jsonschema_description:"Parts of the held-out rows that are measured by themselves."`
	SliceLimits   []MetricLimit `json:"slice_limits,omitempty" jsonschema_description:"Limits that every slice with enough rows must keep. A slice fails when its whole interval breaks the limit, at a level shared by all slices."`
	SliceMargin   *float64      `json:"slice_margin,omitempty" jsonschema_description:"How much worse than the champion, in champion.metric, any slice may be. Absent: slices are not compared."`
	Serving       ServingLimits `json:"serving,omitzero" jsonschema_description:"What the model may cost to serve, measured on the runtime that serves it."`
	RequireChecks []string      `json:"require_checks,omitempty" jsonschema_description:"Data checks that must have been made and passed, such as schema, nulls, range, rows. Default: those that were made."`
	Approval      *ApprovalSpec `json:"approval,omitempty" jsonschema_description:"A person has to agree before the version is released, see mainspring approve. Absent: nobody is asked."`
}

// PredictSpec says what makes predictions for the gate. Programs run in
// train.code with train.environment.
type PredictSpec struct {
	Runtime   Runtime    `json:"runtime,omitempty" jsonschema_description:"onnx (built in; the default), pyfunc (mlflow.pyfunc in the training's environment) or command."`
	Command   []string   `json:"command,omitempty" jsonschema_description:"Program and arguments for runtime command, never a shell string: reads MAINSPRING_MODEL_DIR and MAINSPRING_DATA_DIR, writes MAINSPRING_PREDICTIONS."`
	Resources *Resources `json:"resources,omitempty" jsonschema_description:"Devices to lease for the predictions. Absent: none; they are made on the worker (onnx) or on any host of the pool."`
	Timeout   Duration   `json:"timeout,omitempty" jsonschema_description:"Longest time that the predictions of one model may take. Default: 1h."`
}

// Runtime is what makes predictions.
type Runtime string

// The runtimes.
const (
	RuntimeONNX    Runtime = "onnx"
	RuntimePyfunc  Runtime = "pyfunc"
	RuntimeCommand Runtime = "command"
)

// Task is what a label is, and so what a model predicts.
type Task string

// The tasks.
const (
	TaskBinary     Task = "binary"
	TaskMulticlass Task = "multiclass"
	TaskRegression Task = "regression"
)

// MetricLimit is an absolute bound on a metric.
type MetricLimit struct {
	Metric Metric   `json:"metric" jsonschema_description:"A metric of the task: log_loss, brier, auc, pr_auc, accuracy, f1, calibration_error; rmse, mae, r2, pinball."`
	Min    *float64 `json:"min,omitempty" jsonschema_description:"The metric must not be below this."`
	Max    *float64 `json:"max,omitempty" jsonschema_description:"The metric must not be above this."`
	At     LimitAt  `json:"at,omitempty" jsonschema_description:"What is held against the limit: value (the default), or interval: all of it inside passes, all of it outside fails, anything else is inconclusive. Slice limits are always judged by interval."`
}

// LimitAt is which part of an estimate is held against a limit.
type LimitAt string

// The parts.
const (
	AtValue    LimitAt = "value"
	AtInterval LimitAt = "interval"
)

// SliceSpec cuts the held-out rows by a column.
type SliceSpec struct {
	Column    string `json:"column" jsonschema_description:"A column of the data: a feature, the time or the label."`
	Quantiles int    `json:"quantiles,omitempty" jsonschema_description:"Cut numbers into so many parts of equal size, 2 to 20. Default: one slice per value."`
	MinRows   int64  `json:"min_rows,omitempty" jsonschema_description:"A slice with fewer rows is shown and not judged. Default: 200."`
	Max       int    `json:"max,omitempty" jsonschema_description:"How many values get a slice, the most frequent first; the rest share one. Default: 20."`
}

// ServingLimits bound what answering costs. Zero fields ask for nothing.
type ServingLimits struct {
	P50     Duration `json:"latency_p50,omitempty" jsonschema_description:"Median time for one row, such as 2ms."`
	P99     Duration `json:"latency_p99,omitempty" jsonschema_description:"Time that 99 of 100 single rows stay below, such as 20ms."`
	MaxSize Bytes    `json:"size,omitempty" jsonschema_description:"Size of the model's files, such as 200MiB."`
}

// ApprovalSpec asks a person.
type ApprovalSpec struct {
	Timeout   Duration `json:"timeout,omitempty" jsonschema_description:"How long the question stands; without an answer the version is not released. Default: 3d."`
	Approvers []string `json:"approvers,omitempty" jsonschema_description:"Identities that may answer, as mainspring approve --by gives them. Default: anyone who may reach the workflow. Temporal's own authorization is what proves an identity."`
}

// ChampionGate compares candidate and champion row by row, resampling whole
// blocks: passes when the gain's lower bound is above -Margin, fails when its
// upper bound is below, and is inconclusive otherwise.
type ChampionGate struct {
	Metric    Metric   `json:"metric,omitempty" jsonschema_description:"What is compared: any metric of the task. Default: log_loss, or rmse for task regression."`
	Margin    float64  `json:"margin,omitempty" jsonschema_description:"How much worse than the champion is still acceptable. Default: 0, it must be better."`
	Level     float64  `json:"level,omitempty" jsonschema_description:"One-sided error level of each bound. Default: 0.1."`
	Block     Duration `json:"block,omitempty" jsonschema_description:"Length of the blocks that are resampled. Default: 1d."`
	Resamples int      `json:"resamples,omitempty" jsonschema_description:"Number of bootstrap resamples. Default: 2000."`
}

// DeploySpec says where and how a version is released.
type DeploySpec struct {
	Endpoint  string     `json:"endpoint" jsonschema_description:"Name under which the gateway answers: /v2/models/<endpoint>/infer."`
	Replicas  int        `json:"replicas,omitempty" jsonschema_description:"Model servers per version. Default: 1."`
	Resources Resources  `json:"resources,omitzero" jsonschema_description:"What each replica leases. Default: one device."`
	Canary    CanarySpec `json:"canary,omitzero" jsonschema_description:"Steps of traffic and the evidence each must give."`
	// Server and Traffic belong to the version that the spec made: they change
	// with its release and go back with its rollback.
	Server  ServerSpec  `json:"server,omitzero" jsonschema_description:"What answers for the model. Default: the built-in server (ONNX Runtime)."`
	Traffic TrafficSpec `json:"traffic,omitzero" jsonschema_description:"How the gateways treat the endpoint's requests while this version is champion, canaries included."`
	// RequireSignature makes serving refuse a version without a signature that a
	// trusted key verifies. A host's own policy can demand it for all models.
	RequireSignature bool `json:"require_signature,omitempty" jsonschema_description:"Refuse to serve a version without a signature that one of the host's trusted keys verifies. Default: the host's policy."`
}
