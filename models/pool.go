package models

import "time"

// Device is one accelerator, or one MIG instance of one.
type Device struct {
	UUID      string `json:"uuid"`
	Vendor    Vendor `json:"vendor"`
	Model     string `json:"model"`
	MemoryMiB int64  `json:"memory_mib"`
	Index     int    `json:"index"` // on its host
}

// Vendor decides which visibility variable pins a process to a device.
type Vendor string

// The vendors.
const (
	VendorNVIDIA  Vendor = "nvidia"
	VendorVirtual Vendor = "virtual"
)

// NodeInfo is what an agent knows about its host.
type NodeInfo struct {
	Node    string   `json:"node"`
	Pool    string   `json:"pool"`
	Address string   `json:"address"` // other hosts reach this one here
	Devices []Device `json:"devices"` // sorted by UUID
	// Boot differs each time the agent starts.
	Boot string `json:"boot"`
}

// NodeDown tells a pool that a host is lost.
type NodeDown struct {
	Node   string `json:"node"`
	Reason string `json:"reason"`
}

// LeaseRequest asks a pool for a gang of devices. RequestID is the dedupe key;
// Holder is the workflow that is signalled, and whose end frees the lease.
type LeaseRequest struct {
	RequestID string    `json:"request_id"`
	Holder    string    `json:"holder"`
	Purpose   string    `json:"purpose"` // for people: "train flight-delay"
	Resources Resources `json:"resources"`
	// Avoid lists nodes that the holder just lost; used only when nothing else fits.
	Avoid []string `json:"avoid,omitempty"`
}

// LeaseRelease gives devices back, or takes a waiting request back. Releasing
// twice is success.
type LeaseRelease struct {
	RequestID string `json:"request_id"`
}

// Lease lends devices to a holder until they are released or lost.
type Lease struct {
	RequestID string      `json:"request_id"`
	Holder    string      `json:"holder"`
	Purpose   string      `json:"purpose"`
	Token     int64       `json:"token"` // larger than that of every earlier lease of the pool
	Nodes     []LeaseNode `json:"nodes"` // sorted by node
	GrantedAt time.Time   `json:"granted_at"`
}

// LeaseNode is the part of a lease on one host.
type LeaseNode struct {
	Node    string   `json:"node"`
	Address string   `json:"address"`
	Devices []Device `json:"devices"`
}

// LeaseLost tells a holder that its lease is void.
type LeaseLost struct {
	RequestID string `json:"request_id"`
	Node      string `json:"node"`
	Reason    string `json:"reason"`
}

// PoolState is everything a pool knows; it survives continue-as-new.
type PoolState struct {
	Pool      string         `json:"pool"`
	Nodes     []NodeInfo     `json:"nodes"`   // sorted by node
	Leases    []Lease        `json:"leases"`  // in order of token
	Waiting   []LeaseRequest `json:"waiting"` // in order of arrival
	NextToken int64          `json:"next_token"`
}

// PoolStatus answers StatusQuery on a pool.
type PoolStatus struct {
	PoolState
	// Reasons says why each waiting request waits, by request ID.
	Reasons map[string]string `json:"reasons"`
}

// NodeStatus answers StatusQuery on a node.
type NodeStatus struct {
	Info   NodeInfo `json:"info"`
	Up     bool     `json:"up"`
	Reason string   `json:"reason,omitempty"`
}
