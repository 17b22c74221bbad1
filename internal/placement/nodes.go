package placement

import (
	"cmp"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement/fit"
	"github.com/mainspring-ml/mainspring/models"
)

// byAgent is who quarantines a device that reports a fault.
const byAgent = "agent"

// NodeUp adds a node or replaces its inventory. Ranks outlive their agent, so
// a new Boot voids no lease; a device that is gone, or has a fault that was not
// told before, voids the leases it was in. A device that another node had moves.
func (p *Pool) NodeUp(info models.NodeInfo, now time.Time) (e Effects) {
	info.Devices = slices.SortedFunc(slices.Values(info.Devices), func(a, b models.Device) int { return cmp.Compare(a.UUID, b.UUID) })
	info.Devices = slices.CompactFunc(info.Devices, func(a, b models.Device) bool { return a.UUID == b.UUID })
	p.takeOver(&e, info, now)
	at, known := p.find(info.Node)
	if !known {
		p.rest.Nodes = slices.Insert(p.rest.Nodes, at, models.PoolNode{NodeInfo: models.NodeInfo{Node: info.Node}})
		p.rest.JoinedAt = now
	}
	p.void(&e, info.Node, now, func(d models.Device) (models.LeaseLost, bool) { return broken(p.rest.Nodes[at], info, d) })
	n := &p.rest.Nodes[at]
	n.Quarantined = requarantine(*n, info, now)
	n.NodeInfo, n.Down, n.DownAt = info, "", time.Time{}
	p.index(*n)
	p.inventoryChanged()
	p.readdress(info)
	return p.schedule(e, now)
}

// NodeDown takes a node out of use. Leases with devices there are void as a
// whole: a gang that lost a rank is no gang.
func (p *Pool) NodeDown(down models.NodeDown, now time.Time) (e Effects) {
	at, known := p.find(down.Node)
	if !known {
		return e
	}
	n := &p.rest.Nodes[at]
	reason := cmp.Or(down.Reason, "it is down")
	p.void(&e, down.Node, now, func(models.Device) (models.LeaseLost, bool) {
		return models.LeaseLost{Reason: "node " + down.Node + " is lost: " + reason}, true
	})
	if n.Down == "" {
		n.DownAt = now
	}
	n.Down = reason
	p.index(*n)
	p.inventoryChanged()
	return p.schedule(e, now)
}

// takeOver removes devices from the nodes that had them before.
func (p *Pool) takeOver(e *Effects, info models.NodeInfo, now time.Time) {
	moved := map[string]bool{}
	for _, d := range info.Devices {
		moved[d.UUID] = true
	}
	for i := range p.rest.Nodes {
		n := &p.rest.Nodes[i]
		if n.Node == info.Node || !slices.ContainsFunc(n.Devices, func(d models.Device) bool { return moved[d.UUID] }) {
			continue
		}
		p.void(e, n.Node, now, func(d models.Device) (models.LeaseLost, bool) {
			return models.LeaseLost{Reason: "device " + d.UUID + " is on node " + info.Node + " now", Device: d.UUID}, moved[d.UUID]
		})
		n.Devices = slices.DeleteFunc(slices.Clone(n.Devices), func(d models.Device) bool { return moved[d.UUID] })
		n.Quarantined = slices.DeleteFunc(slices.Clone(n.Quarantined), func(q models.Quarantine) bool { return moved[q.UUID] })
		p.index(*n)
	}
}

// broken says whether and why a leased device is no longer usable, by what its
// node said before and says now.
func broken(before models.PoolNode, now models.NodeInfo, d models.Device) (models.LeaseLost, bool) {
	is, has := device(now.Devices, d.UUID)
	if !has {
		return models.LeaseLost{Reason: "node " + now.Node + " no longer has device " + d.UUID, Device: d.UUID}, true
	}
	if fresh(before, is) {
		return models.LeaseLost{Reason: "device " + d.UUID + ": " + is.Fault.Code + ": " + is.Fault.Reason, Device: d.UUID}, true
	}
	return models.LeaseLost{}, false
}

// fresh reports whether a device has a fault that was not told before.
func fresh(before models.PoolNode, d models.Device) bool {
	was, had := device(before.Devices, d.UUID)
	return d.Fault != nil && (!had || was.Fault == nil || !was.Fault.At.Equal(d.Fault.At))
}

// requarantine is the list of devices out of use after a report: new faults are
// added, the agent's own end when it reports the device well, a person's stay.
func requarantine(before models.PoolNode, now models.NodeInfo, at time.Time) []models.Quarantine {
	var list []models.Quarantine
	for _, q := range before.Quarantined {
		d, has := device(now.Devices, q.UUID)
		if q.By != byAgent || has && d.Fault != nil && d.Fault.Action == models.FaultQuarantine {
			list = append(list, q)
		}
	}
	for _, d := range now.Devices {
		out := slices.ContainsFunc(list, func(q models.Quarantine) bool { return q.UUID == d.UUID })
		if !out && fresh(before, d) && d.Fault.Action == models.FaultQuarantine {
			list = append(list, models.Quarantine{UUID: d.UUID, Reason: d.Fault.Code + ": " + d.Fault.Reason, By: byAgent, At: at})
		}
	}
	slices.SortFunc(list, func(a, b models.Quarantine) int { return cmp.Compare(a.UUID, b.UUID) })
	return list
}

// void ends the leases with a device on the node for which why says so, and
// takes back promises there.
func (p *Pool) void(e *Effects, node string, now time.Time, why func(models.Device) (models.LeaseLost, bool)) {
	hit := func(parts []models.LeaseNode) (models.LeaseLost, bool) {
		for _, part := range parts {
			for _, d := range part.Devices {
				if part.Node != node {
					break
				}
				if lost, is := why(d); is {
					lost.Node = node
					return lost, true
				}
			}
		}
		return models.LeaseLost{}, false
	}
	p.drop(now, func(h *held) bool {
		lost, is := hit(h.Nodes)
		if is {
			e.lose(h.Lease, lost)
		}
		return is
	})
	for _, w := range p.waiting {
		if _, is := hit(w.Promised); is {
			p.breakPromise(w)
		}
	}
}

// inventoryChanged makes everything be looked at anew that depends on which
// hosts there are.
func (p *Pool) inventoryChanged() {
	p.checked = false
	p.freed++
	for _, w := range p.waiting {
		if len(w.ReservedOn) > 0 && !p.stillHold(w) {
			p.unkeep(w) // and other hosts are chosen
		}
	}
}

// readdress shows in leases where their nodes are reached now.
func (p *Pool) readdress(info models.NodeInfo) {
	move := func(parts []models.LeaseNode) []models.LeaseNode {
		for i, part := range parts {
			if part.Node == info.Node && part.Address != info.Address {
				parts = slices.Clone(parts) // effects that were returned share it
				parts[i].Address = info.Address
			}
		}
		return parts
	}
	for _, h := range p.leases {
		h.Nodes = move(h.Nodes)
	}
	for _, w := range p.waiting {
		w.Promised = move(w.Promised)
	}
}

// forgetNodes drops hosts that have been down for long. What an operator said
// of one is kept, and the host with it.
func (p *Pool) forgetNodes(now time.Time) {
	forgotten := false
	p.rest.Nodes = slices.DeleteFunc(p.rest.Nodes, func(n models.PoolNode) bool {
		at, due := forgettable(n)
		if !due || now.Before(at) {
			return false
		}
		p.cluster.Remove(n.Node)
		p.roster.Remove(n.Node)
		forgotten = true
		return true
	})
	if forgotten {
		p.inventoryChanged()
	}
}

func forgettable(n models.PoolNode) (at time.Time, due bool) {
	byPerson := slices.ContainsFunc(n.Quarantined, func(q models.Quarantine) bool { return q.By != byAgent })
	return n.DownAt.Add(forgetAfter), n.Down != "" && n.Cordoned == "" && !byPerson
}

func (p *Pool) find(name string) (int, bool) {
	return slices.BinarySearchFunc(p.rest.Nodes, name, func(n models.PoolNode, name string) int { return cmp.Compare(n.Node, name) })
}

func device(devices []models.Device, uuid string) (models.Device, bool) {
	at, has := slices.BinarySearchFunc(devices, uuid, func(d models.Device, uuid string) int { return cmp.Compare(d.UUID, uuid) })
	if !has {
		return models.Device{}, false
	}
	return devices[at], true
}

// index tells both clusters what a node has.
func (p *Pool) index(n models.PoolNode) {
	host := hostOf(n)
	host.Closed = host.Closed || p.kept[n.Node] != nil
	p.cluster.Upsert(host)
	p.roster.Upsert(fit.Host{NodeInfo: n.NodeInfo})
}

// reindex tells the cluster whether a node is kept.
func (p *Pool) reindex(name string) {
	if at, known := p.find(name); known {
		host := hostOf(p.rest.Nodes[at])
		host.Closed = host.Closed || p.kept[name] != nil
		p.cluster.Upsert(host)
	}
}

func hostOf(n models.PoolNode) fit.Host {
	host := fit.Host{NodeInfo: n.NodeInfo, Closed: !usable(n)}
	for _, q := range n.Quarantined {
		host.Out = append(host.Out, q.UUID)
	}
	return host
}
