package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// listed is how many names a sentence holds before it counts the rest.
const listed = 8

// Explain says for each waiting request, by RequestID, what it needs, what is
// free, and who is ahead of it.
func Explain(state models.PoolState) map[string]string {
	reasons := make(map[string]string, len(state.Waiting))
	q := queue{state: state, taken: leased(state), possible: map[models.Resources]bool{}, rivals: map[[2]models.Resources]bool{}}
	for i, request := range state.Waiting {
		if q.isPossible(request) {
			reasons[request.RequestID] = q.busy(i)
		} else {
			reasons[request.RequestID] = q.impossible(request)
		}
	}
	return reasons
}

// queue remembers what it found out, since a long queue wants few different
// things. Its maps are only ever asked, never ranged over.
type queue struct {
	state    models.PoolState
	taken    uuids
	possible map[models.Resources]bool
	rivals   map[[2]models.Resources]bool
}

func (q queue) busy(i int) string {
	want := q.state.Waiting[i].Resources
	parts := []string{"needs " + describe(want), "free now: " + countNodes(q.state.Nodes, want, q.taken)}
	if ahead := q.ahead(i); len(ahead) > 0 {
		parts = append(parts, "ahead of you: "+list(ahead))
	}
	if holders := q.occupants(want); len(holders) > 0 {
		parts = append(parts, "in use by: "+list(holders))
	}
	return strings.Join(parts, "; ")
}

func (q queue) impossible(request models.LeaseRequest) string {
	needs := "needs " + describe(request.Resources)
	if request.Resources.Nodes < 1 || request.Resources.GPUsPerNode < 1 {
		return needs + "; no pool can give that: withdraw it and ask for at least 1 node × 1 device"
	}
	if len(q.state.Nodes) == 0 {
		return needs + "; pool " + q.state.Pool + " has no hosts: start `mainspring agent` on one"
	}
	return fmt.Sprintf("%s; pool %s can't hold that even when idle: suitable devices: %s; add hosts, or withdraw it and ask for less; until then later requests pass",
		needs, q.state.Pool, countNodes(q.state.Nodes, request.Resources, nil))
}

func (q queue) isPossible(request models.LeaseRequest) bool {
	known, ok := q.possible[request.Resources]
	if !ok {
		known = possible(q.state.Nodes, request)
		q.possible[request.Resources] = known
	}
	return known
}

// ahead are the purposes of earlier possible requests that want some device
// which suits the i-th.
func (q queue) ahead(i int) []string {
	var ahead []string
	for _, other := range q.state.Waiting[:i] {
		pair := [2]models.Resources{q.state.Waiting[i].Resources, other.Resources}
		rival, ok := q.rivals[pair]
		if !ok {
			rival = q.isPossible(other) && overlap(q.state.Nodes, pair[0], pair[1])
			q.rivals[pair] = rival
		}
		if rival {
			ahead = append(ahead, cmp.Or(other.Purpose, other.RequestID))
		}
	}
	return ahead
}

// occupants are the purposes of leases on devices that suit.
func (q queue) occupants(want models.Resources) []string {
	var holders []string
	for _, lease := range q.state.Leases {
		if slices.ContainsFunc(lease.Nodes, func(part models.LeaseNode) bool {
			return slices.ContainsFunc(part.Devices, func(d models.Device) bool { return suits(d, want) })
		}) {
			holders = append(holders, cmp.Or(lease.Purpose, lease.RequestID))
		}
	}
	return holders
}

func overlap(nodes []models.NodeInfo, a, b models.Resources) bool {
	return slices.ContainsFunc(nodes, func(n models.NodeInfo) bool {
		return slices.ContainsFunc(n.Devices, func(d models.Device) bool { return suits(d, a) && suits(d, b) })
	})
}

func describe(r models.Resources) string {
	words := fmt.Sprintf("%s × %s", plural(r.Nodes, "node"), plural(r.GPUsPerNode, "device"))
	if r.DeviceModel != "" {
		words += fmt.Sprintf(" of model %q", r.DeviceModel)
	}
	if r.DeviceMemory > 0 {
		words += " with at least " + r.DeviceMemory.String()
	}
	return words
}

// countNodes lists the suitable devices on each node that are not taken.
func countNodes(nodes []models.NodeInfo, want models.Resources, taken uuids) string {
	counts := make([]string, len(nodes))
	for i, node := range nodes {
		counts[i] = fmt.Sprintf("%s %d", node.Node, len(available(node, want, taken)))
	}
	return list(counts)
}

func list(items []string) string {
	if len(items) <= listed {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:listed], ", "), len(items)-listed)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
