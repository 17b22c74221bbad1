// Package fit knows which devices, cores and memory of a pool's hosts are free,
// and chooses where a gang goes. It holds no queue and knows no time.
//
// Vocabulary: a kind is what devices have in common that requests ask for
// (model, memory, MIG profile). A shape is what a gang asks of one host. The mix
// is how often each shape has been asked for. Free thousandths of devices are
// lost to a shape on a host where it can't run; the policy places a gang where
// it adds least to the loss that the mix expects. See docs/placement.md.
package fit

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Gang is the shape of a request, as the index needs it. The zero value of a
// filter admits everything.
type Gang struct {
	// Either nodes × PerNode, with MinNodes <= nodes <= MaxNodes, or Total
	// devices packed or spread, or exactly the devices UUIDs.
	MinNodes, MaxNodes, PerNode int
	Total                       int
	Spread                      bool
	UUIDs                       []string

	Milli      int64 // share of each device, 1 to 1000; 0: 1000
	Models     []string
	MemoryMiB  int64 // of each device
	MIGProfile string
	Labels     map[string]string
	// CPUMilli and HostMemoryMiB are taken on the host with each device.
	CPUMilli      int64
	HostMemoryMiB int64
	// NodeCPUMilli and NodeMemoryMiB are taken once on each host, besides; with
	// them a gang of no devices (PerNode 0) has a shape too.
	NodeCPUMilli  int64
	NodeMemoryMiB int64

	Avoid   []string // nodes that come last
	Exclude []string // devices that are never used
}

// GangOf reads a request.
func GangOf(request models.LeaseRequest) Gang {
	r := request.Resources.WithDefaults()
	g := Gang{
		MinNodes: r.MinNodes, MaxNodes: r.Nodes, PerNode: r.GPUsPerNode, Total: r.GPUs, Spread: r.Placement == models.PlacementSpread,
		UUIDs: r.UUIDs, Milli: r.GPUMilli, Models: r.DeviceModels, MemoryMiB: (int64(r.DeviceMemory) + 1<<20 - 1) >> 20,
		MIGProfile: r.MIGProfile, Labels: r.NodeLabels, CPUMilli: int64(r.CPUsPerGPU*1000 + 0.5),
		HostMemoryMiB: (int64(r.MemoryPerGPU) + 1<<20 - 1) >> 20, Avoid: request.Avoid, Exclude: request.Exclude,
	}
	if r.DeviceModel != "" {
		g.Models = append([]string{r.DeviceModel}, g.Models...)
	}
	return g
}

// Host is one host's inventory, and what of it may be used for new leases.
type Host struct {
	models.NodeInfo
	Closed bool     // down or cordoned: nothing new, but it counts for what is possible
	Out    []string // devices out of use
}

// Room is how many of a gang's devices one host could give now.
type Room struct {
	Node    string
	Devices int
	Model   string
}

// Cluster is an index of hosts and of what is free on them. It is not safe for
// concurrent use. Equal calls in equal order give equal answers.
type Cluster struct {
	nodes  []*node // sorted by name
	byName map[string]*node
	claims map[string][]*node // by UUID, sorted by name: a device that moved is known to two hosts

	used  map[string]int64  // milli by UUID; asked, never ranged over
	taken map[string]*taken // by node, likewise; kept when the node is forgotten

	kinds  []kind
	models []string         // names; their order is that of arrival, so never compare by index
	byKind [][]*node        // by model: the nodes with such devices, sorted by name
	hosts  []*node          // every node, for gangs of no devices
	needs  map[string]*need // by shape: scores that are still true
	stale  bool             // byKind and needs have to be made anew
	change uint64           // counts what happens to nodes

	policy Policy
	mix    mix
	scorer scorer

	scratch scratch
}

// taken is what leases hold of a host besides devices.
type taken struct{ cpu, memory int64 }

// New returns an empty index with the default policy.
func New() *Cluster { return NewWith(PolicyDefault) }

// NewWith returns an empty index with a policy; all but the default are there to
// be compared with.
func NewWith(policy Policy) *Cluster {
	c := &Cluster{byName: map[string]*node{}, claims: map[string][]*node{}, used: map[string]int64{}, taken: map[string]*taken{},
		stale: true, policy: policy}
	return c
}

// Upsert adds a host or replaces its inventory. What is taken on it stays
// taken, by UUID.
func (c *Cluster) Upsert(host Host) {
	n, known := c.byName[host.Node]
	if known {
		c.unclaim(n)
	} else {
		n = &node{}
		at, _ := c.find(host.Node)
		c.nodes = slices.Insert(c.nodes, at, n)
		c.byName[host.Node] = n
	}
	n.Host = host
	for _, d := range host.Devices {
		owners := c.claims[d.UUID]
		if slices.Contains(owners, n) {
			continue // listed twice
		}
		at, _ := slices.BinarySearchFunc(owners, host.Node, byName)
		c.claims[d.UUID] = slices.Insert(owners, at, n)
	}
	c.stale = true
	c.refreshWith(n)
}

// Remove forgets a host.
func (c *Cluster) Remove(name string) {
	n, known := c.byName[name]
	if !known {
		return
	}
	c.unclaim(n)
	delete(c.byName, name)
	at, _ := c.find(name)
	c.nodes = slices.Delete(c.nodes, at, at+1)
	c.stale = true
	for _, d := range n.Devices {
		for _, other := range c.claims[d.UUID] {
			c.refresh(other)
		}
	}
}

// Take marks what a lease holds as taken.
func (c *Cluster) Take(parts []models.LeaseNode) { c.add(parts, 1) }

// Give is the reverse of Take.
func (c *Cluster) Give(parts []models.LeaseNode) { c.add(parts, -1) }

func (c *Cluster) add(parts []models.LeaseNode, sign int64) {
	for _, part := range parts {
		t := c.taken[part.Node]
		if t == nil {
			t = &taken{}
			c.taken[part.Node] = t
		}
		t.cpu += sign * part.CPUMilli
		t.memory += sign * part.MemoryMiB
		if *t == (taken{}) {
			delete(c.taken, part.Node)
		}
		for _, d := range part.Devices {
			if c.used[d.UUID] += sign * d.Share(); c.used[d.UUID] == 0 {
				delete(c.used, d.UUID)
			}
		}
		if n := c.byName[part.Node]; n != nil {
			c.refresh(n)
		}
		for _, d := range part.Devices {
			for _, n := range c.claims[d.UUID] {
				if n.Node != part.Node {
					c.refresh(n)
				}
			}
		}
	}
}

func byName(n *node, name string) int { return strings.Compare(n.Node, name) }

func (c *Cluster) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.nodes, name, byName)
}

func (c *Cluster) unclaim(n *node) {
	for _, d := range n.Devices {
		owners := slices.DeleteFunc(c.claims[d.UUID], func(o *node) bool { return o == n })
		if len(owners) == 0 {
			delete(c.claims, d.UUID)
		} else {
			c.claims[d.UUID] = owners
		}
	}
}

// refreshWith refreshes a node and those that claim a device of its.
func (c *Cluster) refreshWith(n *node) {
	c.refresh(n)
	for _, d := range n.Devices {
		for _, other := range c.claims[d.UUID] {
			if other != n {
				c.refresh(other)
			}
		}
	}
}

// owns says whether a node is the one that offers a device: the first open host
// that has it, else the first.
func (c *Cluster) owns(n *node, uuid string) bool {
	owners := c.claims[uuid]
	if len(owners) == 1 {
		return true
	}
	open := slices.IndexFunc(owners, func(o *node) bool { return !o.Closed })
	return owners[max(open, 0)] == n
}

// layout sorts nodes into their models again, after hosts came or changed.
func (c *Cluster) layout() {
	if !c.stale {
		return
	}
	c.stale, c.needs = false, map[string]*need{}
	c.byKind = make([][]*node, len(c.models))
	c.hosts = c.nodes
	for _, n := range c.nodes {
		for _, g := range n.groups {
			m := c.kinds[g.kind].model
			if list := c.byKind[m]; len(list) == 0 || list[len(list)-1] != n {
				c.byKind[m] = append(list, n)
			}
		}
	}
}

// sortedModels are the indices of the pool's models in order of their names.
func (c *Cluster) sortedModels() []int {
	order := make([]int, len(c.models))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(c.models[a], c.models[b]) })
	return order
}
