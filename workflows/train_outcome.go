package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// outcome is how an attempt ended.
type outcome struct {
	reason models.ExitReason
	host   string // whose word it is; empty: the whole gang's
	detail string
	report models.AttemptReport
	err    error // nil: finished, or to go on without counting
	// counted: a restart may help, and counts against max_restarts.
	counted bool
}

// judge tells how a gang that is gone ended: cancelled from outside, finished,
// or the failure that tells the most. In a gang that was asked to leave, ranks
// that lost their peers a moment before they were asked themselves end with an
// error: only what no restart would mend counts then.
func (t *training) judge(ctx workflow.Context, g *gang) outcome {
	o := outcome{report: g.results[0].Report}
	if at := tellsMost(g); at >= 0 {
		o = outcomeOf(g.errs[at], g.lease.Nodes[at].Node)
		o.report = timesOf(g, o.report)
	}
	_, lost := t.desk.lossOf(g.lease.RequestID)
	switch {
	case ctx.Err() != nil:
		return outcome{reason: models.ExitCancelled, report: o.report, err: ctx.Err()}
	case g.results[0].Artifact != nil && (o.err == nil || o.reason == models.ExitCancelled):
		return outcome{reason: models.ExitFinished, report: o.report}
	case o.err != nil && weight(o.err) == beyondRestart:
		return o
	case g.asked != "" && g.asked != models.ExitLeaseLost:
		return outcome{reason: g.asked, detail: g.why, report: o.report}
	case lost:
		return t.leaseLost(g, o.report)
	case o.err == nil:
		return noModel(g, o.report)
	default:
		return o
	}
}

// tellsMost is the host whose failure explains the others'; -1: none failed.
// Among equals the first counts.
func tellsMost(g *gang) int {
	found := -1
	for _, i := range g.ended {
		if g.errs[i] == nil {
			continue
		}
		if found < 0 || weight(g.errs[i]) > weight(g.errs[found]) {
			found = i
		}
	}
	return found
}

// The weights of failures. A cause that a restart would meet again comes first;
// a lost rank or host makes its peers fail with an exit status, so it comes
// before that.
const (
	asAsked = iota
	exitStatus
	surroundings
	beyondRestart
)

func weight(err error) int {
	switch {
	case temporal.IsCanceledError(err):
		return asAsked
	case restartable(err):
		return surroundings
	case exitReason(err) == models.ExitStatus:
		return exitStatus
	default:
		return beyondRestart
	}
}

// outcomeOf reads an activity's failure.
func outcomeOf(err error, host string) outcome {
	o := outcome{reason: exitReason(err), host: host, detail: reason(err), report: reportOf(err), err: err}
	o.counted = restartable(err)
	if temporal.IsCanceledError(err) {
		o.detail = "" // nothing that is not known here
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		o.detail = "its agent gave no sign of life (" + timeout.TimeoutType().String() + "); is `mainspring agent` running there?"
	}
	return o
}

// timesOf completes a report, which may be another host's, with what the host
// of rank 0 knows: only there are progress and checkpoints written.
func timesOf(g *gang, told models.AttemptReport) models.AttemptReport {
	times := g.results[0].Report
	if g.errs[0] != nil {
		times = reportOf(g.errs[0])
	}
	if times.FirstProgress.IsZero() && times.Step == 0 && times.Checkpoint == 0 {
		times.FirstProgress, times.LastProgress, times.Step = told.FirstProgress, told.LastProgress, told.Step
		times.Checkpoint, times.CheckpointAt, times.CheckpointSeconds = told.Checkpoint, told.CheckpointAt, told.CheckpointSeconds
	}
	if told.Ended.After(times.Ended) {
		times.Ended = told.Ended
	}
	times.Skipped = append(slices.Clone(times.Skipped), told.Skipped...)
	return times
}

// reportOf is the agent's report on a failed attempt. Of an agent that was
// lost, the last heartbeat is left.
func reportOf(err error) (report models.AttemptReport) {
	var application *temporal.ApplicationError
	var cancelled *temporal.CanceledError
	var timeout *temporal.TimeoutError
	var decoded error
	switch {
	case errors.As(err, &application):
		if application.HasDetails() {
			decoded = application.Details(&report)
		}
	case errors.As(err, &cancelled):
		if cancelled.HasDetails() {
			decoded = cancelled.Details(&report)
		}
	case errors.As(err, &timeout):
		var beat models.RankProgress
		if timeout.HasLastHeartbeatDetails() {
			decoded = timeout.LastHeartbeatDetails(&beat)
		}
		report = models.AttemptReport{Reason: models.ExitAgentLost, Step: beat.Step, Checkpoint: beat.Checkpoint}
	}
	if decoded != nil {
		return models.AttemptReport{} // details of another kind: no report
	}
	return report
}

// exitReason is the agent's word, or what the error's kind comes to without.
func exitReason(err error) models.ExitReason {
	if told := reportOf(err).Reason; told != "" {
		return told
	}
	if temporal.IsCanceledError(err) {
		return models.ExitCancelled
	}
	switch kindOf(err) {
	case models.KindRankLost:
		return models.ExitSignal
	case models.KindStaleFence:
		return models.ExitFenced
	case models.KindEnvironmentFailed, models.KindInvalidSpec:
		return models.ExitNotStarted
	case models.KindModelRejected:
		return models.ExitNoModel
	default:
		return models.ExitStatus
	}
}

// restartable: the ranks' surroundings failed, not the program.
func restartable(err error) bool {
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return true
	}
	switch kindOf(err) {
	case models.KindRankLost, models.KindStaleFence, models.KindUnavailable:
		return true
	default:
		return false
	}
}

func (t *training) leaseLost(g *gang, report models.AttemptReport) outcome {
	lost, _ := t.desk.lossOf(g.lease.RequestID)
	subject := lost.Node
	if lost.Device != "" {
		subject = strings.TrimPrefix(subject+" device "+lost.Device, " ")
	}
	return outcome{
		reason: models.ExitLeaseLost, host: lost.Node, detail: lost.Reason, report: report, counted: true,
		err: failure(&models.Error{Kind: models.KindRankLost, Subject: subject, Message: "the lease was lost: " + lost.Reason}),
	}
}

func noModel(g *gang, report models.AttemptReport) outcome {
	const detail = "the training ended well and left no model"
	return outcome{
		reason: models.ExitNoModel, host: g.lease.Nodes[0].Node, detail: detail, report: report,
		err: failure(&models.Error{Kind: models.KindModelRejected, Subject: "rank 0", Message: detail,
			Hint: "rank 0 writes it to the directory in MAINSPRING_MODEL_DIR"}),
	}
}

// explain is the error of a training that ends with this attempt: it names
// attempt, host and reason, and says what to do.
func (t *training) explain(o outcome) error {
	kind := kindOf(o.err)
	if kind == "" {
		kind = models.KindRankLost // a time-out
	}
	where := fmt.Sprintf("attempt %d", t.status.Attempt)
	if o.host != "" {
		where += " on " + o.host
	}
	message := fmt.Sprintf("%s: %s", o.reason, reason(o.err))
	if o.reason == models.ExitAgentLost {
		message = fmt.Sprintf("%s: %s", o.reason, o.detail)
	}
	hint := advice(o.reason)
	if o.counted {
		message = fmt.Sprintf("given up after %d restarts, as train.max_restarts says; the last failure: %s", t.restarts, message)
		hint = strings.TrimPrefix(hint+"; the attempts are listed in the workflow's page and in `mainspring status`", "; ")
	}
	return failure(&models.Error{Kind: kind, Subject: where, Message: message, Hint: hint})
}

// advice is for failures that no agent told of; an agent's own words have it.
func advice(reason models.ExitReason) string {
	switch reason {
	case models.ExitAgentLost:
		return "look at the host and its `mainspring agent`"
	case models.ExitLeaseLost, models.ExitFenced:
		return "`mainspring pool` shows what became of hosts and devices"
	default:
		return ""
	}
}

// accounted gives the error of a training that leased devices the account of
// them, for whoever pays.
func accounted(cause error, account models.GPUAccount) error {
	if kindOf(cause) == "" || account.Leased() == 0 {
		return cause
	}
	return temporal.NewApplicationErrorWithOptions(reason(cause), string(kindOf(cause)),
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{account}})
}

// accountOf is the account that a failed training's error carries.
func accountOf(err error) (account models.GPUAccount, ok bool) {
	var application *temporal.ApplicationError
	if !errors.As(err, &application) || !application.HasDetails() {
		return account, false
	}
	return account, application.Details(&account) == nil
}
