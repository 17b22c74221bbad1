package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// waitFor says what a request asks for while it waits; the pool's words are
// added as they come. Empty: nothing is waited for.
func (t *training) waitFor(ctx workflow.Context, requestID, what string) {
	t.asked, t.askedFor, t.status.Waiting = requestID, what, what
	t.show(ctx)
}

// reasonChanged shows the pool's latest words on the request that waits.
func (t *training) reasonChanged(ctx workflow.Context) {
	why := t.desk.waitingReason(t.asked)
	if t.asked == "" || why == "" {
		return
	}
	t.status.Waiting = t.askedFor + ": " + why
	t.show(ctx)
}

// failed is a failed attempt in one line, for people.
func failed(o outcome) string {
	text := string(o.reason)
	if o.host != "" {
		text += " on " + o.host
	}
	if o.detail != "" {
		text += ": " + excerpt(o.detail)
	}
	return text
}

// excerpt is enough of a message for a status: an agent's carries the last
// lines of a log.
func excerpt(text string) string {
	const longest = 400
	return clip(text, longest)
}

// accountForMLflow is the account as the run's metrics and tags.
func (t *training) accountForMLflow() (map[string]float64, map[string]string) {
	t.settle()
	a := t.status.Account
	metrics := map[string]float64{
		"mainspring.gpu_seconds.waiting":       a.Waiting,
		"mainspring.gpu_seconds.starting":      a.Starting,
		"mainspring.gpu_seconds.computing":     a.Computing,
		"mainspring.gpu_seconds.checkpointing": a.Checkpointing,
		"mainspring.gpu_seconds.lost":          a.Lost,
		"mainspring.gpu_seconds.leased":        a.Leased(),
	}
	attempts := 0
	reasons := make([]string, len(t.status.Attempts))
	for i, one := range t.status.Attempts {
		attempts = one.Attempt
		reasons[i] = fmt.Sprintf("%d: %s at step %d", one.Attempt, one.Reason, one.To)
	}
	tags := map[string]string{
		"mainspring.attempts":            fmt.Sprint(attempts),
		"mainspring.restarts":            fmt.Sprint(t.restarts),
		"mainspring.attempt_ends":        strings.Join(reasons, "; "),
		"mainspring.account":             a.String(),
		"mainspring.devices":             clip(strings.Join(t.devices, ","), tagLimit),
		"mainspring.skipped_checkpoints": clip(strings.Join(t.status.Skipped, "; "), tagLimit),
	}
	return metrics, tags
}

// tagLimit is below the longest tag that MLflow takes.
const tagLimit = 4000

func clip(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + " …"
}

// show is the workflow's page.
func (t *training) show(ctx workflow.Context) {
	var p page
	p.linef("**Train %s**: %s, attempt %d", t.input.Model, t.status.State, t.status.Attempt)
	if t.status.Waiting != "" {
		p.linef("")
		p.linef("Waiting for %s", t.status.Waiting)
	}
	if t.status.Resumed > 0 && t.status.State == models.TrainRunning {
		p.linef("")
		p.linef("Resumed from the checkpoint of step %d", t.status.Resumed)
	}
	if t.prepared != "" {
		p.linef("")
		p.linef("Prepared on %s", t.prepared)
	}
	if t.status.Lease != nil && t.status.State == models.TrainRunning {
		p.header("rank host", "devices", "lease token")
		for _, n := range t.status.Lease.Nodes {
			p.row(n.Node, fmt.Sprint(uuids(n.Devices)), fmt.Sprint(t.status.Lease.Token))
		}
	}
	t.showAttempts(&p)
	if t.run.URL != "" {
		p.linef("")
		p.linef("[MLflow run](%s); logs: `mainspring logs -f %s`", t.run.URL, workflow.GetInfo(ctx).WorkflowExecution.ID)
	}
	p.show(ctx)
}

func (t *training) showAttempts(p *page) {
	if len(t.status.Attempts) > 0 {
		p.header("attempt", "hosts", "steps", "took", "ended", "GPU-seconds", "of these lost")
		for _, a := range t.status.Attempts {
			why := string(a.Reason)
			if a.Detail != "" {
				why += ": " + a.Detail
			}
			p.row(fmt.Sprint(a.Attempt), strings.Join(a.Nodes, ", "), fmt.Sprintf("%d – %d", a.From, a.To),
				a.Ended.Sub(a.Began).Round(time.Second).String(), why, number(a.Account.Leased()), number(a.Account.Lost))
		}
		p.linef("")
		p.linef("Account: %s", t.status.Account)
	}
	if t.status.Budget > 0 {
		p.linef("")
		p.linef("Budget: %d GPU-seconds", t.status.Budget)
	}
	for _, name := range t.status.Skipped {
		p.linef("- checkpoint passed over: %s", name)
	}
}
