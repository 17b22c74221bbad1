package fit

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// spot is one device of a node: which group, and which of the group.
type spot struct{ group, at int }

// offer is a host that could take part in a gang.
type offer struct {
	node    *node
	devices int
	avoided bool
	score   int64
}

// plan is a gang laid out on devices of one model.
type plan struct {
	model  int
	offers []offer
	size   int // what more of is better; see betterPlan
}

// Pick chooses where a gang goes, without taking it: the largest it may be, all
// devices of one model. Parts are sorted by node, devices by UUID.
//
// Hosts that are not avoided come first, then those with the best score, then
// those first by name; models likewise.
func (c *Cluster) Pick(g Gang) (parts []models.LeaseNode, ok bool) {
	if len(g.UUIDs) > 0 {
		return c.pickNamed(g)
	}
	c.layout()
	var best *plan
	for _, m := range c.candidates(g) {
		p := c.plan(g, m)
		if p != nil && (best == nil || c.betterPlan(g, p, best)) {
			best = p
		}
	}
	if best == nil {
		return nil, false
	}
	for _, o := range best.offers {
		n := c.need(g, o.devices)
		spots, _ := c.choose(o.node, best.model, n, g.Exclude)
		parts = append(parts, c.part(o.node, n, c.settle(o.node, spots, n, g.Exclude)))
	}
	slices.SortFunc(parts, func(a, b models.LeaseNode) int { return strings.Compare(a.Node, b.Node) })
	return parts, true
}

// candidates are the models that a gang may use, in order of their names; a
// gang of no devices has one candidate that stands for none.
func (c *Cluster) candidates(g Gang) []int {
	if g.PerNode == 0 && g.Total == 0 {
		return []int{len(c.models)}
	}
	return slices.DeleteFunc(c.sortedModels(), func(m int) bool { return !admitsModel(g.Models, c.models[m]) })
}

func (c *Cluster) nodesOf(model int) []*node {
	if model == len(c.models) {
		return c.hosts
	}
	return c.byKind[model]
}

// plan lays a gang out on devices of one model; nil: it does not fit.
func (c *Cluster) plan(g Gang, model int) *plan {
	switch {
	case g.Total > 0 && g.Spread:
		return c.planSpread(g, model)
	case g.Total > 0:
		return c.planPack(g, model)
	}
	least, most := max(g.MinNodes, 1), max(g.MaxNodes, g.MinNodes, 1)
	if most == 1 {
		if o, ok := c.bestOffer(g, model, g.PerNode, nil); ok {
			return &plan{model: model, offers: []offer{o}, size: 1}
		}
		return nil
	}
	offers := c.offers(g, model, g.PerNode)
	if len(offers) < least {
		return nil
	}
	slices.SortStableFunc(offers, compareOffers) // stable: ties stay in order of names
	offers = offers[:min(most, len(offers))]
	return &plan{model: model, offers: offers, size: len(offers)}
}

func compareOffers(a, b offer) int {
	if a.avoided != b.avoided {
		if a.avoided {
			return 1
		}
		return -1
	}
	return cmp.Compare(a.score, b.score)
}

// betterPlan compares plans on different models: the larger gang (or, of a
// total, fewer hosts when packed and more when spread), fewer avoided hosts,
// the better score. Equal: the first by model stays.
func (c *Cluster) betterPlan(g Gang, a, b *plan) bool {
	if a.size != b.size {
		if g.Total > 0 && !g.Spread {
			return a.size < b.size
		}
		return a.size > b.size
	}
	var avoidedA, avoidedB int
	var scoreA, scoreB int64
	for i := range a.offers {
		avoidedA += count(a.offers[i].avoided)
		avoidedB += count(b.offers[i].avoided)
		scoreA += a.offers[i].score
		scoreB += b.offers[i].score
	}
	if avoidedA != avoidedB {
		return avoidedA < avoidedB
	}
	if scoreA == scoreB && a.size == 1 {
		return a.offers[0].node.Node < b.offers[0].node.Node
	}
	return scoreA < scoreB
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// offers lists the hosts that can give so many devices, in order of names.
func (c *Cluster) offers(g Gang, model, devices int) []offer {
	var list []offer
	c.each(g, model, devices, func(o offer) { list = append(list, o) })
	return list
}

// bestOffer is the best of them, skipping hosts that already take part.
func (c *Cluster) bestOffer(g Gang, model, devices int, not []offer) (best offer, ok bool) {
	c.each(g, model, devices, func(o offer) {
		if (!ok || compareOffers(o, best) < 0) && !slices.ContainsFunc(not, func(n offer) bool { return n.node == o.node }) {
			best, ok = o, true
		}
	})
	return best, ok
}

// each calls yield for every host that can give so many devices, in order of
// names. It looks again only at hosts that changed since the shape last asked.
func (c *Cluster) each(g Gang, model, devices int, yield func(offer)) {
	need := c.need(g, devices)
	nodes := c.nodesOf(model)
	if need.cells[model] == nil {
		need.cells[model] = make([]cell, len(nodes))
	}
	cells := need.cells[model]
	for i, n := range nodes {
		cell := &cells[i]
		if cell.version != n.version || cell.epoch != c.scorer.epoch {
			cell.version, cell.epoch = n.version, c.scorer.epoch
			_, cell.score = c.choose(n, model, need, nil)
			cell.fits = cell.score != unfit
		}
		if !cell.fits {
			continue
		}
		score := cell.score
		if len(g.Exclude) > 0 && n.hasAny(g.Exclude) {
			if _, score = c.choose(n, model, need, g.Exclude); score == unfit {
				continue
			}
		}
		yield(offer{node: n, devices: devices, avoided: len(g.Avoid) > 0 && slices.Contains(g.Avoid, n.Node), score: score})
	}
}

func (n *node) hasAny(uuids []string) bool {
	return slices.ContainsFunc(n.Devices, func(d models.Device) bool { return slices.Contains(uuids, d.UUID) })
}

// unfit is the score of a host that can't take a need.
const unfit = math.MaxInt64

// choose picks the devices that a need would take on a node, and scores that.
func (c *Cluster) choose(n *node, model int, need *need, exclude []string) ([]spot, int64) {
	if n.Closed || n.cpu < need.cpu(need.devices) || n.memory < need.memory(need.devices) || !need.labelled(n.Host) {
		return nil, unfit
	}
	spots := c.spots(n, model, need, exclude)
	if len(spots) < need.devices {
		return nil, unfit
	}
	c.scratch.begin(n, need)
	before := c.before(n)
	if need.devices != 1 || need.milli() == models.WholeGPU {
		spots = spots[:need.devices]
		for _, s := range spots {
			c.scratch.groups[s.group].free[s.at] -= need.milli()
		}
		return spots, c.score(n, before, &c.scratch.state)
	}
	best, bestScore := -1, int64(unfit)
	for i, s := range spots { // the fullest first: among equals it stays
		free := &c.scratch.groups[s.group].free[s.at]
		if i > 0 && *free == n.groups[spots[i-1].group].free[spots[i-1].at] && s.group == spots[i-1].group {
			continue
		}
		*free -= need.milli()
		if score := c.score(n, before, &c.scratch.state); score < bestScore {
			best, bestScore = i, score
		}
		*free += need.milli()
	}
	return spots[best : best+1], bestScore
}

// spots lists a node's devices that have room for a need, the fullest first.
func (c *Cluster) spots(n *node, model int, need *need, exclude []string) []spot {
	if need.devices == 0 {
		return nil
	}
	spots := c.scratch.spots[:0]
	for i := range n.groups {
		g := &n.groups[i]
		if !need.admits[g.kind] || c.kinds[g.kind].model != model {
			continue
		}
		for j, free := range g.free {
			if free >= need.milli() && (len(exclude) == 0 || !slices.Contains(exclude, n.Devices[g.devices[j]].UUID)) {
				spots = append(spots, spot{i, j})
			}
		}
	}
	c.scratch.spots = spots
	if need.milli() < models.WholeGPU {
		slices.SortStableFunc(spots, func(a, b spot) int {
			return cmp.Compare(n.groups[a.group].free[a.at], n.groups[b.group].free[b.at])
		})
	}
	return spots
}

// before is what a node's present state costs; it is kept until either changes.
func (c *Cluster) before(n *node) float64 {
	if n.valueVersion != n.version || n.valueEpoch != c.scorer.epoch {
		n.valueVersion, n.valueEpoch = n.version, c.scorer.epoch
		n.value = c.value(&state{groups: n.groups, cpu: n.cpu, memory: n.memory})
	}
	return n.value
}

// scratch is memory that is used over and over.
type scratch struct {
	state
	spots []spot
}

// begin copies a node's state, less what a need takes of the host.
func (s *scratch) begin(n *node, need *need) {
	s.cpu, s.memory = n.cpu-need.cpu(need.devices), n.memory-need.memory(need.devices)
	for len(s.groups) < len(n.groups) {
		s.groups = append(s.groups, group{})
	}
	s.groups = s.groups[:len(n.groups)]
	for i := range n.groups {
		s.groups[i].kind = n.groups[i].kind
		s.groups[i].free = append(s.groups[i].free[:0], n.groups[i].free...)
	}
}

// part writes down what a lease takes of a node.
func (c *Cluster) part(n *node, need *need, spots []spot) models.LeaseNode {
	part := models.LeaseNode{Node: n.Node, Address: n.Address, CPUMilli: need.cpu(need.devices), MemoryMiB: need.memory(need.devices)}
	for _, s := range spots {
		part.Devices = append(part.Devices, leased(n.Devices[n.groups[s.group].devices[s.at]], need.milli()))
	}
	slices.SortFunc(part.Devices, func(a, b models.Device) int { return strings.Compare(a.UUID, b.UUID) })
	return part
}

// leased is a device as leases carry it: with its share, without what changes
// or is long.
func leased(d models.Device, milli int64) models.Device {
	d.Links, d.Fault, d.Milli = nil, nil, milli
	if milli == models.WholeGPU {
		d.Milli = 0
	}
	return d
}
