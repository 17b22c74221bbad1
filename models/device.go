package models

import "time"

// Device is one accelerator, or one MIG instance of one.
type Device struct {
	UUID      string `json:"uuid"`
	Vendor    Vendor `json:"vendor"`
	Model     string `json:"model"`
	MemoryMiB int64  `json:"memory_mib"`
	Index     int    `json:"index"` // on its host

	Parent     string `json:"parent,omitempty"`      // UUID of the GPU that a MIG instance is part of
	MIGProfile string `json:"mig_profile,omitempty"` // such as 1g.10gb; empty: a whole device
	// NUMANode is the host's memory node next to the device; nil: unknown.
	NUMANode *int   `json:"numa_node,omitempty"`
	CPUs     string `json:"cpus,omitempty"` // cores next to the device, such as "0-15,32-47"; empty: unknown
	// Links are the UUIDs of devices on the same host that are reached over
	// NVLink, XGMI or the like, sorted.
	Links []string `json:"links,omitempty"`
	// Milli is the leased share in thousandths, in a lease. 0: the whole.
	Milli int64 `json:"milli,omitempty"`
	// Fault is what is wrong with the device; nil: nothing.
	Fault *DeviceFault `json:"fault,omitempty"`
}

// Share is the leased part of the device in thousandths.
func (d Device) Share() int64 {
	if d.Milli == 0 {
		return WholeGPU
	}
	return d.Milli
}

// DeviceFault is a device's failure, as its agent saw it.
type DeviceFault struct {
	Code   string      `json:"code"` // such as "XID 79"
	Action FaultAction `json:"action"`
	Reason string      `json:"reason"` // for people
	// At tells a new fault from one that was told before.
	At time.Time `json:"at"`
}

// FaultAction is what a fault means for leases and device.
type FaultAction string

// The actions. A fault that means nothing is not told.
const (
	// FaultQuarantine voids the device's leases and takes the device out of use
	// until the agent reports it without a fault.
	FaultQuarantine FaultAction = "quarantine"
	// FaultRestart voids the device's leases; the device stays in use.
	FaultRestart FaultAction = "restart"
)

// Vendor decides which visibility variable pins a process to a device.
type Vendor string

// The vendors.
const (
	VendorNVIDIA  Vendor = "nvidia"
	VendorAMD     Vendor = "amd"
	VendorIntel   Vendor = "intel"
	VendorTPU     Vendor = "tpu"
	VendorNeuron  Vendor = "neuron"
	VendorVirtual Vendor = "virtual"
)

// NodeInfo is what an agent knows about its host.
type NodeInfo struct {
	Node    string   `json:"node"`
	Pool    string   `json:"pool"`
	Address string   `json:"address"` // other hosts reach this one here
	Devices []Device `json:"devices"` // sorted by UUID
	// Labels are told to the agent, such as cloud, region, zone and spot.
	Labels map[string]string `json:"labels,omitempty"`
	// CPUMilli and MemoryMiB are what the host has to lease: cores in
	// thousandths, and memory. 0: unknown, and requests for them do not fit.
	CPUMilli  int64 `json:"cpu_milli,omitempty"`
	MemoryMiB int64 `json:"memory_mib,omitempty"`
	// Boot differs each time the agent starts.
	Boot string `json:"boot"`
	// At is set by the node's workflow: when it told the pool. A pool that hears
	// of several changes at once takes them in this order.
	At time.Time `json:"at,omitzero"`
}

// NodeDown tells a pool that a host is lost.
type NodeDown struct {
	Node   string    `json:"node"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at,omitzero"` // see NodeInfo
}

// NodeStatus answers StatusQuery on a node.
type NodeStatus struct {
	Info   NodeInfo `json:"info"`
	Up     bool     `json:"up"`
	Reason string   `json:"reason,omitempty"`
}
