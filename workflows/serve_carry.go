package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// A server that runs for weeks, and even more one that crashes for weeks, fills
// a history. The workflow then begins a new run while its servers go on: what
// the next run needs of a replica is whether it waits for a lease, or which
// lease and which server it has. Nothing is begun anew; the watch attaches to
// the server again, as it does after an agent's restart.

// renews reports whether the history is long enough and nothing is under way
// that only this run could finish.
func (s *serving) renews(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() && s.atRest() &&
		!s.desk.unheard(ctx) && !anyWaits(ctx, models.SignalTell)
}

func (s *serving) atRest() bool {
	return !slices.ContainsFunc(s.places, func(p *place) bool {
		switch p.lives {
		case 0:
			return false // between two lives
		case 1:
			return p.life.settled == nil || !p.life.settled()
		default:
			return true // it moves
		}
	})
}

// next is the input of the next run.
func (s *serving) next() models.ServeInput {
	state := models.ServeState{Told: s.told, Proven: s.proven}
	for i, p := range s.places {
		replica := models.ReplicaState{Starts: p.starts, Trouble: p.trouble, Avoid: p.leaving, ReadyAt: p.readyAt, Ready: s.ready[i]}
		switch {
		case p.lives == 0:
		case p.asking != "":
			replica.Request = &p.life.request
		default:
			replica.Lease = p.life.lease
		}
		state.Replicas = append(state.Replicas, replica)
	}
	next := s.input
	next.Prior = &state
	return next
}

// take goes on with what the last run has left.
func (s *serving) take(prior models.ServeState) {
	s.told, s.proven = prior.Told, prior.Proven
	for i, replica := range prior.Replicas {
		p := s.places[i]
		p.starts, p.trouble, p.leaving, p.readyAt, s.ready[i] = replica.Starts, replica.Trouble, replica.Avoid, replica.ReadyAt, replica.Ready
		switch {
		case replica.Lease != nil:
			p.prior, p.node = &replica, replica.Lease.Nodes[0].Node
			s.desk.adopt(*replica.Lease)
		case replica.Request != nil:
			p.prior = &replica
			s.desk.expect(replica.Request.RequestID)
		}
	}
}
