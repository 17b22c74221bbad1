package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

// cancelled is the end that was asked for. Its details are the report, which the
// workflow finds in the CanceledError: a preempted training is accounted for, too.
func cancelled(report models.AttemptReport) error {
	report.Reason = models.ExitCancelled
	return temporal.NewCanceledError(report)
}

// notStarted is the end of an attempt whose ranks never ran.
func (g *gang) notStarted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if cancelRequested(ctx) {
			return cancelled(g.report(models.ExitCancelled))
		}
		return ctx.Err()
	}
	var failed *models.Error
	if errors.As(err, &failed) && failed.Details == nil && !failed.Kind.Retryable() {
		reason := models.ExitNotStarted
		if failed.Kind == models.KindStaleFence {
			reason = models.ExitFenced
		}
		failed.Details = g.report(reason)
	}
	return err
}

// report is what is known of the attempt now.
func (g *gang) report(reason models.ExitReason) models.AttemptReport {
	var report models.AttemptReport
	if g.watch != nil {
		report = g.watch.report()
	}
	report.Reason, report.Step, report.Skipped = reason, max(g.step(), g.req.Resume.Step), g.req.Resume.Skipped
	report.Ended = time.Now().UTC()
	return report
}

// ended is when the last rank had ended, whenever somebody noticed.
func ended(state runner.State) (at time.Time) {
	for _, p := range state.Processes {
		if p.Exit != nil {
			at = latest(at, p.Exit.At)
		}
	}
	return at
}
