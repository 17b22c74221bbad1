package models

import (
	"maps"
	"slices"
)

func (r Resources) check(at section) {
	at.name("pool", r.Pool)
	at.name("tenant", r.Tenant)
	r.checkShape(at)
	r.checkDevices(at)
	at.check(r.CPUsPerGPU >= 0, "cpus_per_gpu", "", "is %v; it must not be below 0", r.CPUsPerGPU)
	at.check(r.MemoryPerGPU >= 0, "memory_per_gpu", "", "is %s; it must not be below 0", r.MemoryPerGPU)
	for _, label := range slices.Sorted(maps.Keys(r.NodeLabels)) {
		at.check(label != "", "node_labels", "", "has an empty name")
	}
	at.check(r.MinRuntime >= 0, "min_runtime", "", "is %s; it must not be below 0", r.MinRuntime)
	at.check(r.MaxWait >= 0, "max_wait", "", "is %s; it must not be below 0", r.MaxWait)
}

// checkShape wants one of the three ways to say how many devices and where.
func (r Resources) checkShape(at section) {
	const one = "write nodes and gpus_per_node, or gpus, or uuids"
	switch {
	case len(r.UUIDs) > 0:
		at.check(r.Nodes == 0 && r.GPUsPerNode == 0 && r.GPUs == 0, "uuids", one, "names the devices, and a shape is given as well")
	case r.GPUs != 0:
		at.atLeast("gpus", int64(r.GPUs), 1)
		at.check(r.Nodes == 0 && r.GPUsPerNode == 0, "gpus", one, "is given together with nodes or gpus_per_node")
		at.check(r.MinNodes == 0, "min_nodes", "write nodes and gpus_per_node", "is given together with gpus, which says nothing of hosts")
		oneOf(at, "placement", r.Placement, PlacementPack, PlacementSpread)
		return
	default:
		at.atLeast("nodes", int64(r.Nodes), 1)
		at.atLeast("gpus_per_node", int64(r.GPUsPerNode), 1)
		at.check(r.Nodes < 1 || r.MinNodes >= 1 && r.MinNodes <= r.Nodes, "min_nodes", "", "is %d; it must be between 1 and nodes (%d)", r.MinNodes, r.Nodes)
	}
	at.check(r.Placement == "", "placement", one, "is given without gpus")
}

func (r Resources) checkDevices(at section) {
	at.check(r.DeviceMemory >= 0, "device_memory", "", "is %s; it must not be below 0", r.DeviceMemory)
	at.check(r.GPUMilli >= 1 && r.GPUMilli <= WholeGPU, "gpu_milli", "", "is %d; it must be between 1 and %d", r.GPUMilli, WholeGPU)
	seen := map[string]bool{}
	for i, uuid := range r.UUIDs {
		at.check(uuid != "", index("uuids", i), "", "is empty")
		at.check(!seen[uuid], index("uuids", i), "", "%q is listed twice", uuid)
		seen[uuid] = true
	}
	for i, model := range r.DeviceModels {
		at.check(model != "", index("device_models", i), "", "is empty")
	}
}
