package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// takeOrders registers the update by which operators speak to the pool. It
// answers at once: what an order causes is told to holders like anything else.
func (p *pool) takeOrders(ctx workflow.Context) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, models.UpdateOperate,
		func(ctx workflow.Context, order models.PoolOrder) (models.PoolOrderResult, error) {
			p.now = workflow.Now(ctx)
			result, effects, err := p.core.Operate(order, p.now)
			if err != nil {
				return models.PoolOrderResult{}, invalidOrder(order, err.Error(), "")
			}
			p.follow(effects)
			return result, nil
		},
		workflow.UpdateHandlerOptions{
			Description: "An operator's order: cordon, uncordon or drain a host, quarantine or unquarantine a device, set a tenant's quota",
			Validator:   func(order models.PoolOrder) error { return checkOrder(order, p.core.State()) },
		})
}

// checkOrder says what is wrong with an order before it enters the history.
func checkOrder(order models.PoolOrder, state models.PoolState) error {
	if strings.TrimSpace(order.By) == "" {
		return invalidOrder(order, "it does not say whose order it is", "set by to a name")
	}
	switch order.Action {
	case models.ActionCordon, models.ActionUncordon, models.ActionDrain:
		return checkNode(order, state)
	case models.ActionQuarantine:
		return checkDevice(order, state)
	case models.ActionUnquarantine:
		return checkQuarantined(order, state)
	case models.ActionQuota:
		switch {
		case order.Tenant == "":
			return invalidOrder(order, "no tenant is named", "set tenant; requests that name none are those of "+models.DefaultTenant)
		case order.GPUs < 0 || order.Weight < 0:
			return invalidOrder(order, fmt.Sprintf("gpus %g and weight %g must not be negative", order.GPUs, order.Weight), "gpus 0 lifts the quota, weight 0 leaves the weight as it is")
		}
		return nil
	default:
		return invalidOrder(order, fmt.Sprintf("there is no action %q", order.Action), "use cordon, uncordon, drain, quarantine, unquarantine or quota")
	}
}

func checkNode(order models.PoolOrder, state models.PoolState) error {
	if order.Node == "" {
		return invalidOrder(order, "no host is named", "set node")
	}
	known := slices.ContainsFunc(state.Nodes, func(n models.PoolNode) bool { return n.Node == order.Node })
	if known {
		return nil
	}
	var names []string
	for _, n := range state.Nodes {
		names = append(names, n.Node)
	}
	return invalidOrder(order, fmt.Sprintf("pool %s has no host %q", state.Pool, order.Node), knownOnes("its hosts are", names))
}

func checkDevice(order models.PoolOrder, state models.PoolState) error {
	if order.UUID == "" {
		return invalidOrder(order, "no device is named", "set uuid")
	}
	for _, n := range state.Nodes {
		if slices.ContainsFunc(n.Devices, func(d models.Device) bool { return d.UUID == order.UUID }) {
			return nil
		}
	}
	return invalidOrder(order, fmt.Sprintf("no host of pool %s has a device %q", state.Pool, order.UUID), "`mainspring pool` lists devices; `mainspring devices` those of one host")
}

func checkQuarantined(order models.PoolOrder, state models.PoolState) error {
	if order.UUID == "" {
		return invalidOrder(order, "no device is named", "set uuid")
	}
	var quarantined []string
	for _, n := range state.Nodes {
		for _, q := range n.Quarantined {
			quarantined = append(quarantined, q.UUID)
		}
	}
	if slices.Contains(quarantined, order.UUID) {
		return nil
	}
	if err := checkDevice(order, state); err != nil {
		return err
	}
	return invalidOrder(order, fmt.Sprintf("device %q is not in quarantine", order.UUID), knownOnes("in quarantine are", quarantined))
}

func knownOnes(lead string, names []string) string {
	if len(names) == 0 {
		return lead + ": none"
	}
	return lead + " " + someOf(names, 10)
}

func invalidOrder(order models.PoolOrder, message, hint string) error {
	return failure(&models.Error{Kind: models.KindInvalidSpec, Subject: string(order.Action), Message: message, Hint: hint})
}
