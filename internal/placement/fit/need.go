package fit

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// maxNeeds bounds the memory of scores; beyond it all are forgotten.
const maxNeeds = 512

// need is what a gang asks of one host, and what each host is worth to it. It
// is kept from request to request: only hosts that changed are looked at again.
type need struct {
	Gang
	devices int      // on one host
	admits  []bool   // by kind
	cells   [][]cell // by model, in the order of byKind
}

// cell is what one host is worth to a need; true while version and epoch are.
type cell struct {
	version, epoch uint64
	score          int64 // lower is better
	fits           bool
}

func (g Gang) milli() int64 {
	if g.Milli == 0 {
		return models.WholeGPU
	}
	return g.Milli
}

// key tells shapes apart, whatever the gang's size and its avoided hosts.
func (g Gang) key(devices int) string {
	b := make([]byte, 0, 96)
	for _, v := range []int64{int64(devices), g.milli(), g.MemoryMiB, g.CPUMilli, g.HostMemoryMiB, g.NodeCPUMilli, g.NodeMemoryMiB} {
		b = append(strconv.AppendInt(b, v, 10), ' ')
	}
	b = append(append(b, g.MIGProfile...), 0)
	for _, m := range g.Models {
		b = append(append(b, m...), '|')
	}
	if len(g.Labels) > 0 {
		for _, l := range sortedLabels(g.Labels) {
			b = append(append(b, 0), l...)
		}
	}
	return string(b)
}

func sortedLabels(labels map[string]string) []string {
	list := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, name+"="+labels[name])
	}
	return list
}

// need looks up or makes the need for so many of a gang's devices on one host.
func (c *Cluster) need(g Gang, devices int) *need {
	c.layout()
	c.learn()
	key := g.key(devices)
	n := c.needs[key]
	if n == nil {
		if len(c.needs) >= maxNeeds {
			clear(c.needs)
		}
		n = &need{Gang: g, devices: devices, admits: make([]bool, len(c.kinds)), cells: make([][]cell, len(c.models)+1)}
		for i, k := range c.kinds {
			n.admits[i] = c.admits(g, k)
		}
		c.needs[key] = n
	}
	return n
}

// admits says whether a gang that names no devices may use a kind.
func (c *Cluster) admits(g Gang, k kind) bool {
	if len(g.UUIDs) > 0 && g.MIGProfile == "" {
		return k.memoryMiB >= g.MemoryMiB && admitsModel(g.Models, c.models[k.model])
	}
	return k.profile == g.MIGProfile && k.memoryMiB >= g.MemoryMiB && admitsModel(g.Models, c.models[k.model])
}

func admitsModel(wanted []string, model string) bool {
	if len(wanted) == 0 {
		return true
	}
	model = strings.ToLower(model)
	return slices.ContainsFunc(wanted, func(m string) bool { return strings.Contains(model, strings.ToLower(m)) })
}

func (g Gang) labelled(host Host) bool {
	if len(g.Labels) == 0 {
		return true
	}
	for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
		if has, ok := host.Labels[name]; !ok || has != g.Labels[name] {
			return false
		}
	}
	return true
}

func (g Gang) cpu(devices int) int64    { return g.CPUMilli*int64(devices) + g.NodeCPUMilli }
func (g Gang) memory(devices int) int64 { return g.HostMemoryMiB*int64(devices) + g.NodeMemoryMiB }

// hostRoom is how many devices a host's cores and memory suffice for, at most limit.
func (g Gang) hostRoom(cpu, memory int64, limit int) int {
	if g.NodeCPUMilli > cpu || g.NodeMemoryMiB > memory {
		return -1
	}
	if g.CPUMilli > 0 {
		limit = min(limit, int((cpu-g.NodeCPUMilli)/g.CPUMilli))
	}
	if g.HostMemoryMiB > 0 {
		limit = min(limit, int((memory-g.NodeMemoryMiB)/g.HostMemoryMiB))
	}
	return limit
}
