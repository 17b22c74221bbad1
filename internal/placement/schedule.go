package placement

import (
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// schedule grants what fits, in order of arrival.
func schedule(state models.PoolState, effects Effects, now time.Time) (models.PoolState, Effects) {
	taken := leased(state)
	waiting := state.Waiting[:0:0]
	refused := map[models.Resources]bool{} // who wants the same as a refused one need not be tried
	for _, request := range state.Waiting {
		if refused[request.Resources] {
			waiting = append(waiting, request)
			continue
		}
		nodes, fits := pick(state.Nodes, request, taken)
		if !fits {
			waiting = append(waiting, request)
			refused[request.Resources] = true
			reserve(state.Nodes, request, taken)
			continue
		}
		lease := models.Lease{
			RequestID: request.RequestID, Holder: request.Holder, Purpose: request.Purpose,
			Token: max(state.NextToken, 1), Nodes: nodes, GrantedAt: now,
		}
		state.NextToken = lease.Token + 1
		state.Leases = append(state.Leases, lease)
		effects.Grants = append(effects.Grants, lease)
		taken.addLease(lease)
	}
	state.Waiting = waiting
	return state, effects
}

// uuids is a set of devices. It is only ever asked, never ranged over.
type uuids map[string]bool

func (u uuids) addLease(lease models.Lease) {
	for _, part := range lease.Nodes {
		u.addAll(part.Devices)
	}
}

func (u uuids) addAll(devices []models.Device) {
	for _, device := range devices {
		u[device.UUID] = true
	}
}

// leased are the devices in any lease. A device counts by UUID wherever it
// shows up: one that moved to another host is not lent twice.
func leased(state models.PoolState) uuids {
	taken := uuids{}
	for _, lease := range state.Leases {
		taken.addLease(lease)
	}
	return taken
}

// reserve takes what suits a possible request out of reach of later ones.
func reserve(nodes []models.NodeInfo, request models.LeaseRequest, taken uuids) {
	if !possible(nodes, request) {
		return
	}
	for _, node := range nodes {
		for _, device := range node.Devices {
			if suits(device, request.Resources) {
				taken[device.UUID] = true
			}
		}
	}
}

// possible reports whether the inventory would hold the request with every
// lease gone.
func possible(nodes []models.NodeInfo, request models.LeaseRequest) bool {
	_, ok := pick(nodes, request, nil)
	return ok
}

// pick chooses the devices of a gang, none of them taken: filter the suitable,
// rank nodes by name with the avoided last, take the first that are enough.
func pick(nodes []models.NodeInfo, request models.LeaseRequest, taken uuids) ([]models.LeaseNode, bool) {
	want := request.Resources
	if want.Nodes < 1 || want.GPUsPerNode < 1 {
		return nil, false
	}
	chosen := make([]models.LeaseNode, 0, min(want.Nodes, len(nodes)))
	used := uuids{} // a device that two nodes claim serves one rank
	for _, avoided := range []bool{false, true} {
		for _, node := range nodes {
			if len(chosen) == want.Nodes {
				break
			}
			if slices.Contains(request.Avoid, node.Node) != avoided {
				continue
			}
			devices := available(node, want, taken, used)
			if len(devices) < want.GPUsPerNode {
				continue
			}
			devices = devices[:want.GPUsPerNode]
			used.addAll(devices)
			chosen = append(chosen, models.LeaseNode{Node: node.Node, Address: node.Address, Devices: devices})
		}
	}
	slices.SortFunc(chosen, func(a, b models.LeaseNode) int { return strings.Compare(a.Node, b.Node) })
	return chosen, len(chosen) == want.Nodes
}

// available are the node's devices that suit and are in none of the sets.
func available(node models.NodeInfo, want models.Resources, sets ...uuids) []models.Device {
	var devices []models.Device
	for i, device := range node.Devices {
		twice := i > 0 && node.Devices[i-1].UUID == device.UUID
		if twice || !suits(device, want) || slices.ContainsFunc(sets, func(u uuids) bool { return u[device.UUID] }) {
			continue
		}
		devices = append(devices, device)
	}
	return devices
}

// suits reports whether a device passes the request's filters. Model names are
// compared without regard to case: people write h200.
func suits(device models.Device, want models.Resources) bool {
	return device.MemoryMiB<<20 >= int64(want.DeviceMemory) &&
		(want.DeviceModel == "" || strings.Contains(strings.ToLower(device.Model), strings.ToLower(want.DeviceModel)))
}
