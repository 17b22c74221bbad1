package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

func (s *serving) status() models.ServeStatus {
	status := models.ServeStatus{Version: s.input.Version, Replicas: s.replicas(), Waiting: s.waiting}
	for _, p := range s.places {
		status.Restarts += max(p.starts-1, 0)
		if p.trouble != nil {
			status.Crashes += p.trouble.Crashes
			status.Troubles = append(status.Troubles, *p.trouble)
		}
	}
	for _, why := range s.reasons() {
		status.Waiting += "; " + why
	}
	return status
}

// reasons is why replicas wait for devices, as the pool last said.
func (s *serving) reasons() (all []string) {
	for i, p := range s.places {
		if why := s.desk.waitingReason(p.asking); why != "" {
			all = append(all, fmt.Sprintf("replica %d: %s", i, why))
		}
	}
	return all
}

func (s *serving) show(ctx workflow.Context, waiting string) {
	s.waiting = waiting
	var p page
	p.linef("**%s version %s**: %d of %d replicas ready, %d restarts", s.input.Deploy.Endpoint, s.input.Version,
		len(s.replicas()), len(s.ready), s.status().Restarts)
	if waiting != "" {
		p.linef("")
		p.linef("Now: %s", waiting)
	}
	for _, why := range s.reasons() {
		p.linef("- %s", why)
	}
	p.header("replica", "host", "address")
	for _, r := range s.replicas() {
		p.row(fmt.Sprint(r.Replica), r.Node, r.URL)
	}
	for _, trouble := range s.status().Troubles {
		p.linef("")
		p.linef("Replica %d failed %d times, last on %s at %s: %s", trouble.Replica, trouble.Crashes, orNone(trouble.Node), trouble.At.UTC().Format(time.DateTime), trouble.Reason)
		if trouble.Log != "" {
			p.linef("```\n%s\n```", trouble.Log)
		}
	}
	p.show(ctx)
}
