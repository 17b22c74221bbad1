package workflows

import (
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// Activities fail in two ways. A store or server that does not answer is
// retried until it does: the run waits, and the UI shows the pending activity
// with its last failure. What models.ErrorKind calls final is not retried: the
// workflow decides.

// patiently retries for ever, at most half a minute apart.
func patiently() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval:    500 * time.Millisecond,
		BackoffCoefficient: 1.7,
		MaximumInterval:    30 * time.Second,
	}
}

// quick is for calls that answer in seconds: registry, routes, signals.
func quick(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         patiently(),
		Summary:             summary,
	})
}

// arriving is for a message that must not come in after a later one: when it is
// cancelled, it is waited for until it has arrived or never will.
func arriving(ctx workflow.Context) workflow.Context {
	options := workflow.GetActivityOptions(ctx)
	options.WaitForCancellation = true
	return workflow.WithActivityOptions(ctx, options)
}

// heavy is for work on data, which heartbeats.
func heavy(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 2 * time.Hour,
		HeartbeatTimeout:    time.Minute,
		RetryPolicy:         patiently(),
		Summary:             summary,
	})
}

// inTime bounds an activity with all its tries.
func inTime(ctx workflow.Context, atMost time.Duration) workflow.Context {
	options := workflow.GetActivityOptions(ctx)
	options.ScheduleToCloseTimeout = atMost
	return workflow.WithActivityOptions(ctx, options)
}

const (
	// agentLost is how long an agent may be silent in the middle of an activity.
	agentLost = 10 * time.Second
	// agentAbsent is how long an agent's queue may be without a poller before
	// the workflow gets control back; an agent that restarts in less re-attaches
	// to what it ran.
	agentAbsent = 20 * time.Second
)

// onHost is for a short call to one host's agent.
func onHost(ctx workflow.Context, node, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              models.HostQueue(node),
		ScheduleToStartTimeout: agentAbsent,
		StartToCloseTimeout:    5 * time.Minute,
		HeartbeatTimeout:       agentLost,
		RetryPolicy:            patiently(),
		WaitForCancellation:    true,
		Summary:                summary,
	})
}

// fetchWithin is how long a host may take to bring a model and its server's
// environment before it starts the server.
const fetchWithin = time.Hour

// startingOnHost is for the start of a server, which takes as long as the spec
// lets it take to become ready, after everything has been fetched.
func startingOnHost(ctx workflow.Context, node string, server models.ServerSpec) workflow.Context {
	options := workflow.GetActivityOptions(onHost(ctx, node, "Start replica"))
	options.StartToCloseTimeout = fetchWithin + server.WithDefaults().StartWithin.Std()
	return workflow.WithActivityOptions(ctx, options)
}

// longOnHost is for a process that an agent supervises. When the agent goes
// away the activity is tried again on the same host, where the next agent
// re-attaches; when none comes, ScheduleToStart ends the waiting.
func longOnHost(ctx workflow.Context, node, summary string, atMost time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              models.HostQueue(node),
		ScheduleToStartTimeout: agentAbsent,
		StartToCloseTimeout:    atMost,
		HeartbeatTimeout:       agentLost,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 1, MaximumInterval: 200 * time.Millisecond,
		},
		WaitForCancellation: true,
		Summary:             summary,
	})
}

// tenYears stands for "as long as it lives" where a time-out is mandatory.
const tenYears = 10 * 365 * 24 * time.Hour

// stageOptions names a lifecycle's child after its stage. Cancelling the
// lifecycle cancels the stage and waits until it has cleaned up.
func stageOptions(ctx workflow.Context, stage models.Stage, summary string) workflow.Context {
	parent := workflow.GetInfo(ctx).WorkflowExecution.ID
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:          models.StageID(parent, stage),
		WaitForCancellation: true,
		ParentClosePolicy:   enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		StaticSummary:       summary,
	})
}

// independent is for a child that outlives its parent: a server or a
// retraining. Starting one that runs already is an error the caller expects.
func independent(ctx workflow.Context, id, summary string) workflow.Context {
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            id,
		TaskQueue:             models.TaskQueue,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         summary,
	})
}
