package models

import "time"

// LeaseRequest asks a pool for a gang of devices. RequestID is the dedupe key;
// Holder is the workflow that is signalled, and whose end frees the lease.
type LeaseRequest struct {
	RequestID string `json:"request_id"`
	Holder    string `json:"holder"`
	// HolderRun is the first run ID of the holder's chain of runs. A workflow that
	// was started again under the same ID has another one: what its predecessor
	// held belongs to a closed holder, though the ID is in use.
	HolderRun string    `json:"holder_run,omitempty"`
	Purpose   string    `json:"purpose"` // for people: "train flight-delay"
	Resources Resources `json:"resources"`
	// Avoid lists nodes that the holder just lost; used only when nothing else fits.
	Avoid []string `json:"avoid,omitempty"`
	// Exclude lists devices that the holder saw fail; never used.
	Exclude []string `json:"exclude,omitempty"`
	// Grace is how long the holder may take to checkpoint when it is preempted.
	Grace Duration `json:"grace,omitempty"`
	// UsedGPUSeconds is what the holder's job has used under earlier leases: who
	// has had less goes first.
	UsedGPUSeconds int64 `json:"used_gpu_seconds,omitempty"`
}

// LeaseRelease gives devices back, or takes a waiting request back. Releasing
// twice is success.
type LeaseRelease struct {
	RequestID string `json:"request_id"`
}

// LeaseSaved tells a pool that a lease's work up to At would survive its end:
// among preemptible leases those that would lose least go first.
type LeaseSaved struct {
	RequestID string    `json:"request_id"`
	At        time.Time `json:"at"`
}

// Lease lends devices to a holder until they are released or lost.
type Lease struct {
	LeaseRequest
	Token     int64       `json:"token"` // larger than that of every earlier lease of the pool
	Nodes     []LeaseNode `json:"nodes"` // sorted by node
	GrantedAt time.Time   `json:"granted_at"`
	SavedAt   time.Time   `json:"saved_at,omitzero"` // see LeaseSaved
	// Ending is set when the holder has been asked to give the lease back.
	Ending *LeaseEnding `json:"ending,omitempty"`
	// Growable: the holder was told that its gang could be larger.
	Growable bool `json:"growable,omitempty"`
}

// LeaseEnding is why and until when a lease must be given back.
type LeaseEnding struct {
	Reason string    `json:"reason"`
	By     time.Time `json:"by"` // after this the lease is void
}

// LeaseNode is the part of a lease on one host.
type LeaseNode struct {
	Node    string   `json:"node"`
	Address string   `json:"address"`
	Devices []Device `json:"devices"` // sorted by UUID; Milli is the leased share
	// CPUMilli and MemoryMiB are leased with the devices. 0: none are reserved.
	CPUMilli  int64 `json:"cpu_milli,omitempty"`
	MemoryMiB int64 `json:"memory_mib,omitempty"`
}

// HostsRequest asks a pool which hosts could hold a gang if they were free, so
// that a holder can have them get ready before it asks for a lease. An
// impossible gang is answered with LeaseRefused.
type HostsRequest struct {
	RequestID string    `json:"request_id"`
	Holder    string    `json:"holder"`
	Resources Resources `json:"resources"`
}

// HostsNamed answers a HostsRequest: as many hosts as the gang needs at least,
// those most likely to be granted first.
type HostsNamed struct {
	RequestID string   `json:"request_id"`
	Nodes     []string `json:"nodes"`
}

// LeaseWaiting tells a holder why its request waits.
type LeaseWaiting struct {
	RequestID string `json:"request_id"`
	Reason    string `json:"reason"`
}

// LeaseRefused tells a holder that its request is gone: it can never be
// granted, or waited longer than it wanted to.
type LeaseRefused struct {
	RequestID string `json:"request_id"`
	Reason    string `json:"reason"`
}

// LeasePreempted asks a holder to checkpoint and give its lease back.
type LeasePreempted struct {
	RequestID string `json:"request_id"`
	LeaseEnding
}

// LeaseGrowable tells the holder of a gang with fewer hosts than it may have
// that a new request now would get more.
type LeaseGrowable struct {
	RequestID string `json:"request_id"`
	Nodes     int    `json:"nodes"` // how many it would get
}

// LeaseLost tells a holder that its lease is void.
type LeaseLost struct {
	RequestID string `json:"request_id"`
	Node      string `json:"node,omitempty"`
	Device    string `json:"device,omitempty"` // UUID, when one device is the cause
	Reason    string `json:"reason"`
}

// PoolState is everything a pool knows; it survives continue-as-new.
type PoolState struct {
	Pool    string        `json:"pool"`
	Nodes   []PoolNode    `json:"nodes,omitempty"`   // sorted by node
	Leases  []Lease       `json:"leases,omitempty"`  // in order of token
	Waiting []PoolRequest `json:"waiting,omitempty"` // in order of arrival
	Tenants []Tenant      `json:"tenants,omitempty"` // sorted by name
	Shapes  []ShapeCount  `json:"shapes,omitempty"`  // sorted by key
	// Learned are the shapes as placement last learned them: it follows in steps.
	Learned   []ShapeCount `json:"learned,omitempty"`
	NextToken int64        `json:"next_token"`
	// Arrivals counts requests, to keep their order.
	Arrivals int64 `json:"arrivals,omitempty"`
	// JoinedAt is when a node was last seen for the first time.
	JoinedAt time.Time `json:"joined_at,omitzero"`
	// PlannedAt is when preemption was last considered.
	PlannedAt time.Time `json:"planned_at,omitzero"`
	// Outbox is what holders are still to be told, in order.
	Outbox []PoolMessage `json:"outbox,omitempty"`
}

// PoolMessage is what a pool tells one holder; one field is set beside Holder.
type PoolMessage struct {
	Holder    string          `json:"holder"`
	Lost      *LeaseLost      `json:"lost,omitempty"`
	Preempted *LeasePreempted `json:"preempted,omitempty"`
	Refused   *LeaseRefused   `json:"refused,omitempty"`
	Granted   *Lease          `json:"granted,omitempty"`
	Waiting   *LeaseWaiting   `json:"waiting,omitempty"`
	Growable  *LeaseGrowable  `json:"growable,omitempty"`
	Hosts     *HostsNamed     `json:"hosts,omitempty"`
}

// TellHoldersRequest delivers messages as the signals of the same names. Those
// to one holder arrive in order; a holder that has ended is passed over.
type TellHoldersRequest struct {
	Messages []PoolMessage `json:"messages"`
}

// TellPoolRequest is what a holder tells a pool, in the order of the fields. A
// pool that does not run is a KindUnavailable failure.
type TellPoolRequest struct {
	Pool    string        `json:"pool"`
	Release *LeaseRelease `json:"release,omitempty"`
	Request *LeaseRequest `json:"request,omitempty"`
	Hosts   *HostsRequest `json:"hosts,omitempty"`
}

// TellPoolResult is what the pool said at once. Empty: it was told by signal,
// and answers by signal.
type TellPoolResult struct {
	Messages []PoolMessage `json:"messages,omitempty"`
}

// PoolNode is a host as the pool sees it. A host that is down is remembered: it
// may come back, and what it could hold decides what is impossible.
type PoolNode struct {
	NodeInfo
	Down string `json:"down,omitempty"` // why; empty: up
	// DownAt is since when; a host that stays down is forgotten.
	DownAt   time.Time `json:"down_at,omitzero"`
	Cordoned string    `json:"cordoned,omitempty"` // by whom and why; empty: takes leases
	Draining bool      `json:"draining,omitempty"` // its leases are being moved
	// Quarantined are its devices out of use, sorted by UUID.
	Quarantined []Quarantine `json:"quarantined,omitempty"`
}

// Quarantine keeps one device out of use.
type Quarantine struct {
	UUID   string    `json:"uuid"`
	Reason string    `json:"reason"`
	By     string    `json:"by"` // a person, or "agent": then it ends when the agent reports the device well
	At     time.Time `json:"at"`
}

// PoolRequest is a request in the queue.
type PoolRequest struct {
	LeaseRequest
	QueuedAt time.Time `json:"queued_at"`
	Arrival  int64     `json:"arrival"`
	// ReservedAt is when it became a request for which hosts are kept free.
	ReservedAt time.Time `json:"reserved_at,omitzero"`
	// ReservedOn are those hosts, sorted.
	ReservedOn []string `json:"reserved_on,omitempty"`
	// Promised is what it gets as soon as the leases that are ending there have
	// ended.
	Promised []LeaseNode `json:"promised,omitempty"`
	// Proven: the pool's hosts could hold it when they were last all known.
	Proven bool `json:"proven,omitempty"`
}

// Tenant is who pays, and what it has used.
type Tenant struct {
	Name string `json:"name"`
	// Weight is its share relative to others. 0: 1.
	Weight float64 `json:"weight,omitempty"`
	// QuotaMilli is the most it may hold at once, in thousandths of a device.
	// 0: no limit.
	QuotaMilli int64 `json:"quota_milli,omitempty"`
	// UsedGPUSeconds decays with the pool's half-life; it is as of UsedAt.
	UsedGPUSeconds float64   `json:"used_gpu_seconds"`
	UsedAt         time.Time `json:"used_at,omitzero"`
}

// ShapeCount is how often a shape of request has come, decayed; placement keeps
// room for the usual ones.
type ShapeCount struct {
	Key       string  `json:"key"`
	Weight    float64 `json:"weight"`
	GPUs      int     `json:"gpus"`  // on one host
	Milli     int64   `json:"milli"` // of each
	CPUMilli  int64   `json:"cpu_milli,omitempty"`
	MemoryMiB int64   `json:"memory_mib,omitempty"`
	// Models are those it admits; none: any.
	Models     []string `json:"models,omitempty"`
	MIGProfile string   `json:"mig_profile,omitempty"`
}

// PoolStatus answers StatusQuery on a pool. Lists are cut to what fits into a
// payload; Counts are complete.
type PoolStatus struct {
	Pool    string        `json:"pool"`
	Counts  PoolCounts    `json:"counts"`
	Nodes   []PoolNode    `json:"nodes"`
	Leases  []Lease       `json:"leases"`
	Waiting []PoolRequest `json:"waiting"` // in the order in which they are served
	Tenants []Tenant      `json:"tenants"`
	// Reasons says why each listed request waits, by request ID.
	Reasons map[string]string `json:"reasons"`
}

// PoolCounts sums a pool up.
type PoolCounts struct {
	Nodes, NodesDown, Devices, Quarantined, Leases, Waiting int
	LeasedMilli                                             int64
}

// PoolOrder is what an operator tells a pool; the update UpdateOperate takes it
// and answers at once.
type PoolOrder struct {
	Action PoolAction `json:"action"`
	Node   string     `json:"node,omitempty"`   // cordon, uncordon, drain
	UUID   string     `json:"uuid,omitempty"`   // quarantine, unquarantine
	Tenant string     `json:"tenant,omitempty"` // quota
	// GPUs is a tenant's quota in devices; 0 lifts it.
	GPUs   float64 `json:"gpus,omitempty"`
	Weight float64 `json:"weight,omitempty"` // quota; 0: unchanged
	By     string  `json:"by"`               // who says so
	Reason string  `json:"reason,omitempty"`
}

// PoolAction is what a PoolOrder does.
type PoolAction string

// The actions.
const (
	ActionCordon       PoolAction = "cordon"       // no new leases on the node
	ActionUncordon     PoolAction = "uncordon"     // also ends a drain
	ActionDrain        PoolAction = "drain"        // cordon, and ask its leases to move
	ActionQuarantine   PoolAction = "quarantine"   // take a device out of use; its leases are void
	ActionUnquarantine PoolAction = "unquarantine" // put it back
	ActionQuota        PoolAction = "quota"        // a tenant's limit and weight
)

// PoolOrderResult says what an order did.
type PoolOrderResult struct {
	Done     string   `json:"done"`               // one sentence
	Affected []string `json:"affected,omitempty"` // purposes of the leases it ends
}
