package placement

import (
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Status is what people see. Lists are cut to limit entries.
func (p *Pool) Status(now time.Time, limit int) models.PoolStatus {
	status := models.PoolStatus{
		Pool: p.rest.Pool, Reasons: map[string]string{}, Nodes: p.rest.Nodes[:min(limit, len(p.rest.Nodes)):min(limit, len(p.rest.Nodes))],
		Counts: models.PoolCounts{Nodes: len(p.rest.Nodes), Leases: len(p.leases), Waiting: len(p.waiting)},
	}
	for _, n := range p.rest.Nodes {
		if n.Down != "" {
			status.Counts.NodesDown++
		}
		status.Counts.Devices += len(n.Devices)
		status.Counts.Quarantined += len(n.Quarantined)
	}
	for i, h := range p.leases {
		status.Counts.LeasedMilli += h.milli
		if i < limit {
			status.Leases = append(status.Leases, h.Lease)
		}
	}
	p.order(now)
	for _, w := range p.waiting[:min(limit, len(p.waiting))] {
		status.Waiting = append(status.Waiting, w.PoolRequest)
		status.Reasons[w.RequestID] = p.explain(w, now)
	}
	for _, t := range p.tenants[:min(limit, len(p.tenants))] {
		settled := *t
		settled.settle(now)
		status.Tenants = append(status.Tenants, settled.Tenant)
	}
	return status
}
