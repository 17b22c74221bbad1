package namespace

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"
)

const (
	// silence is how long an activity may be silent; the engine's own minute would
	// make each death of a worker a minute long.
	silence = 1500 * time.Millisecond
	beat    = 300 * time.Millisecond
)

// Impatient has an activity whose worker has died tried again soon. The worker
// that carries it out beats, see Beat.
func Impatient(ctx workflow.Context) workflow.Context {
	options := workflow.GetActivityOptions(ctx)
	options.HeartbeatTimeout = silence
	if options.RetryPolicy != nil {
		policy := *options.RetryPolicy
		policy.InitialInterval = 50 * time.Millisecond
		options.RetryPolicy = &policy
	}
	return workflow.WithActivityOptions(ctx, options)
}

// Beat sends the heartbeats that the shorter time-out needs, until it is stopped.
func Beat(ctx context.Context) (stop func()) {
	beating, done := context.WithCancel(ctx)
	go func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-beating.Done():
				return
			case <-tick.C:
				activity.RecordHeartbeat(beating)
			}
		}
	}()
	return done
}

// Main is the main function of a test binary that also plays the processes of
// its proofs: play says whether the arguments asked for one.
func Main(run func() int, play func(ctx context.Context, arguments []string) (played bool, err error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	played, err := play(ctx, os.Args[1:])
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case played:
		os.Exit(0)
	}
	os.Exit(run())
}
