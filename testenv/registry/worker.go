package registry

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
	"github.com/mainspring-ml/mainspring/worker"
	"github.com/mainspring-ml/mainspring/workflows"
)

const (
	// answerWithin is the client's limit for one call to MLflow.
	answerWithin = 3 * time.Second
	// attemptWithin is how long an activity may be silent; the engine's own
	// minute would make every killed worker cost one.
	attemptWithin = 8 * time.Second
)

// RunWorker is the worker's process: it serves the namespace that the
// environment names until ctx ends.
func RunWorker(ctx context.Context) error {
	c, err := dial(ctx, os.Getenv)
	if err != nil {
		return err
	}
	defer c.Close()
	store, err := artifact.NewS3(artifact.ConfigFromEnv(os.Getenv))
	if err != nil {
		return err
	}
	config := mlflow.ConfigFromEnv(os.Getenv)
	config.Timeout = answerWithin
	tracking, err := mlflow.New(config)
	if err != nil {
		return err
	}
	options := worker.Options()
	options.WorkerStopTimeout = time.Second
	options.StickyScheduleToStartTimeout = time.Second
	options.Interceptors = append(options.Interceptors, &hurry{})
	w := sdk.New(c, models.TaskQueue, options)
	for name, function := range map[string]any{
		models.LifecycleWorkflow: workflows.Lifecycle, models.ModelStewardWorkflow: workflows.ModelSteward, models.RolloutWorkflow: workflows.Rollout,
		models.PrepareDataWorkflow: prepareData, models.TrainWorkflow: train, models.EvaluateWorkflow: evaluate, models.ServeWorkflow: serve,
	} {
		w.RegisterWorkflowWithOptions(function, workflow.RegisterOptions{Name: name})
	}
	for _, adapter := range []any{
		&activities.Tracking{MLflow: tracking}, &activities.Registry{MLflow: tracking, NamespaceID: namespaceID(c)}, &activities.Entities{Temporal: c},
		&activities.Routing{Store: store, Poll: 100 * time.Millisecond}, &activities.Audit{Store: store}, &activities.Signing{Store: store},
	} {
		w.RegisterActivity(adapter)
	}
	w.RegisterActivityWithOptions((&modelStore{store}).storeModel, activity.RegisterOptions{Name: storeModelActivity})
	w.RegisterActivityWithOptions((&modelStore{store}).storeSnapshot, activity.RegisterOptions{Name: storeSnapshotActivity})
	if err := w.Start(); err != nil {
		return fmt.Errorf("worker on queue %s: %w", models.TaskQueue, err)
	}
	defer w.Stop()
	stopAgent, err := startAgent(c, store, tracking)
	if err != nil {
		return err
	}
	defer stopAgent()
	<-ctx.Done()
	return nil
}

// dial connects to the namespace that the environment names.
func dial(ctx context.Context, getenv func(string) string) (client.Client, error) {
	payloads, err := claimcheck.FromEnv(getenv)
	if err != nil {
		return nil, err
	}
	return client.DialContext(ctx, client.Options{
		HostPort: getenv("TEMPORAL_ADDRESS"), Namespace: getenv("TEMPORAL_NAMESPACE"), DataConverter: payloads, Logger: namespace.Quiet(),
	})
}

// namespaceID is what tells this namespace from all others.
func namespaceID(c client.Client) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		described, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: os.Getenv("TEMPORAL_NAMESPACE")})
		return described.GetNamespaceInfo().GetId(), err
	}
}

// hurry shortens the time-outs of activities.
type hurry struct {
	interceptor.WorkerInterceptorBase
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (*hurry) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &hurryInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

type hurryInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

// Init implements interceptor.WorkflowInboundInterceptor.
func (h *hurryInbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return h.Next.Init(&hurryOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: next}})
}

type hurryOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
}

// ExecuteActivity implements interceptor.WorkflowOutboundInterceptor.
func (h *hurryOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	if options.HeartbeatTimeout > 0 {
		ctx = workflow.WithHeartbeatTimeout(ctx, attemptWithin)
	} else {
		ctx = workflow.WithStartToCloseTimeout(ctx, attemptWithin)
	}
	return h.Next.ExecuteActivity(ctx, name, args...)
}
