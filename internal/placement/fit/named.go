package fit

import (
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// pickNamed takes exactly the named devices, wherever they are.
func (c *Cluster) pickNamed(g Gang) ([]models.LeaseNode, bool) {
	c.layout()
	byNode := map[*node][]spot{}
	var nodes []*node
	for _, uuid := range g.UUIDs {
		n, s, ok := c.locate(uuid)
		if !ok || n.Closed || n.groups[s.group].free[s.at] < g.milli() || c.whyNotNamed(g, n, n.Devices[n.groups[s.group].devices[s.at]]) != "" {
			return nil, false
		}
		if len(byNode[n]) == 0 {
			nodes = append(nodes, n)
		}
		if slices.Contains(byNode[n], s) {
			continue // named twice
		}
		byNode[n] = append(byNode[n], s)
	}
	slices.SortFunc(nodes, func(a, b *node) int { return strings.Compare(a.Node, b.Node) })
	var parts []models.LeaseNode
	for _, n := range nodes {
		devices := len(byNode[n])
		if n.cpu < g.cpu(devices) || n.memory < g.memory(devices) {
			return nil, false
		}
		parts = append(parts, c.part(n, &need{Gang: g, devices: devices}, byNode[n]))
	}
	return parts, true
}

// locate finds the host that offers a device that is in use.
func (c *Cluster) locate(uuid string) (*node, spot, bool) {
	for _, n := range c.claims[uuid] {
		for i := range n.groups {
			for j, at := range n.groups[i].devices {
				if n.Devices[at].UUID == uuid {
					return n, spot{i, j}, true
				}
			}
		}
	}
	return nil, spot{}, false
}

// whyNotNamed says what keeps a gang from a device that it names, whatever is
// free; "": nothing.
func (c *Cluster) whyNotNamed(g Gang, n *node, d models.Device) string {
	switch {
	case slices.Contains(g.Exclude, d.UUID):
		return "was seen to fail and is excluded"
	case !admitsModel(g.Models, d.Model):
		return "is a " + d.Model
	case d.MemoryMiB < g.MemoryMiB:
		return "has too little memory"
	case g.MIGProfile != "" && d.MIGProfile != g.MIGProfile:
		return "is not of MIG profile " + g.MIGProfile
	case !g.labelled(n.Host):
		return "is on " + n.Node + ", which lacks the labels"
	}
	return ""
}
