package placement

import (
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/mainspring-ml/mainspring/models"
)

// oracle is a deliberately dumb reading of a state: it counts.
type oracle struct {
	state models.PoolState
	now   time.Time
}

// checkLeases: promises 1 and 2.
func (o oracle) checkLeases(t *rapid.T) {
	shares, cpus := map[string]int64{}, map[string]int64{}
	for _, lease := range o.state.Leases {
		o.checkShape(t, lease.RequestID, lease.Resources, lease.Nodes)
		for _, part := range lease.Nodes {
			n, known := o.node(part.Node)
			if !known || n.Address != part.Address {
				t.Fatalf("%s is on %s at %s, which is at %s", lease.RequestID, part.Node, part.Address, n.Address)
			}
			if cpus[part.Node] += part.CPUMilli; part.CPUMilli > 0 && cpus[part.Node] > 12_000 {
				t.Fatalf("%d of %d cores of %s are leased", cpus[part.Node], n.CPUMilli, part.Node)
			}
			for _, d := range part.Devices {
				if shares[d.UUID] += d.Share(); shares[d.UUID] > models.WholeGPU {
					t.Fatalf("device %s is leased %d thousandths, the last to %s", d.UUID, shares[d.UUID], lease.RequestID)
				}
				if _, has := device(n.Devices, d.UUID); !has {
					t.Fatalf("%s has %s, which %s has not", lease.RequestID, d.UUID, part.Node)
				}
			}
		}
	}
	for _, w := range o.state.Waiting {
		if len(w.Promised) > 0 {
			o.checkShape(t, w.RequestID, w.Resources, w.Promised)
		}
	}
}

func (o oracle) checkShape(t *rapid.T, id string, r models.Resources, parts []models.LeaseNode) {
	count, model := 0, ""
	for _, part := range parts {
		count += len(part.Devices)
		for _, d := range part.Devices {
			if model != "" && d.Model != model && len(r.UUIDs) == 0 {
				t.Fatalf("%s has a %s and a %s", id, model, d.Model)
			}
			model = d.Model
			if !strings.Contains(strings.ToLower(d.Model), r.DeviceModel) && len(r.UUIDs) == 0 {
				t.Fatalf("%s wanted %s and has a %s", id, r.DeviceModel, d.Model)
			}
		}
		if r.GPUs == 0 && len(r.UUIDs) == 0 && len(part.Devices) != r.GPUsPerNode {
			t.Fatalf("%s has %d devices on %s, wanted %d", id, len(part.Devices), part.Node, r.GPUsPerNode)
		}
	}
	switch {
	case len(r.UUIDs) > 0 && count != len(r.UUIDs), r.GPUs > 0 && count != r.GPUs,
		r.Nodes > 0 && (len(parts) < r.MinNodes || len(parts) > r.Nodes):
		t.Fatalf("%s wanted %+v and has %d devices on %d nodes", id, r, count, len(parts))
	}
}

// checkTold: holders know what the pool knows.
func (o oracle) checkTold(t *rapid.T, w *world) {
	for _, lease := range o.state.Leases {
		if _, ok := w.told[lease.RequestID]; !ok {
			t.Fatalf("%s has a lease and was not told", lease.RequestID)
		}
	}
	if len(w.told) != len(o.state.Leases) {
		t.Fatalf("holders think they have %d leases, the pool knows %d", len(w.told), len(o.state.Leases))
	}
	if len(w.waiting) != len(o.state.Waiting) {
		t.Fatalf("%d requests have no answer, %d wait", len(w.waiting), len(o.state.Waiting))
	}
}

// checkQueue: nobody waits who could start on what nobody has, is promised or
// keeps; and everybody who waits is told why.
func (o oracle) checkQueue(t *rapid.T, w *world) {
	used, cpus, kept := map[string]int64{}, map[string]int64{}, map[string]string{}
	count := func(parts []models.LeaseNode) {
		for _, part := range parts {
			cpus[part.Node] += part.CPUMilli
			for _, d := range part.Devices {
				used[d.UUID] += d.Share()
			}
		}
	}
	for _, l := range o.state.Leases {
		count(l.Nodes)
	}
	for _, r := range o.state.Waiting {
		count(r.Promised)
		for _, host := range r.ReservedOn {
			kept[host] = r.RequestID
		}
	}
	for _, r := range o.state.Waiting {
		if w.pool.Explain(r.RequestID, o.now) == "" {
			t.Fatalf("nobody says why %s waits", r.RequestID)
		}
		if len(r.Promised) > 0 || r.Resources.GPUs > 0 || len(r.Resources.UUIDs) > 0 || o.overQuota(r) {
			continue
		}
		for _, model := range []string{"NVIDIA H200", "virtual"} {
			if n := o.hostsFor(r.Resources, model, used, cpus, func(host string) bool { return kept[host] == "" || kept[host] == r.RequestID }); n >= r.Resources.MinNodes {
				t.Fatalf("%s fits on %d hosts and waits: %s", r.RequestID, n, w.pool.Explain(r.RequestID, o.now))
			}
		}
	}
}

// hostsFor counts hosts where one rank group of a request would fit.
func (o oracle) hostsFor(r models.Resources, model string, used, cpus map[string]int64, open func(string) bool) (hosts int) {
	for _, n := range o.state.Nodes {
		if n.Down != "" || n.Cordoned != "" || !open(n.Node) || cpus[n.Node]+int64(r.CPUsPerGPU*1000)*int64(r.GPUsPerNode) > n.CPUMilli && r.CPUsPerGPU > 0 {
			continue
		}
		free := 0
		for _, d := range n.Devices {
			out := slices.ContainsFunc(n.Quarantined, func(q models.Quarantine) bool { return q.UUID == d.UUID })
			if !out && d.Model == model && strings.Contains(strings.ToLower(model), r.DeviceModel) && used[d.UUID]+r.GPUMilli <= models.WholeGPU {
				free++
			}
		}
		if free >= r.GPUsPerNode {
			hosts++
		}
	}
	return hosts
}

func (o oracle) overQuota(r models.PoolRequest) bool {
	for _, t := range o.state.Tenants {
		if t.Name != r.Resources.Tenant || t.QuotaMilli == 0 {
			continue
		}
		held := milliOf(o.state.Leases, t.Name)
		for _, other := range o.state.Waiting {
			for _, part := range other.Promised {
				if other.Resources.Tenant == t.Name {
					for _, d := range part.Devices {
						held += d.Share()
					}
				}
			}
		}
		return held+int64(r.Resources.MinNodes*r.Resources.GPUsPerNode)*r.Resources.GPUMilli > t.QuotaMilli
	}
	return false
}

func (o oracle) node(name string) (models.PoolNode, bool) {
	for _, n := range o.state.Nodes {
		if n.Node == name {
			return n, true
		}
	}
	return models.PoolNode{}, false
}
