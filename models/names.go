package models

import (
	"fmt"
	"time"
)

// TaskQueue is what workflows and light activities share; each host has a queue
// of its own, see HostQueue.
const TaskQueue = "mainspring"

// HostQueue is the task queue of one host's agent.
func HostQueue(node string) string { return "mainspring-host-" + node }

// Workflow types.
const (
	LifecycleWorkflow    = "Lifecycle"
	PrepareDataWorkflow  = "PrepareData"
	TrainWorkflow        = "Train"
	EvaluateWorkflow     = "Evaluate"
	ModelStewardWorkflow = "ModelSteward"
	RolloutWorkflow      = "Rollout"
	ServeWorkflow        = "Serve"
	MonitorWorkflow      = "Monitor"
	GPUPoolWorkflow      = "GPUPool"
	NodeWorkflow         = "Node"
	RetrainWorkflow      = "Retrain"
)

// DefaultPool is the pool that a spec without one leases from.
const DefaultPool = "default"

// StatusQuery is answered by every workflow with its own status type.
const StatusQuery = "status"

// Signals, by receiver.
const (
	// GPUPool
	SignalRequestLease = "request-lease" // LeaseRequest
	SignalReleaseLease = "release-lease" // LeaseRelease
	SignalNodeUp       = "node-up"       // NodeInfo
	SignalNodeDown     = "node-down"     // NodeDown
	SignalLeaseSaved   = "lease-saved"   // LeaseSaved
	SignalRequestHosts = "request-hosts" // HostsRequest
	// holders of leases (Train, Serve)
	SignalLeaseGranted   = "lease-granted"   // Lease
	SignalLeaseLost      = "lease-lost"      // LeaseLost
	SignalLeaseWaiting   = "lease-waiting"   // LeaseWaiting
	SignalLeaseRefused   = "lease-refused"   // LeaseRefused
	SignalLeasePreempted = "lease-preempted" // LeasePreempted
	SignalLeaseGrowable  = "lease-growable"  // LeaseGrowable
	SignalHostsNamed     = "hosts-named"     // HostsNamed
	// Train
	SignalTopUp = "top-up" // TopUp
	// Node
	SignalInventory = "inventory" // NodeInfo
	// ModelSteward
	SignalRegister        = "register"         // RegisterRequest
	SignalRequestApproval = "request-approval" // ApprovalRequest
	SignalRollOut         = "roll-out"         // RollOutRequest
	SignalRetrain         = "retrain"          // RetrainRequest
	SignalWithdraw        = "withdraw"         // Withdrawal
	SignalLifecycleClosed = "lifecycle-closed" // LifecycleClosed
	// Lifecycle
	SignalRegistered = "registered" // RegisterReply
	SignalApproved   = "approved"   // ApprovalReply
	SignalRolledOut  = "rolled-out" // RollOutReply
	// Rollout
	SignalServeReady  = "serve-ready"  // ServeReady
	SignalServeFailed = "serve-failed" // ServeFailed
	// Serve
	SignalStop = "stop" // StopServe
	SignalTell = "tell" // TellServe
	// Monitor
	SignalWatch          = "watch"           // WatchRequest: a new champion to watch
	SignalCheck          = "check"           // no argument: look now rather than at the next poll
	SignalRetrainSettled = "retrain-settled" // RetrainSettled; to Retrain as well
)

// UpdateOperate is the update by which an operator tells a GPUPool something:
// PoolOrder in, PoolOrderResult out.
const UpdateOperate = "operate"

// UpdateAsk is the update by which a holder asks a GPUPool and is answered at
// once: TellPoolRequest in, TellPoolResult out. The signals request-lease,
// release-lease and request-hosts do the same without an answer at once.
const UpdateAsk = "ask"

// Updates by which a person tells a ModelSteward something.
const (
	UpdateDecide   = "decide"    // ApprovalDecision in, Approval out
	UpdateRollBack = "roll-back" // RollBackOrder in, RollBackResult out
	UpdateAliases  = "aliases"   // AliasOrder in, AliasReport out
)

// UpdateMonitor is the update by which a person tells a Monitor something:
// MonitorOrder in, MonitorStatus out.
const UpdateMonitor = "monitor-order"

// UpdateRollout is the update by which a person pauses, resumes, aborts or
// promotes a Rollout: RolloutOrder in, RolloutStatus out.
const UpdateRollout = "order"

// ExplainQuery asks a GPUPool why one request waits: request ID in, sentence
// out; empty when it does not wait.
const ExplainQuery = "explain"

// Search attributes; each is a Keyword.
const (
	AttributeModel    = "MainspringModel"
	AttributeStage    = "MainspringStage"
	AttributeVersion  = "MainspringVersion"
	AttributeVerdict  = "MainspringVerdict"
	AttributeEndpoint = "MainspringEndpoint"
)

// LifecycleID is the workflow ID of the lifecycle of model with a key that
// names the occasion, such as "2013-08-04".
func LifecycleID(model, key string) string { return fmt.Sprintf("lifecycle/%s/%s", model, key) }

// StageID is the workflow ID of a lifecycle's stage.
func StageID(lifecycle string, stage Stage) string { return lifecycle + "/" + string(stage) }

// StewardID is the workflow ID of the model's steward.
func StewardID(model string) string { return "model/" + model }

// RolloutID is the workflow ID of the rollout of one version.
func RolloutID(model, version string) string {
	return fmt.Sprintf("%s/rollout-%s", StewardID(model), version)
}

// ServeID is the workflow ID that keeps one version's replicas alive.
func ServeID(endpoint, version string) string { return fmt.Sprintf("serve/%s/%s", endpoint, version) }

// MonitorID is the workflow ID of an endpoint's monitor.
func MonitorID(endpoint string) string { return "monitor/" + endpoint }

// RetrainID is the workflow ID, and the schedule's, of a model's retrainings by
// schedule; Temporal adds the time to each run's.
func RetrainID(model string) string { return "retrain/" + model }

// PoolID is the workflow ID of a device pool.
func PoolID(pool string) string { return "pool/" + pool }

// NodeID is the workflow ID of a host.
func NodeID(node string) string { return "node/" + node }

// DayKey writes the event-time day of t, as in partitions and lifecycle keys.
func DayKey(t time.Time) string { return t.UTC().Format(time.DateOnly) }
