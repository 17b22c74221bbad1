package models

// Resources is a gang of devices, leased all together or not at all. Its shape
// is written in one of two ways: Nodes hosts with GPUsPerNode devices on each,
// or GPUs devices in total, packed onto few hosts or spread over many.
//
// Devices are whole unless GPUMilli says otherwise. CPUs and Memory are leased
// with the devices and enforced on the host.
type Resources struct {
	Pool string `json:"pool,omitempty" jsonschema_description:"Pool to lease from. Default: default."`

	Nodes       int       `json:"nodes,omitempty" jsonschema_description:"Number of hosts. Default: 1."`
	MinNodes    int       `json:"min_nodes,omitempty" jsonschema_description:"Fewest hosts to start with; the gang grows to nodes when more become free. Default: nodes."`
	GPUsPerNode int       `json:"gpus_per_node,omitempty" jsonschema_description:"Devices on each host. Default: 1."`
	GPUs        int       `json:"gpus,omitempty" jsonschema_description:"Devices in total, instead of nodes and gpus_per_node."`
	Placement   Placement `json:"placement,omitempty" jsonschema_description:"How gpus are laid out: pack (default) on as few hosts as possible, or spread over as many."`

	DeviceModel  string   `json:"device_model,omitempty" jsonschema_description:"Only devices whose model contains this, such as H200; letter case does not matter."`
	DeviceModels []string `json:"device_models,omitempty" jsonschema_description:"Only devices whose model contains one of these. All devices of a gang are of one model."`
	DeviceMemory Bytes    `json:"device_memory,omitempty" jsonschema_description:"Only devices with at least this much memory, such as 40GiB."`
	MIGProfile   string   `json:"mig_profile,omitempty" jsonschema_description:"Only MIG instances of this profile, such as 1g.10gb. Without it, only whole GPUs."`
	GPUMilli     int64    `json:"gpu_milli,omitempty" jsonschema_description:"Share of each device in thousandths; several leases may share one device up to 1000. Default: 1000, the whole device."`
	UUIDs        []string `json:"uuids,omitempty" jsonschema_description:"Exactly these devices, by UUID, instead of any shape."`

	NodeLabels   map[string]string `json:"node_labels,omitempty" jsonschema_description:"Only hosts with all these labels, such as {region: eu-west, spot: 'false'}."`
	CPUsPerGPU   float64           `json:"cpus_per_gpu,omitempty" jsonschema_description:"Host cores leased with each device; ranks are pinned to them. 0: none are reserved."`
	MemoryPerGPU Bytes             `json:"memory_per_gpu,omitempty" jsonschema_description:"Host memory leased with each device; ranks are limited to it where cgroup v2 allows. 0: none is reserved."`

	Tenant      string   `json:"tenant,omitempty" jsonschema_description:"Who pays: fair share and quotas are counted by tenant. Default: default."`
	Priority    int      `json:"priority,omitempty" jsonschema_description:"Higher goes first, whatever the fair share says. Default: 0."`
	Preemptible bool     `json:"preemptible,omitempty" jsonschema_description:"May be asked to checkpoint and give way to others; it is resumed later."`
	MinRuntime  Duration `json:"min_runtime,omitempty" jsonschema_description:"A preemptible lease is left alone for so long. Default: 10m."`
	MaxWait     Duration `json:"max_wait,omitempty" jsonschema_description:"Give up when the devices are not there after so long. 0: wait for as long as it takes."`
}

// Placement is how a total of devices is laid out over hosts.
type Placement string

// The placements.
const (
	PlacementPack   Placement = "pack"
	PlacementSpread Placement = "spread"
)

// WholeGPU is a whole device in thousandths.
const WholeGPU = 1000

// DefaultTenant pays for requests that name nobody.
const DefaultTenant = "default"
