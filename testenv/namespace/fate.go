package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Moment of a step at which a worker can die; empty: it lives.
type Moment string

// The moments.
const (
	// AtDecision is in the workflow, when it decides on a step: the decision is lost.
	AtDecision Moment = "decision"
	// AtStart is before the step's activity does anything.
	AtStart Moment = "start"
	// AtEnd is when the activity has done everything and has not said so.
	AtEnd Moment = "end"
	// AtMessage is when the workflow is given a signal or an update.
	AtMessage Moment = "message"
)

// Moments lists them all.
func Moments() []Moment { return []Moment{AtDecision, AtStart, AtEnd, AtMessage} }

const (
	journalVariable = "MAINSPRING_FATE_JOURNAL"
	momentVariable  = "MAINSPRING_FATE_MOMENT"
)

// Mortal is the environment of a worker that dies once at a moment of each step.
// The journal is a directory with a file for each step at which one has died.
func Mortal(journal string, moment Moment) []string {
	return []string{journalVariable + "=" + journal, momentVariable + "=" + string(moment)}
}

// Deaths are the steps in a journal, sorted.
func Deaths(journal string) (steps []string, err error) {
	entries, err := os.ReadDir(journal)
	for _, entry := range entries {
		steps = append(steps, entry.Name())
	}
	return steps, err
}

// Fate kills this process whenever a workflow of its type reaches a step for the
// first time. Steps have names that are the same in every process.
type Fate struct {
	interceptor.WorkerInterceptorBase
	workflow, journal string
	moment            Moment
	// Beside is called before an activity; what it returns, if anything, when that
	// has done everything.
	Beside func(*interceptor.ExecuteActivityInput) (done func())
}

// NewFate is the fate of a worker with the environment of Mortal.
func NewFate(workflowType string) *Fate {
	return &Fate{workflow: workflowType, journal: os.Getenv(journalVariable), moment: Moment(os.Getenv(momentVariable))}
}

// reach kills the process unless one has died at this step before.
func (f *Fate) reach(moment Moment, step string) {
	if moment != f.moment {
		return
	}
	file, err := os.OpenFile(filepath.Join(f.journal, strings.ReplaceAll(step, "/", "_")), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return
	case err != nil:
		panic(fmt.Sprintf("the journal of deaths: %v", err))
	}
	_ = file.Close() // an empty file that is there says it all
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing more happens
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (f *Fate) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	if workflow.GetInfo(ctx).WorkflowType.Name != f.workflow {
		return next
	}
	return &fatedWorkflow{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, fate: f}
}

// fatedWorkflow counts the steps of one run.
type fatedWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
	fate     *Fate
	messages int
}

// Init implements interceptor.WorkflowInboundInterceptor.
func (w *fatedWorkflow) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return w.Next.Init(&fatedDecisions{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: next}, fate: w.fate})
}

// HandleSignal implements interceptor.WorkflowInboundInterceptor.
func (w *fatedWorkflow) HandleSignal(ctx workflow.Context, in *interceptor.HandleSignalInput) error {
	w.message(ctx, in.SignalName)
	return w.Next.HandleSignal(ctx, in)
}

// ExecuteUpdate implements interceptor.WorkflowInboundInterceptor.
func (w *fatedWorkflow) ExecuteUpdate(ctx workflow.Context, in *interceptor.UpdateInput) (any, error) {
	w.message(ctx, in.Name)
	return w.Next.ExecuteUpdate(ctx, in)
}

func (w *fatedWorkflow) message(ctx workflow.Context, name string) {
	w.messages++
	if !workflow.IsReplaying(ctx) {
		w.fate.reach(AtMessage, fmt.Sprintf("%s %d %s", name, w.messages, workflow.GetInfo(ctx).WorkflowExecution.RunID))
	}
}

type fatedDecisions struct {
	interceptor.WorkflowOutboundInterceptorBase
	fate  *Fate
	count int
}

// ExecuteActivity implements interceptor.WorkflowOutboundInterceptor. It also
// has an activity whose worker has died tried again soon.
func (d *fatedDecisions) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	d.count++
	if !workflow.IsReplaying(ctx) {
		d.fate.reach(AtDecision, fmt.Sprintf("%s %d %s", name, d.count, workflow.GetInfo(ctx).WorkflowExecution.RunID))
	}
	return d.Next.ExecuteActivity(Impatient(ctx), name, args...)
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (f *Fate) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &fatedActivity{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, fate: f}
}

type fatedActivity struct {
	interceptor.ActivityInboundInterceptorBase
	fate *Fate
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor. It also
// sends the heartbeats that the shorter time-out needs.
func (a *fatedActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	if info.WorkflowType == nil || info.WorkflowType.Name != a.fate.workflow {
		return a.Next.ExecuteActivity(ctx, in)
	}
	step := fmt.Sprintf("%s %s %s", info.ActivityType.Name, info.ActivityID, info.WorkflowExecution.RunID)
	a.fate.reach(AtStart, step)
	defer Beat(ctx)()
	var done func()
	if a.fate.Beside != nil {
		done = a.fate.Beside(in)
	}
	result, err := a.Next.ExecuteActivity(ctx, in)
	if err == nil && done != nil {
		done()
	}
	var failed *temporal.ApplicationError
	if err == nil || errors.As(err, &failed) && failed.NonRetryable() {
		a.fate.reach(AtEnd, step)
	}
	return result, err
}
