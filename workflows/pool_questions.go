package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/placement"
	"github.com/mainspring-ml/mainspring/models"
)

// takeQuestions registers the update by which holders ask. It never waits: a
// request that is not granted at once is answered with the reason, and granted
// by signal later. Many questions share one workflow task, and their answers
// cost nobody a signal.
func (p *pool) takeQuestions(ctx workflow.Context) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, models.UpdateAsk,
		func(ctx workflow.Context, question models.TellPoolRequest) (models.TellPoolResult, error) {
			p.now = workflow.Now(ctx)
			return models.TellPoolResult{Messages: p.reply(question)}, nil
		},
		workflow.UpdateHandlerOptions{Description: "A holder asks for a lease, gives one back, or asks which hosts could hold a gang"})
}

// reply applies a question's parts in their order, and returns what concerns
// the one who asks. Everybody else is told by signal.
func (p *pool) reply(q models.TellPoolRequest) (answer []models.PoolMessage) {
	if q.Release != nil {
		p.follow(p.core.Release(*q.Release, p.now))
	}
	if q.Request != nil {
		answer = append(answer, p.followFor(q.Request.RequestID, p.core.Request(*q.Request, p.now))...)
	}
	if q.Hosts != nil {
		answer = append(answer, p.followFor(q.Hosts.RequestID, p.core.Hosts(*q.Hosts, p.now))...)
	}
	return answer
}

// followFor is follow without the messages about one request, which it
// returns.
func (p *pool) followFor(requestID string, effects placement.Effects) []models.PoolMessage {
	p.follow(effects)
	var own []models.PoolMessage
	p.outbox.messages = slices.DeleteFunc(p.outbox.messages, func(m models.PoolMessage) bool {
		about := answers(m) == requestID
		if about {
			own = append(own, m)
		}
		return about
	})
	return own
}

// answers names the request that a message answers; empty for news of leases.
func answers(m models.PoolMessage) string {
	switch {
	case m.Granted != nil:
		return m.Granted.RequestID
	case m.Refused != nil:
		return m.Refused.RequestID
	case m.Waiting != nil:
		return m.Waiting.RequestID
	case m.Hosts != nil:
		return m.Hosts.RequestID
	default:
		return ""
	}
}
