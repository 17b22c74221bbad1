package fit

import (
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// kind is what requests can ask of a device.
type kind struct {
	model     int
	memoryMiB int64
	profile   string
}

// node is a host with what is free on it now.
type node struct {
	Host
	groups      []group // devices in use, by kind
	cpu, memory int64   // free
	version     uint64  // differs after every change

	value                    float64 // of the present state, see before
	valueVersion, valueEpoch uint64
}

// group is the devices of one kind on one host, sorted by UUID.
type group struct {
	kind    int
	devices []int // positions in the inventory
	free    []int64
}

// refresh computes what is free on a node. It is the only place that does, so
// that the index can't drift from what was taken.
func (c *Cluster) refresh(n *node) {
	c.change++
	n.version = c.change
	held := taken{}
	if t := c.taken[n.Node]; t != nil {
		held = *t
	}
	n.cpu, n.memory = max(n.CPUMilli-held.cpu, 0), max(n.MemoryMiB-held.memory, 0)
	if n.groups == nil || c.stale {
		n.groups = c.group(n)
	}
	for i := range n.groups {
		g := &n.groups[i]
		for j, at := range g.devices {
			g.free[j] = max(models.WholeGPU-c.used[n.Devices[at].UUID], 0)
		}
	}
}

// group sorts a host's usable devices into kinds. A GPU that is cut into MIG
// instances is used through them only.
func (c *Cluster) group(n *node) []group {
	groups := []group{}
	order := make([]int, len(n.Devices))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(n.Devices[a].UUID, n.Devices[b].UUID) })
	for i, at := range order {
		d := n.Devices[at]
		if i > 0 && n.Devices[order[i-1]].UUID == d.UUID || slices.Contains(n.Out, d.UUID) || !c.owns(n, d.UUID) ||
			slices.ContainsFunc(n.Devices, func(o models.Device) bool { return o.Parent == d.UUID }) {
			continue
		}
		k := c.kindOf(d)
		of := slices.IndexFunc(groups, func(g group) bool { return g.kind == k })
		if of < 0 {
			of = len(groups)
			groups = append(groups, group{kind: k})
		}
		groups[of].devices = append(groups[of].devices, at)
		groups[of].free = append(groups[of].free, 0)
	}
	slices.SortFunc(groups, func(a, b group) int { return c.compareKinds(a.kind, b.kind) })
	return groups
}

func (c *Cluster) kindOf(d models.Device) int {
	m := slices.Index(c.models, d.Model)
	if m < 0 {
		m = len(c.models)
		c.models = append(c.models, d.Model)
	}
	k := kind{model: m, memoryMiB: d.MemoryMiB, profile: d.MIGProfile}
	at := slices.Index(c.kinds, k)
	if at < 0 {
		at = len(c.kinds)
		c.kinds = append(c.kinds, k)
		c.scorer.epoch = 0 // it has to learn which shapes admit the kind
	}
	return at
}

func (c *Cluster) compareKinds(a, b int) int {
	ka, kb := c.kinds[a], c.kinds[b]
	if order := strings.Compare(c.models[ka.model], c.models[kb.model]); order != 0 {
		return order
	}
	if ka.memoryMiB != kb.memoryMiB {
		return int(ka.memoryMiB - kb.memoryMiB)
	}
	return strings.Compare(ka.profile, kb.profile)
}
