package fit

import (
	"cmp"
	"slices"
)

// room is how many devices of one model a host could give at most.
type room struct {
	offer
	index int // in order of names
}

// rooms lists them for the hosts that could give any.
func (c *Cluster) rooms(g Gang, model int) []room {
	need := c.need(g, 1)
	var list []room
	for i, n := range c.nodesOf(model) {
		if n.Closed || !g.labelled(n.Host) {
			continue
		}
		devices := g.hostRoom(n.cpu, n.memory, len(c.spots(n, model, need, g.Exclude)))
		if devices > 0 {
			list = append(list, room{offer{node: n, devices: devices, avoided: slices.Contains(g.Avoid, n.Node)}, i})
		}
	}
	return list
}

// planPack uses as few hosts as possible: one that suffices for all that is
// left, the best of those; while there is none, the one with the most room.
func (c *Cluster) planPack(g Gang, model int) *plan {
	p := &plan{model: model}
	var rooms []room
	for left := g.Total; left > 0; {
		if o, ok := c.bestOffer(g, model, left, p.offers); ok {
			p.offers = append(p.offers, o)
			break
		}
		if rooms == nil {
			rooms = c.rooms(g, model)
			slices.SortFunc(rooms, func(a, b room) int {
				return cmp.Or(cmp.Compare(count(a.avoided), count(b.avoided)), cmp.Compare(b.devices, a.devices), cmp.Compare(a.index, b.index))
			})
		}
		if len(rooms) == 0 {
			return nil
		}
		o := rooms[0].offer
		o.devices = min(o.devices, left)
		rooms = rooms[1:]
		if !slices.ContainsFunc(p.offers, func(has offer) bool { return has.node == o.node }) {
			p.offers = append(p.offers, o)
			left -= o.devices
		}
		if len(rooms) == 0 && left > 0 {
			return nil
		}
	}
	p.size = len(p.offers)
	return p
}

// planSpread uses as many hosts as possible and gives each in turn one device
// more.
func (c *Cluster) planSpread(g Gang, model int) *plan {
	if singles := c.offers(g, model, 1); len(singles) >= g.Total {
		slices.SortStableFunc(singles, compareOffers)
		return &plan{model: model, offers: singles[:g.Total], size: g.Total}
	}
	p := &plan{model: model}
	rooms := c.rooms(g, model)
	given := make([]int, len(rooms))
	left := g.Total
	for before := -1; left > 0 && left != before; {
		before = left
		for i := range rooms {
			if left > 0 && given[i] < rooms[i].devices {
				given[i]++
				left--
			}
		}
	}
	if left > 0 {
		return nil
	}
	for i, devices := range given {
		if devices > 0 {
			o := rooms[i].offer
			o.devices = devices
			p.offers = append(p.offers, o)
		}
	}
	p.size = len(p.offers)
	return p
}
