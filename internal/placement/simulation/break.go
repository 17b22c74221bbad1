package simulation

import (
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// Break is a mechanism that is broken on purpose.
type Break int

// The breaks. Each must be noticed by the oracle.
const (
	NothingBroken Break = iota
	AgentIgnoresFences
	AgentForgetsFences // its disk is empty after a restart
	SweeperIsOff
	SweepForgetsRuns // a workflow ID that is in use again is the same holder
	ContinueDropsInbox
	HolderKeepsLease     // and is done all the same
	HolderKeepsUnwanted  // what an old request brings is not given back
	PoolGrantsTwice      // what is lent is lent to the next one too
	PoolGrantsInPart     // a gang gets all its hosts but one
	PoolRepeatsToken     // a lease has the token of the one before
	PoolRefusesPossible  // instead of letting wait
	PoolSilencesRefusals // what can't be is never answered
	PoolForgetsReserved  // whoever waits for much goes to the end of the queue
	HolderCollects       // a gang is asked for host by host
)

// breakEffects changes what the pool answers.
func (w *World) breakEffects(effects placement.Effects) placement.Effects {
	switch w.breaking {
	case PoolGrantsTwice:
		for _, m := range effects.Waits {
			if len(w.oracle.live) > 0 && w.random.IntN(4) == 0 {
				lent := w.oracle.live[0]
				effects.Grants = append(effects.Grants, models.Lease{
					LeaseRequest: models.LeaseRequest{RequestID: m.Body.RequestID, Holder: m.Holder, Resources: lent.Resources},
					Token:        w.oracle.newest + 1, Nodes: lent.Nodes, GrantedAt: w.now,
				})
			}
		}
	case PoolGrantsInPart:
		for i, lease := range effects.Grants {
			if len(lease.Nodes) > 1 {
				effects.Grants[i].Nodes = slices.Clone(lease.Nodes[1:])
			}
		}
	case PoolRepeatsToken:
		for i := range effects.Grants {
			if w.random.IntN(4) == 0 {
				effects.Grants[i].Token--
			}
		}
	case PoolRefusesPossible:
		for _, m := range effects.Waits {
			refused := models.LeaseRefused{RequestID: m.Body.RequestID, Reason: "no"}
			effects.Refusals = append(effects.Refusals, placement.Message[models.LeaseRefused]{Holder: m.Holder, Body: refused})
		}
	case PoolSilencesRefusals:
		effects.Refusals = nil
	default:
	}
	return effects
}

// forgetReserved makes whoever waits for more than one device a newcomer.
func (p *pool) forgetReserved() {
	state := p.core.State()
	var small, large []models.PoolRequest
	for _, r := range state.Waiting {
		if r.Resources.Nodes*r.Resources.GPUsPerNode <= 1 {
			small = append(small, r)
			continue
		}
		state.Arrivals++
		r.Arrival, r.QueuedAt, r.ReservedAt = state.Arrivals, p.w.now, time.Time{}
		r.ReservedOn, r.Promised = nil, nil
		large = append(large, r)
	}
	state.Waiting = append(small, large...)
	p.core = placement.New(state)
}

// collect asks for a gang's hosts one after the other and keeps those it has
// meanwhile: what two gangs can deadlock on.
func (h *holder) collect(lease models.Lease) {
	h.parts = append(h.parts, lease.RequestID)
	if len(h.parts) < h.template.Resources.Nodes {
		h.ask(h.requestID(), "request "+h.requestID())
		return
	}
	h.state = holding
	h.w.after(h.work, func() {
		for _, id := range h.parts {
			h.giveBack(id)
		}
		h.close()
	})
}

func (h *holder) collects() bool {
	return h.w.breaking == HolderCollects && h.template.Resources.Nodes > 1
}
