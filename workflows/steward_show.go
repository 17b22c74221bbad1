package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

func (s *steward) status() models.StewardStatus {
	return models.StewardStatus{StewardState: s.state, Doing: s.doing, Waiting: strings.Join(s.waitingFor(), "; "), Current: s.current}
}

// waitingFor is what people have to decide, one sentence each.
func (s *steward) waitingFor() (all []string) {
	for _, p := range s.state.Approvals {
		all = append(all, fmt.Sprintf("version %s waits for an approval by %s until %s: `mainspring approve %s %s` or `mainspring reject`",
			p.Request.Version, approvers(p.Request.Spec), moment(p.Until), s.state.Model, p.Request.Version))
	}
	moved := s.championMoved()
	for _, task := range s.state.Queue {
		if task.Promote != nil && moved != nil {
			all = append(all, fmt.Sprintf("the promotion of version %s waits: %s; `mainspring aliases %s --restore` or `--adopt`",
				task.Promote.Request.Version, explain(*moved), s.state.Model))
		}
	}
	if champion := s.version(s.state.Champion); champion != nil && champion.Spec.Monitor != nil {
		failed := s.failedInARow()
		if failed >= champion.Spec.Monitor.WithDefaults().Retrain.MaxFailures && len(s.openRetrainings()) == 0 {
			all = append(all, fmt.Sprintf("the last %d retrainings promoted nothing: %s", failed, s.waysOn()))
		}
	}
	return all
}

func (s *steward) show(ctx workflow.Context) {
	var p page
	doing := s.doing
	if doing == "" {
		doing = "waiting for requests"
	}
	p.linef("**%s**: champion %s, previous %s, challenger %s", s.state.Model,
		orNone(s.state.Champion), orNone(s.state.Previous), orNone(s.state.Challenger))
	p.linef("")
	p.linef("Now: %s", doing)
	if n := len(s.state.Queue); n > 0 {
		p.linef("- %d more in the queue", n)
	}
	for _, w := range s.waitingFor() {
		p.linef("- waiting for a person: %s", w)
	}
	for _, d := range s.state.Differences {
		p.linef("- %s (seen %s)", explain(d), moment(d.Seen))
	}
	s.showRetrainings(&p)
	p.header("when", "what", "version", "by", "why")
	for _, r := range lastOf(s.state.Records, 12) {
		p.row(r.At.UTC().Format(time.DateTime), string(r.Action), r.Version, r.By, r.Reason)
	}
	p.show(ctx)
}

// moment writes a time as people read it, with its zone.
func moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }
