package simulation

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

var tenants = []string{"blue", "green"}

// makeHolder draws what somebody might ask of these hosts.
func (w *World) makeHolder(id string) *holder {
	h := &holder{w: w, id: id, state: idle, work: 5*time.Second + w.upTo(4*time.Minute), every: 5*time.Second + w.upTo(20*time.Second)}
	h.template = models.LeaseRequest{Purpose: "train " + id, Resources: w.shape(), Grace: models.Duration(w.upTo(15 * time.Second))}
	r := &h.template.Resources
	r.Tenant, r.Priority = pick(w, tenants...), pick(w, 0, 0, 0, 1, 2)
	r.Preemptible = w.random.IntN(2) == 0
	r.MinRuntime = models.Duration(pick(w, time.Second, 30*time.Second, 2*time.Minute))
	if w.random.IntN(10) == 0 {
		r.MaxWait = models.Duration(time.Minute + w.upTo(5*time.Minute))
	}
	w.holders = append(w.holders, h)
	w.byID[id] = h
	return h
}

// shape draws a gang. Most can be had.
func (w *World) shape() models.Resources {
	n := w.random.IntN(20)
	widest := 0
	for _, h := range w.hosts {
		widest = max(widest, len(h.devices))
	}
	switch {
	case n < 6: // a share of a device
		return models.Resources{Nodes: 1, GPUsPerNode: 1, GPUMilli: pick[int64](w, 100, 250, 500, 700)}
	case n < 10: // some devices of one host
		return models.Resources{Nodes: 1, GPUsPerNode: 1 + w.random.IntN(widest), CPUsPerGPU: pick(w, 0.0, 0, 1)}
	case n < 14: // a gang
		r := models.Resources{Nodes: 1 + w.random.IntN(len(w.hosts)), GPUsPerNode: pick(w, 1, 1, 2)}
		if w.random.IntN(2) == 0 {
			r.MinNodes = 1 + w.random.IntN(r.Nodes)
		}
		return r
	case n < 16: // a total
		return models.Resources{GPUs: 1 + w.random.IntN(widest+2), Placement: pick(w, models.PlacementPack, models.PlacementSpread)}
	case n < 17: // chosen devices
		h := pick(w, w.hosts...)
		return models.Resources{UUIDs: []string{h.devices[0].UUID, pick(w, w.hosts...).devices[0].UUID}[:1+w.random.IntN(2)]}
	case n < 18:
		return models.Resources{Nodes: 1, GPUsPerNode: 1, DeviceModel: pick(w, "H100", "h200")}
	case n < 19: // impossible
		return models.Resources{Nodes: len(w.hosts) + 1, GPUsPerNode: 1}
	default:
		return models.Resources{Nodes: 1, GPUsPerNode: 1, UUIDs: nil, DeviceModels: []string{fmt.Sprintf("B%d00", 1+w.random.IntN(2))}}
	}
}
