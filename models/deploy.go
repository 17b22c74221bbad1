package models

// ServerSpec says what answers for a model. Without a command it is the
// built-in server.
type ServerSpec struct {
	Command     []string          `json:"command,omitempty" jsonschema_description:"Program and arguments of another server, never a shell string. {model_dir}, {host}, {port}, {grpc_port}, {endpoint} and {version} in them are replaced. A leading 'python' is the environment's interpreter. Default: the built-in server."`
	Protocol    ServerProtocol    `json:"protocol,omitempty" jsonschema_description:"What the command speaks: v2 (Open Inference Protocol; the default) or mlflow (the /invocations of mlflow models serve, translated for callers)."`
	Model       string            `json:"model,omitempty" jsonschema_description:"Name by which the command knows the model. Default: the endpoint's."`
	Code        Source            `json:"code,omitzero" jsonschema_description:"Directory in which the command runs. Default: train.code."`
	Environment Environment       `json:"environment,omitzero" jsonschema_description:"What the command needs. Default: train.environment."`
	Env         map[string]string `json:"env,omitempty" jsonschema_description:"Further environment variables of the server. A value env:NAME or file:PATH is a secret, resolved on the host that runs it."`
	StartWithin Duration          `json:"start_within,omitempty" jsonschema_description:"Longest time from the start of the server until it is ready; fetching the model and building the environment come on top. Default: 1m, or 5m for a command."`
	Threads     int               `json:"threads,omitempty" jsonschema_description:"Threads of one prediction of the built-in server. Default: 1."`
	Batch       BatchSpec         `json:"batch,omitzero" jsonschema_description:"Dynamic batching of the built-in server. Absent: each request is predicted by itself."`
	MaxBody     Bytes             `json:"max_body,omitempty" jsonschema_description:"Largest request body of the built-in server. Default: 16MiB."`
}

// ServerProtocol is what a server speaks.
type ServerProtocol string

// The protocols.
const (
	ProtocolV2     ServerProtocol = "v2"
	ProtocolMLflow ServerProtocol = "mlflow"
)

// BatchSpec joins requests that arrive together into one prediction.
type BatchSpec struct {
	MaxRows  int      `json:"max_rows,omitempty" jsonschema_description:"Most rows in one prediction. 0: no batching."`
	MaxDelay Duration `json:"max_delay,omitempty" jsonschema_description:"Longest time a request waits for others while a prediction runs, or right after a joint one. Default: 1ms."`
}

// TrafficSpec says how gateways treat an endpoint's requests.
type TrafficSpec struct {
	Sticky  StickySpec  `json:"sticky,omitzero" jsonschema_description:"What keeps a caller on one version while the canary's share grows. Default: the header Mainspring-Sticky-Key."`
	Timeout Duration    `json:"timeout,omitempty" jsonschema_description:"Longest wait for an answer. Default: 10s."`
	Breaker BreakerSpec `json:"breaker,omitzero" jsonschema_description:"When a version's requests are given to the champion instead."`
	Eject   EjectSpec   `json:"eject,omitzero" jsonschema_description:"When one server of a version is passed over."`
	Log     LogSpec     `json:"log,omitzero" jsonschema_description:"What the inference log keeps."`
}

// StickySpec names the key of a caller; at most one field is set.
type StickySpec struct {
	Header string `json:"header,omitempty" jsonschema_description:"Request header with the key. In gRPC: metadata."`
	Cookie string `json:"cookie,omitempty" jsonschema_description:"Cookie with the key."`
	Input  string `json:"input,omitempty" jsonschema_description:"Model input whose first value is the key."`
}

// BreakerSpec bounds the harm of a version that does not answer. A request
// that is diverted by an open breaker counts as failed for its version.
type BreakerSpec struct {
	MaxPending int      `json:"max_pending,omitempty" jsonschema_description:"Most requests that may wait for one version in one gateway. Default: 1024."`
	Failures   int      `json:"failures,omitempty" jsonschema_description:"Consecutive failed answers of a version that open its breaker. Default: 20."`
	OpenFor    Duration `json:"open_for,omitempty" jsonschema_description:"How long the breaker stays open before a request tries again. Default: 5s."`
}

// EjectSpec takes a server that misbehaves out of the turn.
type EjectSpec struct {
	Failures int      `json:"failures,omitempty" jsonschema_description:"Consecutive failed answers of one server that eject it. Default: 5."`
	For      Duration `json:"for,omitempty" jsonschema_description:"How long the first ejection lasts; each further one doubles it, up to a minute. Default: 1s."`
}

// LogSpec says what the inference log keeps.
type LogSpec struct {
	Sample    float64  `json:"sample,omitempty" jsonschema_description:"Share of the requests that are logged, in percent, chosen by request ID. Default: 100."`
	Sensitive []string `json:"sensitive,omitempty" jsonschema_description:"Inputs and outputs whose values are never written. Features that data.columns calls sensitive are among them."`
}

// CanarySpec states the steps and the error budgets of the judge.
type CanarySpec struct {
	Shadow       *ShadowSpec    `json:"shadow,omitempty" jsonschema_description:"A first step in which the version gets copies of requests and answers nobody. Absent: none."`
	Steps        []float64      `json:"steps,omitempty" jsonschema_description:"Share of traffic for the canary at each step, in percent, rising. Default: 10, 50."`
	FalseAlarm   float64        `json:"false_rollback,omitempty" jsonschema_description:"Chance of rolling back a version that is no worse, over the whole rollout. Default: 0.01."`
	FalsePass    float64        `json:"false_promotion,omitempty" jsonschema_description:"Chance of promoting a version that breaks the limits, over the whole rollout. Default: 0.05."`
	Evidence     CanaryEvidence `json:"evidence,omitempty" jsonschema_description:"What is weighed: blocks of time (the default), sound also when one version's host misbehaves for a while, or requests, quicker, sound only when failures are independent of each other."`
	Block        Duration       `json:"block,omitempty" jsonschema_description:"Length of a block of evidence. Default: 1m."`
	Tolerance    float64        `json:"tolerance,omitempty" jsonschema_description:"Relative rise of the error rate that is a regression. Default: 0.5."`
	MaxErrorRate float64        `json:"max_error_rate,omitempty" jsonschema_description:"A canary proven below this error rate is safe whatever the champion does. Default: 0.02."`
	Latency      *LatencySpec   `json:"latency,omitempty" jsonschema_description:"Judge how long answers take. Absent: they are shown, not judged."`
	Quality      *QualitySpec   `json:"quality,omitempty" jsonschema_description:"Judge predictions on labels as they come. Absent: they are not judged before the monitor does."`
	StepDeadline Duration       `json:"step_deadline,omitempty" jsonschema_description:"Longest time a step waits for its evidence. Default: 24h, and with quality its block and maturity on top."`
	OnDeadline   Policy         `json:"on_deadline,omitempty" jsonschema_description:"What an inconclusive step does: roll_back (default) or hold. It never promotes."`
	Poll         Duration       `json:"poll,omitempty" jsonschema_description:"Longest time between two looks at the evidence when few requests come. Default: 1m."`
}

// CanaryEvidence is what the judge weighs.
type CanaryEvidence string

// The forms of evidence.
const (
	EvidenceBlocks   CanaryEvidence = "blocks"
	EvidenceRequests CanaryEvidence = "requests"
)

// ShadowSpec is the step before the first weight. It can roll back, and ends
// when enough requests were copied without evidence of harm.
type ShadowSpec struct {
	Share    float64 `json:"share,omitempty" jsonschema_description:"Share of the champion's requests that are copied, in percent. Default: 100."`
	Requests int64   `json:"requests,omitempty" jsonschema_description:"Copied requests after which the step ends. Default: 1000."`
}

// LatencySpec judges the share of answers slower than a limit, and a quantile.
type LatencySpec struct {
	SLO       Duration `json:"slo" jsonschema_description:"An answer that takes longer is slow, such as 50ms."`
	Tolerance float64  `json:"tolerance,omitempty" jsonschema_description:"Relative rise of the share of slow answers that is a regression. Default: 0.5."`
	MaxRate   float64  `json:"max_rate,omitempty" jsonschema_description:"A canary proven below this share of slow answers is fast enough whatever the champion does. Default: 0.01."`
	Quantile  float64  `json:"quantile,omitempty" jsonschema_description:"Quantile of the latency that must not be proven higher than the champion's. Default: 0.99."`
}

// QualitySpec judges the loss on labels that have come.
type QualitySpec struct {
	Metric    Metric   `json:"metric,omitempty" jsonschema_description:"Loss of one prediction: log_loss or brier (binary), log_loss (multiclass), mae or rmse (regression; rmse compares squared errors). Default: log_loss, for regression rmse."`
	Tolerance float64  `json:"tolerance" jsonschema_description:"Rise of the mean loss that is a regression, in the loss's own unit, such as 0.02; of rmse, in squared units."`
	Block     Duration `json:"block,omitempty" jsonschema_description:"Length of the blocks of event time whose losses are compared. Default: 1h."`
	Maturity  Duration `json:"maturity,omitempty" jsonschema_description:"How long after its end a block waits for labels. Default: that of monitor, or 1d."`
}

// Policy is what happens when a canary step runs out of time undecided.
type Policy string

// The policies.
const (
	PolicyRollBack Policy = "roll_back"
	PolicyHold     Policy = "hold"
)
