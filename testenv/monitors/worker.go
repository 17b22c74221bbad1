package monitors

import (
	"context"
	"os"
	"time"

	sdk "go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
	"github.com/mainspring-ml/mainspring/worker"
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
	return worker.Run(ctx, worker.Config{Tune: func(o *sdk.Options) {
		o.WorkerStopTimeout = time.Second
		o.StickyScheduleToStartTimeout = time.Second
		o.Interceptors = append(o.Interceptors, namespace.NewFate(models.MonitorWorkflow))
	}})
}
