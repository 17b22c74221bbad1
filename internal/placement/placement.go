// Package placement is the brain of a device pool: it decides who gets which
// devices, and says why the others wait. It is arithmetic on models.PoolState
// without clock, I/O or randomness, so that a workflow can call it and replay
// the same decisions.
//
// # Vocabulary
//
//   - An inventory is the devices of the nodes that are up.
//   - A gang is one request: Nodes hosts with GPUsPerNode devices on each. It is
//     granted whole or waits whole, so two gangs can't deadlock.
//   - A device suits a request when its model and memory pass the request's
//     filters, and is free when it is in no lease.
//   - A request fits when the free suitable devices hold it now. It is possible
//     when the present inventory would hold it with every lease gone, and
//     impossible otherwise.
//
// # Rules
//
// Requests are served in order of arrival. A possible request that does not
// fit reserves every device that suits it, so nothing that comes later can
// delay it: no request starves, and among equal devices the order is strictly
// first in, first out. An impossible request reserves nothing; it waits for
// hosts to join and lets the others pass.
//
// Devices are chosen first fit by ID: nodes in order of name, devices in order
// of UUID; nodes that the request wants to avoid come last.
//
// Each event is a function from state and event to the next state and its
// Effects; the argument is never changed. The caller makes the state durable
// first, then sends the losses, then the grants: a holder may repeat its
// request at any time and gets the same lease again.
package placement

import (
	"cmp"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Effects are the messages that an event causes, each list in the order in
// which it is sent.
type Effects struct {
	Losses []Loss
	Grants []models.Lease // each to its Holder
}

// Loss tells Holder that its lease is void.
type Loss struct {
	Holder string
	Lost   models.LeaseLost
}

// Request queues a request, or answers it at once. The same RequestID again
// is answered with the lease it has, or changes nothing while it waits.
func Request(state models.PoolState, request models.LeaseRequest, now time.Time) (models.PoolState, Effects) {
	for _, lease := range state.Leases {
		if lease.RequestID == request.RequestID {
			return state, Effects{Grants: []models.Lease{lease}}
		}
	}
	if slices.ContainsFunc(state.Waiting, func(w models.LeaseRequest) bool { return w.RequestID == request.RequestID }) {
		return state, Effects{}
	}
	state = clone(state)
	request.Resources = request.Resources.WithDefaults()
	state.Waiting = append(state.Waiting, request)
	return schedule(state, Effects{}, now)
}

// Release frees a lease or withdraws a waiting request. Releasing what the
// pool does not know is success.
func Release(state models.PoolState, release models.LeaseRelease, now time.Time) (models.PoolState, Effects) {
	state = clone(state)
	state.Leases = slices.DeleteFunc(state.Leases, func(l models.Lease) bool { return l.RequestID == release.RequestID })
	state.Waiting = slices.DeleteFunc(state.Waiting, func(w models.LeaseRequest) bool { return w.RequestID == release.RequestID })
	return schedule(state, Effects{}, now)
}

// HolderClosed frees everything that a workflow held or waited for. The holder
// is gone, so nobody is told.
func HolderClosed(state models.PoolState, holder string, now time.Time) (models.PoolState, Effects) {
	state = clone(state)
	state.Leases = slices.DeleteFunc(state.Leases, func(l models.Lease) bool { return l.Holder == holder })
	state.Waiting = slices.DeleteFunc(state.Waiting, func(w models.LeaseRequest) bool { return w.Holder == holder })
	return schedule(state, Effects{}, now)
}

// Holders names every workflow that holds a lease or waits for one, sorted:
// those whose end somebody has to notice.
func Holders(state models.PoolState) []string {
	var holders []string
	for _, lease := range state.Leases {
		holders = append(holders, lease.Holder)
	}
	for _, request := range state.Waiting {
		holders = append(holders, request.Holder)
	}
	slices.Sort(holders)
	return slices.Compact(holders)
}

// NodeUp adds a node or replaces its inventory. Ranks outlive their agent, so
// a new Boot voids no lease; a device that is gone voids the leases it was in.
// A node that came back under another address shows it in its leases.
func NodeUp(state models.PoolState, info models.NodeInfo, now time.Time) (models.PoolState, Effects) {
	state = clone(state)
	info.Devices = slices.SortedFunc(slices.Values(info.Devices), func(a, b models.Device) int { return cmp.Compare(a.UUID, b.UUID) })
	at, known := findNode(state.Nodes, info.Node)
	if known {
		state.Nodes[at] = info
	} else {
		state.Nodes = slices.Insert(state.Nodes, at, info)
	}
	effects := void(&state, info.Node, func(part models.LeaseNode) string { return missing(part, info) })
	readdress(state.Leases, info)
	return schedule(state, effects, now)
}

// NodeDown removes a node. Leases with devices there are void as a whole: a
// gang that lost a rank is no gang.
func NodeDown(state models.PoolState, down models.NodeDown, now time.Time) (models.PoolState, Effects) {
	state = clone(state)
	state.Nodes = slices.DeleteFunc(state.Nodes, func(n models.NodeInfo) bool { return n.Node == down.Node })
	effects := void(&state, down.Node, func(models.LeaseNode) string {
		return cmp.Or(down.Reason, "node "+down.Node+" is down")
	})
	return schedule(state, effects, now)
}

// void removes the leases with a part on node for which why gives a reason.
func void(state *models.PoolState, node string, why func(models.LeaseNode) string) Effects {
	var effects Effects
	state.Leases = slices.DeleteFunc(state.Leases, func(lease models.Lease) bool {
		for _, part := range lease.Nodes {
			if part.Node != node {
				continue
			}
			if reason := why(part); reason != "" {
				effects.Losses = append(effects.Losses, Loss{Holder: lease.Holder, Lost: models.LeaseLost{
					RequestID: lease.RequestID, Node: node, Reason: reason,
				}})
				return true
			}
		}
		return false
	})
	return effects
}

// missing says which leased device the node no longer has; empty: it has all.
func missing(part models.LeaseNode, info models.NodeInfo) string {
	for _, leased := range part.Devices {
		if !slices.ContainsFunc(info.Devices, func(d models.Device) bool { return d.UUID == leased.UUID }) {
			return "node " + info.Node + " no longer has device " + leased.UUID
		}
	}
	return ""
}

func readdress(leases []models.Lease, info models.NodeInfo) {
	for i := range leases {
		for j, part := range leases[i].Nodes {
			if part.Node == info.Node && part.Address != info.Address {
				leases[i].Nodes = slices.Clone(leases[i].Nodes)
				leases[i].Nodes[j].Address = info.Address
			}
		}
	}
}

func findNode(nodes []models.NodeInfo, name string) (int, bool) {
	return slices.BinarySearchFunc(nodes, name, func(n models.NodeInfo, name string) int { return cmp.Compare(n.Node, name) })
}

// clone copies the lists that events change; their elements are replaced,
// never written through.
func clone(state models.PoolState) models.PoolState {
	state.Nodes = slices.Clone(state.Nodes)
	state.Leases = slices.Clone(state.Leases)
	state.Waiting = slices.Clone(state.Waiting)
	return state
}
