package models

import (
	"context"
	"time"
)

// ServeInput is the input of the Serve workflow.
type ServeInput struct {
	Model    string        `json:"model"`
	Version  string        `json:"version"`
	Deploy   DeploySpec    `json:"deploy"`
	Artifact ModelArtifact `json:"artifact"`
	// Signature is the version's; nil: it has none.
	Signature *Signature `json:"signature,omitempty"`
	// Prediction names the output that holds the prediction, for a server whose
	// protocol has no names.
	Prediction string `json:"prediction,omitempty"`
	Task       Task   `json:"task,omitempty"`
	// Notify is the workflow that gets SignalServeReady or SignalServeFailed.
	Notify string `json:"notify,omitempty"`
	// Prior is set by continue-as-new.
	Prior *ServeState `json:"prior,omitempty"`
}

// ServeReady says that every replica answers.
type ServeReady struct {
	Version  string    `json:"version"`
	Replicas []Replica `json:"replicas"`
}

// ServeFailed says that the version can't be served.
type ServeFailed struct {
	Version string `json:"version"`
	Reason  string `json:"reason"`
}

// TellServe names a workflow that wants SignalServeReady or SignalServeFailed
// from a Serve that runs already; it takes the place of ServeInput.Notify. A
// Serve that is ready tells it at once, one that is on its way out does not.
type TellServe struct {
	Notify string `json:"notify"`
}

// StopServe ends a Serve workflow and its servers.
type StopServe struct {
	Reason string `json:"reason"`
}

// ServeStatus answers StatusQuery on a Serve workflow.
type ServeStatus struct {
	Version  string    `json:"version"`
	Replicas []Replica `json:"replicas"` // the ready ones
	Waiting  string    `json:"waiting,omitempty"`
	Restarts int       `json:"restarts"`
	// Crashes counts the ends of servers that nobody asked for.
	Crashes int `json:"crashes,omitempty"`
	// Troubles are the last such end of each replica that had one.
	Troubles []ReplicaTrouble `json:"troubles,omitempty"`
}

// ReplicaTrouble is a replica's last crash, and how often there was one.
type ReplicaTrouble struct {
	Replica int       `json:"replica"`
	Node    string    `json:"node,omitempty"`
	At      time.Time `json:"at"`
	ReplicaExit
	Crashes int `json:"crashes"`
	// InARow counts those since the replica was last ready for a while; the pause
	// before the next start grows with it.
	InARow int `json:"in_a_row"`
}

// ServeState is what a Serve workflow carries to its next run.
type ServeState struct {
	Replicas []ReplicaState `json:"replicas"`       // by index
	Told     bool           `json:"told,omitempty"` // Notify has been told
	// Proven: all replicas were ready at one time, and the version is never given
	// up.
	Proven bool `json:"proven,omitempty"`
}

// ReplicaState is one replica between two runs: it waits for a lease, or has
// one and a server under it, or neither.
type ReplicaState struct {
	Starts  int             `json:"starts"`
	Trouble *ReplicaTrouble `json:"trouble,omitempty"` // nil: never
	Avoid   []string        `json:"avoid,omitempty"`   // hosts that it had to leave last
	Request *LeaseRequest   `json:"request,omitempty"`
	Lease   *Lease          `json:"lease,omitempty"`
	Ready   *Replica        `json:"ready,omitempty"`
	ReadyAt time.Time       `json:"ready_at,omitzero"`
}

// StartReplicaRequest asks an agent for a model server.
type StartReplicaRequest struct {
	Endpoint string        `json:"endpoint"`
	Version  string        `json:"version"`
	Replica  int           `json:"replica"`
	Token    int64         `json:"token"`
	Node     LeaseNode     `json:"node"`
	Artifact ModelArtifact `json:"artifact"`
	// Signature is checked against the host's trusted keys.
	Signature *Signature `json:"signature,omitempty"`
	// RequireSignature refuses a version without one. The host's own policy may
	// do so as well.
	RequireSignature bool `json:"require_signature,omitempty"`
	// Server is what answers; its zero value is the built-in server.
	Server     ServerSpec `json:"server,omitzero"`
	Prediction string     `json:"prediction,omitempty"`
	Task       Task       `json:"task,omitempty"`
}

// Replica is a ready model server.
type Replica struct {
	Replica int    `json:"replica"`
	Node    string `json:"node"`
	URL     string `json:"url"` // http://host:port
	Token   int64  `json:"token"`
}

// WatchReplicaRequest names the server to watch.
type WatchReplicaRequest struct {
	Endpoint string    `json:"endpoint"`
	Version  string    `json:"version"`
	Replica  Replica   `json:"replica"`
	Node     LeaseNode `json:"node"`
	// Server is the one that was started; its secrets are kept out of what is
	// quoted of its log.
	Server ServerSpec `json:"server,omitzero"`
}

// ReplicaExit says why a server ended.
type ReplicaExit struct {
	Reason string `json:"reason"`
	// Log are the last lines that the server wrote.
	Log string `json:"log,omitempty"`
}

// Route is an endpoint's traffic table. An older generation never replaces a
// newer one.
type Route struct {
	Endpoint   string `json:"endpoint"`
	Model      string `json:"model"`
	Generation int64  `json:"generation"`
	Arms       []Arm  `json:"arms"` // weights add up to 1; those of shadows are 0
	Reason     string `json:"reason"`
	// Traffic, with its defaults filled in, is the champion's.
	Traffic TrafficSpec `json:"traffic,omitzero"`
	Task    Task        `json:"task,omitempty"` // of the model, for labels
	// SlowAbove is the latency above which an answer counts as slow; 0: none
	// does.
	SlowAbove Duration `json:"slow_above,omitempty"`
	// Block is the length of the blocks that the gateways count in; 0: they
	// count totals only.
	Block Duration `json:"block,omitempty"`
}

// Arm is one version's share of the traffic.
type Arm struct {
	Version string  `json:"version"`
	Role    Role    `json:"role"`
	Weight  float64 `json:"weight"` // 0 to 1
	// Shadow is the share of the champion's requests that are copied to this
	// arm, 0 to 1.
	Shadow float64 `json:"shadow,omitempty"`
}

// Role is what a version does on an endpoint.
type Role string

// The roles.
const (
	RoleChampion Role = "champion"
	RoleCanary   Role = "canary"
	RoleShadow   Role = "shadow"
)

// Replicas are the addresses of one version's ready servers, kept apart from
// the route so that a server can move without anyone touching the weights.
type Replicas struct {
	Endpoint string   `json:"endpoint"`
	Version  string   `json:"version"`
	URLs     []string `json:"urls"` // sorted
}

// ReadArmsRequest asks for the counters of some route generations. It returns
// as soon as the newest generation has MinNew canary requests more than Seen,
// or after Wait.
type ReadArmsRequest struct {
	Endpoint    string   `json:"endpoint"`
	Generations []int64  `json:"generations"` // sorted
	Canary      string   `json:"canary"`      // version
	Seen        int64    `json:"seen"`
	MinNew      int64    `json:"min_new"`
	Wait        Duration `json:"wait"`
	// Champion and After ask for the blocks of the newest generation that start
	// at After or later and have ended on every gateway that lives, which is one
	// that wrote its counters within the last 15 s by the reader's clock; with
	// them, a new block is worth returning for as well.
	Champion string    `json:"champion,omitempty"`
	After    time.Time `json:"after,omitzero"`
	Block    Duration  `json:"block,omitempty"` // 0: no blocks
	// MinBlocks is how many new blocks with canary requests are worth returning
	// for; 0: one.
	MinBlocks int `json:"min_blocks,omitempty"`
}

// ArmCounts are one version's counters under one route generation, summed over
// all gateways.
type ArmCounts struct {
	Generation int64   `json:"generation"`
	Version    string  `json:"version"`
	Requests   int64   `json:"requests"`
	Errors     int64   `json:"errors"`         // answers the client must count as failed: 5xx, time-outs
	Slow       int64   `json:"slow,omitempty"` // answers above the route's SlowAbove
	P50Millis  float64 `json:"p50_ms"`
	P99Millis  float64 `json:"p99_ms"`
	// Latency has one count per bound of LatencyBounds and one for everything
	// above; of the newest generation only.
	Latency []int64 `json:"latency,omitempty"`
}

// ArmReading is sorted by generation and version.
type ArmReading struct {
	Arms []ArmCounts `json:"arms"`
	// Blocks are the ended ones that were asked for, oldest first, at most a few
	// hundred; More says that others wait. Each is returned once for a growing
	// After: what a gateway writes for a block after it was returned is left out.
	Blocks []CanaryBlock `json:"blocks,omitempty"`
	More   bool          `json:"more,omitempty"`
	// Next is what After has to be in the next request.
	Next time.Time `json:"next,omitzero"`
}

// Routing publishes what the gateways follow and reads what they count.
type Routing interface {
	// PublishRoute is idempotent for an equal route and fails with
	// KindStaleRoute when a newer generation, or another route of the same
	// generation, is in place.
	PublishRoute(context.Context, Route) error
	// ReadRoute returns generation 0 when there is no route yet.
	ReadRoute(ctx context.Context, endpoint string) (Route, error)
	PublishReplicas(context.Context, Replicas) error
	ReadArms(context.Context, ReadArmsRequest) (ArmReading, error)
}
