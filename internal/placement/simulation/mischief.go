package simulation

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// mischief does one thing wrong, and comes again until the world calms down.
func (w *World) mischief() {
	if w.calm {
		return
	}
	w.after(time.Second+w.upTo(w.pace), w.mischief)
	h := pick(w, w.hosts...)
	switch w.random.IntN(10) {
	case 0, 1:
		h.loseAgent()
	case 2:
		h.disconnect()
	case 3:
		h.losePower()
	case 4:
		h.breakDevice()
	case 5, 6:
		w.harm(pick(w, w.holders...))
	case 7:
		h.loseRank()
	default:
		w.operate()
	}
}

// loseAgent kills the agent; its jobs run on.
func (h *host) loseAgent() {
	if !h.joined || !h.running {
		return
	}
	h.running = false
	h.w.note("%s: its agent dies", h.name)
	h.fallSilent()
	h.w.after(time.Second+h.w.upTo(40*time.Second), func() {
		if !h.running {
			if h.w.breaking == AgentForgetsFences {
				h.claims = claims{}
			}
			h.appear()
		}
	})
}

// disconnect cuts the network; agent and jobs run on, and know nothing of it.
func (h *host) disconnect() {
	if h.silent() || !h.joined {
		return
	}
	h.cut = true
	h.w.note("%s: is cut off", h.name)
	h.fallSilent()
	h.w.after(time.Second+h.w.upTo(2*time.Minute), func() {
		if h.cut {
			h.w.note("%s: is heard again", h.name)
			h.cut = false
			h.back()
		}
	})
}

// losePower ends everything on the host but its disk.
func (h *host) losePower() {
	if !h.joined || !h.running {
		return
	}
	h.running, h.cut = false, false
	h.w.note("%s: loses power", h.name)
	for _, j := range h.jobs {
		h.ended(j, "its host lost power")
	}
	h.fallSilent()
	h.w.after(time.Minute+h.w.upTo(2*time.Minute), func() {
		if !h.running {
			h.appear()
		}
	})
}

// breakDevice reports a fault, sometimes a device that has vanished. Processes
// there may or may not feel it.
func (h *host) breakDevice() {
	if !h.joined || h.silent() {
		return
	}
	h.w.oracle.stats.Faults++
	i := h.w.random.IntN(len(h.devices))
	uuid := h.devices[i].UUID
	switch h.w.random.IntN(5) {
	case 0:
		h.missing = uuid
	case 1, 2:
		h.devices[i].Fault = &models.DeviceFault{Code: "XID 79", Action: models.FaultQuarantine, Reason: "it fell off the bus", At: h.w.now}
	default:
		h.devices[i].Fault = &models.DeviceFault{Code: "XID 94", Action: models.FaultRestart, Reason: "contained memory error", At: h.w.now}
	}
	h.w.note("%s: something is wrong with %s", h.name, uuid)
	for _, j := range h.jobs {
		if j.state == jobRunning && h.w.random.IntN(2) == 0 && overlap(j, &job{part: models.LeaseNode{Devices: h.devices[i : i+1]}}) {
			h.ended(j, "its device failed")
		}
	}
	h.announce()
	h.w.after(20*time.Second+h.w.upTo(3*time.Minute), func() {
		if h.missing == uuid {
			h.missing = ""
		}
		h.devices[i].Fault = nil
		if !h.silent() {
			h.announce()
		}
	})
}

// loseRank kills the processes of one job.
func (h *host) loseRank() {
	for _, j := range h.jobs {
		if j.state == jobRunning {
			h.ended(j, "it was killed")
			return
		}
	}
}

// harm does something to a holder.
func (w *World) harm(h *holder) {
	if h.state == closed || h.attempt == 0 {
		return
	}
	if w.random.IntN(4) == 0 {
		h.w.note("%s: is cancelled while %s", h.id, h.state)
		h.cancel()
		return
	}
	h.crash()
	if w.random.IntN(2) == 0 {
		w.after(w.upTo(pick(w, 10*time.Second, time.Minute)), h.restart)
	}
}

// operate gives the pool an order.
func (w *World) operate() {
	h := pick(w, w.hosts...)
	order := models.PoolOrder{By: "an operator"}
	switch w.random.IntN(8) {
	case 0:
		order.Action, order.Node = models.ActionCordon, h.name
	case 1, 2:
		order.Action, order.Node = models.ActionDrain, h.name
	case 3, 4:
		order.Action, order.Node = models.ActionUncordon, h.name
	case 5:
		order.Action, order.UUID = models.ActionQuarantine, pick(w, h.devices...).UUID
	case 6:
		order.Action, order.UUID = models.ActionUnquarantine, pick(w, h.devices...).UUID
	default:
		order.Action, order.Tenant = models.ActionQuota, pick(w, tenants...)
		order.GPUs, order.Weight = pick(w, 0.0, 1, 2.5, 8), pick(w, 0.0, 1, 3)
	}
	w.order(order)
}

// lift takes back every order that could keep somebody waiting.
func (w *World) lift() {
	for _, h := range w.hosts {
		w.order(models.PoolOrder{Action: models.ActionUncordon, Node: h.name, By: "an operator"})
		for _, d := range h.devices {
			w.order(models.PoolOrder{Action: models.ActionUnquarantine, UUID: d.UUID, By: "an operator"})
		}
	}
	for _, tenant := range tenants {
		w.order(models.PoolOrder{Action: models.ActionQuota, Tenant: tenant, Weight: 1, By: "an operator"})
	}
}

// order is an update: it is neither lost nor repeated nor late.
func (w *World) order(order models.PoolOrder) {
	what := fmt.Sprintf("order %s %s%s%s", order.Action, order.Node, order.UUID, order.Tenant)
	w.pool.receive(message{what, func(now time.Time) placement.Effects {
		_, effects, err := w.pool.core.Operate(order, now)
		if err == nil {
			w.oracle.ordered(order)
		}
		return effects
	}})
}
