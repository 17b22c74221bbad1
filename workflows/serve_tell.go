package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// answerAskers lets a rollout that finds this Serve running take the place of
// whoever was to be told. One on its way out stays silent: the rollout would
// rely on servers that end.
func (s *serving) answerAskers(ctx workflow.Context) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		asked := workflow.GetSignalChannel(ctx, models.SignalTell)
		for {
			var asker models.TellServe
			asked.Receive(ctx, &asker)
			s.input.Notify, s.told = asker.Notify, false
			s.tellReady(ctx)
		}
	})
}

// tellReady tells Notify once that all replicas are up.
func (s *serving) tellReady(ctx workflow.Context) {
	leaving := s.stopping || workflow.GetSignalChannel(ctx, models.SignalStop).Len() > 0 || ctx.Err() != nil
	if s.told || leaving || len(s.replicas()) < len(s.ready) {
		return
	}
	s.told = true
	s.tell(ctx, models.SignalServeReady, models.ServeReady{Version: s.input.Version, Replicas: s.replicas()})
}
