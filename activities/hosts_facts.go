package activities

import (
	"context"

	"github.com/mainspring-ml/mainspring/models"
)

// facts says what a job ran on: this host, and the devices of its lease.
func (h *Hosts) facts(ctx context.Context, node models.LeaseNode) models.HostFacts {
	var facts models.HostFacts
	if h.Facts != nil {
		facts = h.Facts(ctx)
	}
	facts.Node = h.Node
	facts.Devices = make([]models.DeviceFact, len(node.Devices))
	for i, d := range node.Devices {
		facts.Devices[i] = models.DeviceFact{UUID: d.UUID, Model: d.Model}
	}
	return facts
}
