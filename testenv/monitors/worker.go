package monitors

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
	"github.com/mainspring-ml/mainspring/worker"
)

// Moment of a step at which a worker can die.
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
	// journalVariable names the directory with one file for each step at which the
	// worker has died; momentVariable is the moment.
	journalVariable, momentVariable = "MAINSPRING_MONITORS_JOURNAL", "MAINSPRING_MONITORS_MOMENT"
)

// The roles that the program plays besides its own.
const (
	roleWorker   = "worker"
	roleWatchdog = "watchdog"
)

// Play plays a role when the arguments ask for one.
func Play(ctx context.Context, arguments []string) (played bool, err error) {
	if len(arguments) == 0 {
		return false, nil
	}
	switch arguments[0] {
	case roleWorker:
		return true, runWorker(ctx)
	case roleWatchdog:
		return true, devstack.RunWatchdog(os.Stdin)
	default:
		return false, nil
	}
}

// runWorker is `mainspring worker`, but for time-outs and its early deaths.
func runWorker(ctx context.Context) error {
	fate := &fate{journal: os.Getenv(journalVariable), moment: Moment(os.Getenv(momentVariable))}
	return worker.Run(ctx, worker.Config{Tune: func(o *sdk.Options) {
		o.WorkerStopTimeout = time.Second
		o.StickyScheduleToStartTimeout = time.Second
		o.Interceptors = append(o.Interceptors, fate)
	}})
}

// fate kills this process whenever a monitor reaches a step for the first time.
type fate struct {
	interceptor.WorkerInterceptorBase
	journal string
	moment  Moment // empty: it lives
}

// reach kills the process unless it has died at this step before.
func (f *fate) reach(moment Moment, step string) {
	if moment != f.moment {
		return
	}
	name := strings.NewReplacer("/", "_", " ", "_").Replace(string(moment) + " " + step)
	file, err := os.OpenFile(filepath.Join(f.journal, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
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
func (f *fate) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	if workflow.GetInfo(ctx).WorkflowType.Name != models.MonitorWorkflow {
		return next
	}
	return &fatedWorkflow{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, fate: f}
}

// fatedWorkflow counts the steps of one run, so that each has a name that is
// the same in every process.
type fatedWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
	fate     *fate
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
	fate  *fate
	count int
}

// ExecuteActivity implements interceptor.WorkflowOutboundInterceptor. It also
// has an activity whose worker has died tried again soon.
func (d *fatedDecisions) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	d.count++
	if !workflow.IsReplaying(ctx) {
		d.fate.reach(AtDecision, fmt.Sprintf("%s %d %s", name, d.count, workflow.GetInfo(ctx).WorkflowExecution.RunID))
	}
	return d.Next.ExecuteActivity(namespace.Impatient(ctx), name, args...)
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (f *fate) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &fatedActivity{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, fate: f}
}

type fatedActivity struct {
	interceptor.ActivityInboundInterceptorBase
	fate *fate
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor. It also
// sends the heartbeats that the shorter time-out needs.
func (a *fatedActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	if info.WorkflowType == nil || info.WorkflowType.Name != models.MonitorWorkflow {
		return a.Next.ExecuteActivity(ctx, in)
	}
	step := fmt.Sprintf("%s %s %s", info.ActivityType.Name, info.ActivityID, info.WorkflowExecution.RunID)
	a.fate.reach(AtStart, step)
	defer namespace.Beat(ctx)()
	result, err := a.Next.ExecuteActivity(ctx, in)
	var failed *temporal.ApplicationError
	if err == nil || errors.As(err, &failed) && failed.NonRetryable() {
		a.fate.reach(AtEnd, step)
	}
	return result, err
}
