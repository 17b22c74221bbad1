package preparation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
	"github.com/mainspring-ml/mainspring/worker"
)

// Moment is when a worker dies.
type Moment string

// The moments; empty: never.
const (
	AtStart Moment = "start"
	AtEnd   Moment = "end"
)

// What a worker is told by its environment.
const (
	journalVariable = "MAINSPRING_PREPARATION_JOURNAL"
	momentVariable  = "MAINSPRING_PREPARATION_MOMENT"
	// spoilVariable names the directory whose files are deleted when their task has
	// done everything; empty: none.
	spoilVariable = "MAINSPRING_PREPARATION_SPOIL"
	// slowVariable is how long a task of partitions takes at least.
	slowVariable = "MAINSPRING_PREPARATION_SLOW"
	// keyVariable is the key of pseudonyms.
	keyVariable = "MAINSPRING_PREPARATION_KEY"

	roleWorker = "worker"
)

// Play plays the worker when the arguments ask for it.
func Play(ctx context.Context, arguments []string) (played bool, err error) {
	if len(arguments) == 0 || arguments[0] != roleWorker {
		return false, nil
	}
	slow, err := time.ParseDuration(os.Getenv(slowVariable))
	if err != nil {
		return true, err
	}
	fate := &fate{journal: os.Getenv(journalVariable), moment: Moment(os.Getenv(momentVariable)), spoil: os.Getenv(spoilVariable), slow: slow}
	return true, worker.Run(ctx, worker.Config{Tune: func(o *sdk.Options) {
		o.WorkerStopTimeout = time.Second
		o.StickyScheduleToStartTimeout = time.Second
		o.Identity = "worker " + strconv.Itoa(os.Getpid())
		if slow > 0 {
			o.MaxConcurrentActivityExecutionSize = 1 // one partition at a time
		}
		o.Interceptors = append(o.Interceptors, fate)
	}})
}

// fate kills this process whenever a preparation reaches a step for the first
// time.
type fate struct {
	interceptor.WorkerInterceptorBase
	journal, spoil string
	moment         Moment
	slow           time.Duration
}

// reach kills the process unless some worker has died at this step before.
func (f *fate) reach(moment Moment, step string) {
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
func (f *fate) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &impatient{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

// impatient has an activity whose worker has died tried again soon.
type impatient struct {
	interceptor.WorkflowInboundInterceptorBase
}

// Init implements interceptor.WorkflowInboundInterceptor.
func (i *impatient) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&impatientDecisions{interceptor.WorkflowOutboundInterceptorBase{Next: next}})
}

type impatientDecisions struct {
	interceptor.WorkflowOutboundInterceptorBase
}

// ExecuteActivity implements interceptor.WorkflowOutboundInterceptor.
func (d *impatientDecisions) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	return d.Next.ExecuteActivity(namespace.Impatient(ctx), name, args...)
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (f *fate) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &fated{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, fate: f}
}

type fated struct {
	interceptor.ActivityInboundInterceptorBase
	fate *fate
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor. It also
// sends the heartbeats that the shorter time-out needs.
func (a *fated) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	if info.WorkflowType == nil || info.WorkflowType.Name != models.PrepareDataWorkflow {
		return a.Next.ExecuteActivity(ctx, in)
	}
	step := info.ActivityType.Name + " " + info.ActivityID + " " + info.WorkflowExecution.RunID
	a.fate.reach(AtStart, step)
	defer namespace.Beat(ctx)()
	request, partitions := in.Args[0].(models.PreparePartitionsRequest)
	if partitions {
		time.Sleep(a.fate.slow)
	}
	result, err := a.Next.ExecuteActivity(ctx, in)
	if err == nil {
		if partitions && a.fate.spoil != "" {
			a.fate.delete(request.Task)
		}
		a.fate.reach(AtEnd, step)
	}
	return result, err
}

// delete takes the files of a task away.
func (f *fate) delete(task models.PartitionTask) {
	for n := task.From; n < task.To; n++ {
		if err := os.Remove(filepath.Join(f.spoil, fileName(n))); err != nil && !errors.Is(err, os.ErrNotExist) {
			panic(fmt.Sprintf("spoil partition %d: %v", n, err))
		}
	}
}
