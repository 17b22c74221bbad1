package fit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// Rooms lists how many of the gang's devices each open host could give now, the
// most first, then in order of names.
func (c *Cluster) Rooms(g Gang) []Room {
	c.layout()
	var list []Room
	if len(g.UUIDs) > 0 {
		return c.namedRooms(g)
	}
	best := map[*node]Room{}
	for _, m := range c.candidates(g) {
		if m == len(c.models) {
			continue
		}
		for _, r := range c.rooms(g, m) {
			if r.devices > best[r.node].Devices {
				best[r.node] = Room{Node: r.node.Node, Devices: r.devices, Model: c.models[m]}
			}
		}
	}
	for _, n := range c.nodes {
		if r, ok := best[n]; ok {
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b Room) int { return b.Devices - a.Devices })
	return list
}

func (c *Cluster) namedRooms(g Gang) []Room {
	var list []Room
	for _, uuid := range g.UUIDs {
		n, s, ok := c.locate(uuid)
		if !ok || n.Closed || n.groups[s.group].free[s.at] < g.milli() {
			continue
		}
		at := slices.IndexFunc(list, func(r Room) bool { return r.Node == n.Node })
		if at < 0 {
			at = len(list)
			list = append(list, Room{Node: n.Node, Model: c.models[c.kinds[n.groups[s.group].kind].model]})
		}
		list[at].Devices++
	}
	slices.SortFunc(list, func(a, b Room) int { return cmp.Or(b.Devices-a.Devices, strings.Compare(a.Node, b.Node)) })
	return list
}

// Possible returns "" when the cluster could hold the gang with nothing taken,
// closed hosts and devices out of use included, and otherwise why it can't, in
// words and numbers.
func (c *Cluster) Possible(g Gang) string {
	if len(g.UUIDs) > 0 {
		return c.possibleNamed(g)
	}
	best, bestSum := []Room(nil), -1
	for _, m := range c.idleModels(g) {
		rooms := c.idleRooms(g, m)
		sum, full := 0, 0
		for _, r := range rooms {
			sum += r.Devices
			full += count(r.Devices >= g.PerNode)
		}
		if g.Total > 0 && sum >= g.Total || g.Total == 0 && full >= max(g.MinNodes, 1) {
			return ""
		}
		if g.Total == 0 {
			sum = full*1_000_000 + sum
		}
		if sum > bestSum {
			best, bestSum = rooms, sum
		}
	}
	return c.tell(g, best)
}

// idleModels are the names of the models that a gang may use.
func (c *Cluster) idleModels(g Gang) []string {
	if g.PerNode == 0 && g.Total == 0 {
		return []string{""}
	}
	var names []string
	for _, n := range c.nodes {
		for _, d := range n.Devices {
			if admitsModel(g.Models, d.Model) && !slices.Contains(names, d.Model) {
				names = append(names, d.Model)
			}
		}
	}
	slices.Sort(names)
	return names
}

// idleRooms is how many devices of a model each host could give with nothing
// taken, the most first, then in order of names.
func (c *Cluster) idleRooms(g Gang, model string) []Room {
	var list []Room
	for _, n := range c.nodes {
		if !g.labelled(n.Host) {
			continue
		}
		devices := 0
		for _, d := range n.Devices {
			devices += count(d.Model == model && c.claims[d.UUID][0] == n && suits(g, n, d))
		}
		devices = g.hostRoom(n.CPUMilli, n.MemoryMiB, devices)
		if devices > 0 || devices == 0 && g.PerNode == 0 && g.Total == 0 {
			list = append(list, Room{Node: n.Node, Devices: devices, Model: model})
		}
	}
	slices.SortStableFunc(list, func(a, b Room) int { return b.Devices - a.Devices })
	return list
}

func suits(g Gang, n *node, d models.Device) bool {
	return d.MIGProfile == g.MIGProfile && d.MemoryMiB >= g.MemoryMiB && !slices.Contains(g.Exclude, d.UUID) &&
		!slices.ContainsFunc(n.Devices, func(o models.Device) bool { return o.Parent == d.UUID })
}

// tell compares what a gang needs with the most that there is.
func (c *Cluster) tell(g Gang, rooms []Room) string {
	if len(c.nodes) == 0 {
		return "needs " + g.words() + "; the pool has no hosts"
	}
	if len(rooms) == 0 {
		return fmt.Sprintf("needs %s; none of the pool's %s has such a device with room for it%s", g.words(), plural(len(c.nodes), "host"), c.known())
	}
	shown := rooms[:min(4, len(rooms))]
	var names []string
	sum := 0
	for _, r := range rooms {
		sum += r.Devices
	}
	for _, r := range shown {
		names = append(names, fmt.Sprintf("%s %d", r.Node, r.Devices))
	}
	more := ""
	if len(rooms) > len(shown) {
		more = fmt.Sprintf(" and %d more hosts", len(rooms)-len(shown))
	}
	if g.Total > 0 {
		return fmt.Sprintf("needs %s; all of the pool's hosts together have %d: %s%s", g.words(), sum, strings.Join(names, ", "), more)
	}
	full := 0
	for _, r := range rooms {
		full += count(r.Devices >= g.PerNode)
	}
	return fmt.Sprintf("needs %s; %s of the pool could hold one: %s%s", g.words(), plural(full, "node"), strings.Join(names, ", "), more)
}

// known lists the models of the pool.
func (c *Cluster) known() string {
	names := slices.Clone(c.idleModels(Gang{PerNode: 1}))
	if len(names) == 0 {
		return ""
	}
	return " (it has " + strings.Join(names, ", ") + ")"
}

func (c *Cluster) possibleNamed(g Gang) string {
	devices := map[*node]int{}
	for _, uuid := range g.UUIDs {
		owners := c.claims[uuid]
		if len(owners) == 0 {
			return fmt.Sprintf("no host of the pool has device %s", uuid)
		}
		n := owners[0]
		d := n.Devices[slices.IndexFunc(n.Devices, func(d models.Device) bool { return d.UUID == uuid })]
		if why := c.whyNotNamed(g, n, d); why != "" {
			return fmt.Sprintf("device %s %s", uuid, why)
		}
		if slices.ContainsFunc(n.Devices, func(o models.Device) bool { return o.Parent == uuid }) {
			return fmt.Sprintf("device %s is cut into MIG instances; name those", uuid)
		}
		devices[n]++
	}
	for _, n := range c.nodes {
		if n.CPUMilli < g.cpu(devices[n]) && devices[n] > 0 || n.MemoryMiB < g.memory(devices[n]) && devices[n] > 0 {
			return fmt.Sprintf("%d of the devices are on %s, which has %s and not the %s they need with them", devices[n], n.Node,
				hostWords(n.CPUMilli, n.MemoryMiB), hostWords(g.cpu(devices[n]), g.memory(devices[n])))
		}
	}
	return ""
}

// words describe what a gang needs.
func (g Gang) words() string {
	var b strings.Builder
	kind := strings.Join(g.Models, " or ")
	if kind == "" {
		kind = "devices"
	}
	switch {
	case g.Total > 0:
		fmt.Fprintf(&b, "%d %s", g.Total, kind)
	default:
		fmt.Fprintf(&b, "%s × %d %s", plural(max(g.MinNodes, 1), "node"), g.PerNode, kind)
	}
	if g.MIGProfile != "" {
		b.WriteString(" of MIG profile " + g.MIGProfile)
	}
	if g.milli() < models.WholeGPU {
		fmt.Fprintf(&b, " (%d/1000 of each)", g.milli())
	}
	if g.MemoryMiB > 0 {
		fmt.Fprintf(&b, " of at least %d MiB", g.MemoryMiB)
	}
	if g.CPUMilli > 0 || g.HostMemoryMiB > 0 {
		b.WriteString(" with " + hostWords(g.CPUMilli, g.HostMemoryMiB) + " each")
	}
	if len(g.Labels) > 0 {
		b.WriteString(" on hosts with " + strings.Join(sortedLabels(g.Labels), ", "))
	}
	return b.String()
}

func hostWords(cpuMilli, memoryMiB int64) string {
	var words []string
	if cpuMilli > 0 {
		words = append(words, fmt.Sprintf("%g cores", float64(cpuMilli)/1000))
	}
	if memoryMiB > 0 {
		words = append(words, fmt.Sprintf("%d MiB of host memory", memoryMiB))
	}
	if len(words) == 0 {
		return "no cores or memory to lease"
	}
	return strings.Join(words, " and ")
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
