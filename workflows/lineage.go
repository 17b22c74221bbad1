package workflows

import (
	"cmp"
	"path"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// lineage tells the world, in two events, what one run of a workflow read and
// wrote: that it began, and how it ended. The work does not wait for the first
// one while there is any, waits for both when it has ended, for no longer than
// lineageTurn and lineageWithin, and fails for neither.
type lineage struct {
	event models.LineageEvent
	began workflow.Future
}

const (
	// lineageWithin bounds an event with all its tries.
	lineageWithin = 10 * time.Second
	// lineageTry bounds one of them. The second one begins before a server that does
	// not answer has used up the time.
	lineageTry = 4 * time.Second
	// lineageTurn is how long the end lets the beginning go first.
	lineageTurn = time.Second
)

// lineageErrorLimit bounds why a run failed, in its event.
const lineageErrorLimit = 4000

// tellLineage says that a run began. Its job is one of the model's; the workflow
// that started this one, if any, is a run of the model's lifecycle.
func tellLineage(ctx workflow.Context, model, job string, told models.LineageEvent) *lineage {
	info := workflow.GetInfo(ctx)
	told.Type, told.At = models.LineageStart, workflow.Now(ctx)
	told.RunID, told.Workflow, told.Job = cmp.Or(info.FirstRunID, info.WorkflowExecution.RunID), info.WorkflowExecution.ID, path.Join(model, job)
	if parent := info.ParentWorkflowExecution; parent != nil {
		told.ParentRunID, told.ParentJob = parent.RunID, path.Join(model, lifecycleJob)
	}
	return &lineage{event: told, began: begin(telling(ctx, "Tell the lineage that "+job+" began"), models.Lineage.EmitLineage, told)}
}

// lifecycleJob is the job whose runs the stages' runs are parts of.
const lifecycleJob = "lifecycle"

// end says how the run ended; outputs are what it has written.
func (l *lineage) end(ctx workflow.Context, failed error, outputs ...models.LineageDataset) {
	ctx, done := workflow.NewDisconnectedContext(ctx)
	defer done()
	log := workflow.GetLogger(ctx)
	event := l.event
	event.At, event.Outputs = workflow.Now(ctx), outputs
	if !l.began.IsReady() {
		_, _ = workflow.AwaitWithTimeout(ctx, lineageTurn, l.began.IsReady) // nobody cancels this context
	}
	switch {
	case failed == nil:
		event.Type = models.LineageComplete
	case temporal.IsCanceledError(failed):
		event.Type, event.Error = models.LineageAbort, "cancelled"
	default:
		event.Type, event.Error = models.LineageFail, clip(reason(failed), lineageErrorLimit)
	}
	ended := begin(telling(ctx, "Tell the lineage how it ended"), models.Lineage.EmitLineage, event)
	for what, told := range []workflow.Future{l.began, ended} {
		if err := told.Get(ctx, nil); err != nil {
			log.Warn("an event is missing from the lineage", "which", []string{"the beginning", "the end"}[what], "error", err)
		}
	}
}

// telling is for a lineage event: nobody waits long for it. It is told even when
// the work is cancelled.
func telling(ctx workflow.Context, summary string) workflow.Context {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ScheduleToCloseTimeout: lineageWithin,
		StartToCloseTimeout:    lineageTry,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumAttempts: 4},
		Summary:                summary,
	})
}

// snapshotTold is one side of a snapshot as an event tells of it; empty: both.
func snapshotTold(s models.Snapshot, side string) models.LineageDataset {
	rows := s.Train.Rows + s.Test.Rows
	switch side {
	case trainSide:
		rows = s.Train.Rows
	case testSide:
		rows = s.Test.Rows
	}
	return models.LineageDataset{URI: s.Manifest.URI, Version: s.SHA256(), Snapshot: &models.LineageSnapshot{
		Columns: s.Columns, Rows: rows, Side: side, Bytes: s.Bytes, Files: s.Files, Profile: s.Profile, Report: s.Report,
	}}
}

// Sides of a snapshot, as models.LineageSnapshot names them.
const (
	trainSide = "train"
	testSide  = "test"
)

// modelTold is a trained model as an event tells of it.
func modelTold(m models.ModelArtifact) models.LineageDataset {
	uri := m.Source
	if !strings.Contains(uri, "://") {
		uri = m.Manifest.URI
	}
	return models.LineageDataset{URI: uri, Version: m.Manifest.SHA256}
}
