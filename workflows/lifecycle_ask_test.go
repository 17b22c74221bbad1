package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// activityOptions notes the options that activities are started with, by summary.
type activityOptions struct {
	interceptor.WorkerInterceptorBase
	seen map[string]workflow.ActivityOptions
}

func (a *activityOptions) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &notingInbound{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, seen: a.seen}
}

type notingInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	seen map[string]workflow.ActivityOptions
}

func (n *notingInbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return n.Next.Init(&notingOutbound{WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: next}, seen: n.seen})
}

type notingOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	seen map[string]workflow.ActivityOptions
}

func (n *notingOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	n.seen[options.Summary] = options
	return n.Next.ExecuteActivity(ctx, name, args...)
}

// A request that is still on its way when the lifecycle is cancelled would come
// in after the withdrawal, and be carried out for nobody. The test environment
// cancels activities at once whatever the options say, so they are looked at.
func TestARequestIsNotOvertakenByItsWithdrawal(t *testing.T) {
	h := newHouse(t)
	noted := &activityOptions{seen: map[string]workflow.ActivityOptions{}}
	h.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience, Interceptors: []interceptor.WorkerInterceptor{noted}})
	h.evaluation = goodEvaluation()
	h.RegisterDelayedCallback(h.CancelWorkflow, time.Minute)
	h.ExecuteWorkflow(models.LifecycleWorkflow, lifecycleSpec())
	require.Error(t, h.GetWorkflowError())
	require.Contains(t, noted.seen, "Withdraw from the steward")
	require.True(t, noted.seen["Ask the steward"].WaitForCancellation)
}
