package fit

import (
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// settle exchanges whole devices for as many others of the same node and kind
// that are closer to each other: linked, then on one NUMA node, then first by
// UUID. Scores do not tell them apart.
func (c *Cluster) settle(n *node, spots []spot, need *need, exclude []string) []spot {
	if need.milli() < models.WholeGPU || len(spots) == 0 {
		return spots
	}
	model := c.kinds[n.groups[spots[0].group].kind].model
	all := slices.Clone(c.spots(n, model, need, exclude))
	if len(spots) == 1 || len(all) == len(spots) {
		return all[:len(spots)]
	}
	device := func(s spot) *models.Device { return &n.Devices[n.groups[s.group].devices[s.at]] }
	var best []spot
	bestClose := -1
	for first := range all {
		chosen := []spot{all[first]}
		total := 0
		for len(chosen) < len(spots) {
			next, nextClose := -1, -1
			for i, s := range all {
				if slices.Contains(chosen, s) {
					continue
				}
				if near := closeness(device(s), chosen, device); near > nextClose {
					next, nextClose = i, near
				}
			}
			chosen = append(chosen, all[next])
			total += nextClose
		}
		if total > bestClose {
			best, bestClose = chosen, total
		}
	}
	return best
}

// closeness counts links to the chosen devices above shared NUMA nodes.
func closeness(d *models.Device, chosen []spot, device func(spot) *models.Device) int {
	near := 0
	for _, s := range chosen {
		o := device(s)
		if slices.Contains(d.Links, o.UUID) || slices.Contains(o.Links, d.UUID) {
			near += 1000
		}
		if d.NUMANode != nil && o.NUMANode != nil && *d.NUMANode == *o.NUMANode {
			near++
		}
	}
	return near
}
