package placement

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Operate carries out an operator's order, or says what is wrong with it.
// Repeating an order is success.
func (p *Pool) Operate(order models.PoolOrder, now time.Time) (result models.PoolOrderResult, e Effects, err error) {
	switch order.Action {
	case models.ActionCordon, models.ActionUncordon, models.ActionDrain:
		result, err = p.operateNode(&e, order, now)
	case models.ActionQuarantine, models.ActionUnquarantine:
		result, err = p.operateDevice(&e, order, now)
	case models.ActionQuota:
		result, err = p.operateQuota(order, now)
	default:
		err = fmt.Errorf("no such action %q: use cordon, uncordon, drain, quarantine, unquarantine or quota", order.Action)
	}
	if err != nil {
		return result, Effects{}, err
	}
	for _, m := range e.Preemptions {
		result.Affected = append(result.Affected, p.purposeOf(m.Body.RequestID))
	}
	return result, p.schedule(e, now), nil
}

func (p *Pool) operateNode(e *Effects, order models.PoolOrder, now time.Time) (models.PoolOrderResult, error) {
	at, known := p.find(order.Node)
	if !known {
		return models.PoolOrderResult{}, fmt.Errorf("pool %s has no node %q", p.rest.Pool, order.Node)
	}
	n := &p.rest.Nodes[at]
	var done string
	switch order.Action {
	case models.ActionUncordon:
		n.Cordoned, n.Draining = "", false
		done = "node " + n.Node + " takes leases again"
	case models.ActionDrain:
		n.Cordoned, n.Draining = signed(order), true
		done = "node " + n.Node + " takes no new leases; those there have been asked to move"
		for _, h := range p.leases {
			if h.on(n.Node) {
				p.end(e, h, "node "+n.Node+" is drained by "+n.Cordoned, now)
			}
		}
	default:
		n.Cordoned = signed(order)
		done = "node " + n.Node + " takes no new leases; those there go on"
	}
	for _, w := range p.waiting {
		if n.Cordoned != "" && slices.ContainsFunc(w.Promised, func(part models.LeaseNode) bool { return part.Node == n.Node }) {
			p.breakPromise(w)
		}
	}
	p.index(*n)
	p.inventoryChanged()
	return models.PoolOrderResult{Done: done}, nil
}

func (p *Pool) operateDevice(e *Effects, order models.PoolOrder, now time.Time) (result models.PoolOrderResult, err error) {
	at := slices.IndexFunc(p.rest.Nodes, func(n models.PoolNode) bool {
		_, has := device(n.Devices, order.UUID)
		return has || slices.ContainsFunc(n.Quarantined, func(q models.Quarantine) bool { return q.UUID == order.UUID })
	})
	if at < 0 {
		return result, fmt.Errorf("pool %s has no device %q", p.rest.Pool, order.UUID)
	}
	n := &p.rest.Nodes[at]
	list := slices.DeleteFunc(slices.Clone(n.Quarantined), func(q models.Quarantine) bool { return q.UUID == order.UUID })
	result.Done = "device " + order.UUID + " on node " + n.Node + " is in use again"
	if order.Action == models.ActionQuarantine {
		q := models.Quarantine{UUID: order.UUID, Reason: order.Reason, By: cmp.Or(order.By, "an operator"), At: now}
		spot, _ := slices.BinarySearchFunc(list, q.UUID, func(q models.Quarantine, uuid string) int { return cmp.Compare(q.UUID, uuid) })
		list = slices.Insert(list, spot, q)
		for _, h := range p.leases {
			if h.has(order.UUID) {
				result.Affected = append(result.Affected, who(h.LeaseRequest))
			}
		}
		p.void(e, n.Node, now, func(d models.Device) (models.LeaseLost, bool) {
			return models.LeaseLost{Reason: "device " + d.UUID + " is out of use: " + signed(order), Device: d.UUID}, d.UUID == order.UUID
		})
		result.Done = "device " + order.UUID + " on node " + n.Node + " is out of use; its leases are void"
	}
	n.Quarantined = list
	p.index(*n)
	p.inventoryChanged()
	return result, nil
}

func (p *Pool) operateQuota(order models.PoolOrder, now time.Time) (models.PoolOrderResult, error) {
	if order.Tenant == "" || order.GPUs < 0 || order.Weight < 0 {
		return models.PoolOrderResult{}, fmt.Errorf("a quota needs a tenant, and a number of gpus and a weight that are not negative")
	}
	t := p.enter(order.Tenant)
	t.settle(now)
	t.QuotaMilli = int64(order.GPUs*models.WholeGPU + 0.5)
	t.Weight = cmp.Or(order.Weight, t.Weight)
	p.freed++
	limit := "no limit"
	if t.QuotaMilli > 0 {
		limit = "a limit of " + devices(t.QuotaMilli) + " devices"
	}
	return models.PoolOrderResult{Done: fmt.Sprintf("tenant %s has %s and weight %g", t.Name, limit, cmp.Or(t.Weight, 1))}, nil
}

// signed is who said so, and why.
func signed(order models.PoolOrder) string {
	by := cmp.Or(order.By, "an operator")
	if order.Reason == "" {
		return by
	}
	return by + ": " + order.Reason
}

func (h *held) on(node string) bool {
	return slices.ContainsFunc(h.Nodes, func(part models.LeaseNode) bool { return part.Node == node })
}

func (h *held) has(uuid string) bool {
	return slices.ContainsFunc(h.Nodes, func(part models.LeaseNode) bool {
		_, has := device(part.Devices, uuid)
		return has
	})
}

func (p *Pool) purposeOf(requestID string) string {
	if h := p.heldBy[requestID]; h != nil {
		return who(h.LeaseRequest)
	}
	return requestID
}
