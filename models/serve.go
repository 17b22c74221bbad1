package models

import "context"

// ServeInput is the input of the Serve workflow.
type ServeInput struct {
	Model    string        `json:"model"`
	Version  string        `json:"version"`
	Deploy   DeploySpec    `json:"deploy"`
	Artifact ModelArtifact `json:"artifact"`
	// Signature is the version's; nil: it has none.
	Signature *Signature `json:"signature,omitempty"`
	// Notify is the workflow that gets SignalServeReady or SignalServeFailed.
	Notify string `json:"notify,omitempty"`
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
}

// ReplicaExit says why a server ended.
type ReplicaExit struct {
	Reason string `json:"reason"`
}

// Route is an endpoint's traffic table. An older generation never replaces a
// newer one.
type Route struct {
	Endpoint   string `json:"endpoint"`
	Model      string `json:"model"`
	Generation int64  `json:"generation"`
	Arms       []Arm  `json:"arms"` // weights add up to 1
	Reason     string `json:"reason"`
}

// Arm is one version's share of the traffic.
type Arm struct {
	Version string  `json:"version"`
	Role    Role    `json:"role"`
	Weight  float64 `json:"weight"` // 0 to 1
}

// Role is what a version does on an endpoint.
type Role string

// The roles.
const (
	RoleChampion Role = "champion"
	RoleCanary   Role = "canary"
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
}

// ArmCounts are one version's counters under one route generation, summed over
// all gateways.
type ArmCounts struct {
	Generation int64   `json:"generation"`
	Version    string  `json:"version"`
	Requests   int64   `json:"requests"`
	Errors     int64   `json:"errors"` // answers the client must count as failed: 5xx, time-outs
	P50Millis  float64 `json:"p50_ms"`
	P99Millis  float64 `json:"p99_ms"`
}

// ArmReading is sorted by generation and version.
type ArmReading struct {
	Arms []ArmCounts `json:"arms"`
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
