// Package fit knows which devices, cores and memory of a pool's hosts are free,
// and chooses where a gang goes. It holds no queue and knows no time.
package fit

import (
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

	Milli      int64 // share of each device, 1 to 1000
	Models     []string
	MemoryMiB  int64 // of each device
	MIGProfile string
	Labels     map[string]string
	// CPUMilli and HostMemoryMiB are taken on the host with each device.
	CPUMilli      int64
	HostMemoryMiB int64

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

// Cluster is an index of hosts and of what is free on them. It is not safe for
// concurrent use. Equal calls in equal order give equal answers.
type Cluster struct {
	nodes []*node // sorted by name
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

// New returns an empty index.
func New() *Cluster { return &Cluster{} }

// Upsert adds a host or replaces its inventory. What is taken on it stays
// taken, by UUID.
func (c *Cluster) Upsert(host Host) {
	at, known := c.find(host.Node)
	if !known {
		c.nodes = slices.Insert(c.nodes, at, &node{used: map[string]int64{}})
	}
	c.nodes[at].Host = host
}

// Remove forgets a host.
func (c *Cluster) Remove(name string) {
	if at, known := c.find(name); known {
		c.nodes = slices.Delete(c.nodes, at, at+1)
	}
}

// Take marks what a lease holds as taken.
func (c *Cluster) Take(parts []models.LeaseNode) { c.add(parts, 1) }

// Give is the reverse of Take.
func (c *Cluster) Give(parts []models.LeaseNode) { c.add(parts, -1) }

// Pick chooses where a gang goes, without taking it: the largest it may be, all
// devices of one model. Parts are sorted by node, devices by UUID.
func (c *Cluster) Pick(g Gang) (parts []models.LeaseNode, ok bool) {
	return c.pick(g, func(n *node) bool { return !n.Closed }, false)
}

// Possible returns "" when the cluster could hold the gang with nothing taken,
// closed hosts included, and otherwise why it can't, in words and numbers.
func (c *Cluster) Possible(g Gang) string {
	if _, ok := c.pick(g, func(*node) bool { return true }, true); ok {
		return ""
	}
	return "no set of this pool's hosts has what it needs"
}

// Rooms lists how many of the gang's devices each open host could give now, the
// most first.
func (c *Cluster) Rooms(g Gang) []Room {
	var rooms []Room
	for _, n := range c.nodes {
		if free := n.suitable(g, false); !n.Closed && len(free) > 0 {
			rooms = append(rooms, Room{Node: n.Node, Devices: len(free), Model: free[0].Model})
		}
	}
	slices.SortStableFunc(rooms, func(a, b Room) int { return b.Devices - a.Devices })
	return rooms
}

type node struct {
	Host
	used        map[string]int64 // milli by UUID; asked, never ranged over
	cpu, memory int64
}

func (c *Cluster) find(name string) (int, bool) {
	return slices.BinarySearchFunc(c.nodes, name, func(n *node, name string) int { return strings.Compare(n.Node, name) })
}

func (c *Cluster) add(parts []models.LeaseNode, sign int64) {
	for _, part := range parts {
		at, known := c.find(part.Node)
		if !known {
			continue
		}
		n := c.nodes[at]
		n.cpu += sign * part.CPUMilli
		n.memory += sign * part.MemoryMiB
		for _, d := range part.Devices {
			n.used[d.UUID] += sign * d.Share()
		}
	}
}

func (c *Cluster) pick(g Gang, open func(*node) bool, idle bool) ([]models.LeaseNode, bool) {
	var parts []models.LeaseNode
	want, most := g.PerNode, g.MaxNodes
	if g.Total > 0 {
		want, most = g.Total, 1
	}
	for _, avoided := range []bool{false, true} {
		for _, n := range c.nodes {
			if len(parts) == most || slices.Contains(g.Avoid, n.Node) != avoided || !open(n) {
				continue
			}
			devices := n.suitable(g, idle)
			if len(devices) < want || !n.hostFits(g, want, idle) {
				continue
			}
			part := models.LeaseNode{Node: n.Node, Address: n.Address, CPUMilli: g.CPUMilli * int64(want), MemoryMiB: g.HostMemoryMiB * int64(want)}
			for _, d := range devices[:want] {
				d.Milli = g.Milli
				part.Devices = append(part.Devices, d)
			}
			parts = append(parts, part)
		}
	}
	slices.SortFunc(parts, func(a, b models.LeaseNode) int { return strings.Compare(a.Node, b.Node) })
	return parts, len(parts) >= max(g.MinNodes, 1)
}

func (n *node) hostFits(g Gang, devices int, idle bool) bool {
	cpu, memory := n.cpu, n.memory
	if idle {
		cpu, memory = 0, 0
	}
	return cpu+g.CPUMilli*int64(devices) <= n.CPUMilli || g.CPUMilli == 0 && memory+g.HostMemoryMiB*int64(devices) <= n.MemoryMiB || g.HostMemoryMiB == 0
}

func (n *node) suitable(g Gang, idle bool) []models.Device {
	var found []models.Device
	for _, d := range n.Devices {
		if slices.Contains(n.Out, d.UUID) || slices.Contains(g.Exclude, d.UUID) || d.MIGProfile != g.MIGProfile || d.MemoryMiB < g.MemoryMiB {
			continue
		}
		if len(g.Models) > 0 && !slices.ContainsFunc(g.Models, func(m string) bool {
			return strings.Contains(strings.ToLower(d.Model), strings.ToLower(m))
		}) {
			continue
		}
		if !idle && n.used[d.UUID]+g.Milli > models.WholeGPU {
			continue
		}
		found = append(found, d)
	}
	return found
}
