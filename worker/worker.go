// Package worker is the composition root: it makes the adapters from
// configuration, hands them to the activities, and registers everything with
// Temporal. Run is the process of `mainspring worker`, RunAgent that of
// `mainspring agent`.
package worker

import (
	"context"
	"fmt"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/internal/telemetry"
	"github.com/mainspring-ml/mainspring/internal/telemetry/monitors"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/workflows"
)

// Config is what a worker process is told on its command line; where Temporal,
// S3 and MLflow are it reads from the environment.
type Config struct {
	Pools       []string // device pools that must exist; default: models.DefaultPool
	MetricsAddr string   // host:port for /metrics; empty: none
	// Tune changes the options of the worker; nil: they are those of Options.
	Tune func(*worker.Options)
}

// Run serves workflows and light activities until ctx ends, then lets what is
// running finish its last step.
func Run(ctx context.Context, config Config) error {
	outlets, err := telemetry.New(ctx, "worker")
	if err != nil {
		return err
	}
	defer outlets.Close(context.WithoutCancel(ctx))
	if err := outlets.Serve(ctx, config.MetricsAddr); err != nil {
		return err
	}
	c, err := Dial(ctx, outlets)
	if err != nil {
		return err
	}
	defer c.Close()
	outlets.Registry.MustRegister(monitors.New(c))
	adapters, err := newAdapters(ctx, c)
	if err != nil {
		return err
	}
	options := Options()
	if config.Tune != nil {
		config.Tune(&options)
	}
	w := worker.New(c, models.TaskQueue, options)
	workflows.Register(w)
	RegisterActivities(w, adapters)
	if err := w.Start(); err != nil {
		return fmt.Errorf("worker on queue %s: %w", models.TaskQueue, err)
	}
	defer w.Stop()
	if err := ensurePools(ctx, c, config.Pools); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// Options are those of every worker of the shared queue. They bound how long
// cancellation and progress can stay unheard.
func Options() worker.Options {
	return worker.Options{
		WorkerStopTimeout:                  10 * time.Second,
		MaxHeartbeatThrottleInterval:       500 * time.Millisecond,
		MaxConcurrentActivityExecutionSize: 64,
		Interceptors:                       []interceptor.WorkerInterceptor{&errorKinds{}},
	}
}

// ensurePools starts each pool's workflow unless it runs.
func ensurePools(ctx context.Context, c client.Client, pools []string) error {
	if len(pools) == 0 {
		pools = []string{models.DefaultPool}
	}
	for _, pool := range pools {
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: models.PoolID(pool), TaskQueue: models.TaskQueue, StaticSummary: "Device pool " + pool,
			WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
			WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		}, models.GPUPoolWorkflow, models.PoolState{Pool: pool})
		if err != nil {
			return fmt.Errorf("start pool %s: %w", pool, err)
		}
	}
	return nil
}
