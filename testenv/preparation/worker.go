package preparation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/sdk/interceptor"
	sdk "go.temporal.io/sdk/worker"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
	"github.com/mainspring-ml/mainspring/worker"
)

// What a worker is told by its environment.
const (
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
	fate := namespace.NewFate(models.PrepareDataWorkflow)
	fate.Beside = spoiler{dir: os.Getenv(spoilVariable), slow: slow}.beside
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

// spoiler slows tasks of partitions down, and takes their files away when they
// have done everything.
type spoiler struct {
	dir  string // empty: nothing is taken away
	slow time.Duration
}

func (s spoiler) beside(in *interceptor.ExecuteActivityInput) (done func()) {
	request, partitions := in.Args[0].(models.PreparePartitionsRequest)
	if !partitions {
		return nil
	}
	time.Sleep(s.slow)
	if s.dir == "" {
		return nil
	}
	return func() { s.delete(request.Task) }
}

// delete takes the files of a task away.
func (s spoiler) delete(task models.PartitionTask) {
	for n := task.From; n < task.To; n++ {
		if err := os.Remove(filepath.Join(s.dir, fileName(n))); err != nil && !errors.Is(err, os.ErrNotExist) {
			panic(fmt.Sprintf("spoil partition %d: %v", n, err))
		}
	}
}
