package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// pauseAtMost is the longest pause before a server is started again that
	// crashes in a loop.
	pauseAtMost = time.Minute
	// calmAfter is how long a server must have been ready for its crash to be no
	// part of a loop.
	calmAfter = 10 * time.Minute
	// lostAtMost is how often in a row a version that was never ready may lose its
	// server to a signal before it is given up: once may be the host's fault.
	lostAtMost = 5
)

// noteFailure takes note of a server that did not come up.
// node is empty when there was no lease.
func (s *serving) noteFailure(ctx workflow.Context, l *life, node string, err error) {
	switch {
	case ctx.Err() != nil || temporal.IsCanceledError(err):
	case node != "" && (kindOf(err) == "" || kindOf(err) == models.KindUnavailable): // the host does not answer
		s.places[l.index].leaving = []string{node}
	default:
		s.noteCrash(ctx, l, node, models.ReplicaExit{Reason: reason(err)})
	}
}

// noteCrash takes note of a server that has ended by itself.
func (s *serving) noteCrash(ctx workflow.Context, l *life, node string, exit models.ReplicaExit) {
	p, now := s.places[l.index], workflow.Now(ctx)
	trouble := &models.ReplicaTrouble{Replica: l.index, Node: node, At: now, ReplicaExit: exit, Crashes: 1, InARow: 1}
	if p.trouble != nil {
		trouble.Crashes += p.trouble.Crashes
		if p.readyAt.IsZero() || now.Sub(p.readyAt) < calmAfter {
			trouble.InARow += p.trouble.InARow
		}
	}
	if trouble.InARow > 1 && node != "" {
		p.leaving = []string{node} // it may be the host
	}
	p.trouble = trouble
}

// pause is how long a place stays empty after its server has ended.
func (p *place) pause() time.Duration {
	const first = 500 * time.Millisecond
	pause := first
	if p.trouble != nil {
		for i := 1; i < p.trouble.InARow && pause < pauseAtMost; i++ {
			pause *= 2
		}
	}
	return min(pause, pauseAtMost)
}

// hopeless reports whether a life ended in a way in which all would end. A
// version that was once ready is never given up: what changed since may change
// back, and until then everybody can see what is wrong.
func (s *serving) hopeless(p *place, err error) bool {
	if s.proven {
		return false
	}
	switch kindOf(err) {
	case models.KindModelRejected, models.KindServerFailed, models.KindNotTrusted, models.KindEnvironmentFailed, models.KindInvalidSpec:
		return true // the same bytes would fail the same way everywhere
	case models.KindRankLost:
		return p.trouble != nil && p.trouble.InARow >= lostAtMost
	default:
		return false
	}
}
