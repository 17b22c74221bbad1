package activities

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/models"
)

// Hosts are the activities of one host's agent. What they start outlives the
// agent: an activity that is tried again finds it and goes on watching.
type Hosts struct {
	Node    string
	Address string // other hosts reach this one here
	Runner  runner.Runner
	Store   artifact.Store
	// Metrics receives what rank 0 reports.
	Metrics MetricLogger
	// Meters makes what reads how busy the host is with a training that has these
	// devices. nil: nobody reads it.
	Meters       func([]models.Device) HostMeter
	Environments Environments
	Inspector    ModelInspector
	// Cache is a directory that all agents of a user may share: snapshots,
	// models, environments.
	Cache string
	// Server is the command of the model server, to which its flags are added.
	Server []string
	// Predictor is the command that predicts rows with the built-in runtime, to
	// which its flags are added; see PredictFiles.
	Predictor []string
	// Environ is what the agent itself was started with; see rankEnvironment
	// for what of it reaches a program.
	Environ []string
	// ReadyWithin is how long a model server may take to its first good answer.
	// 0: 60 s.
	ReadyWithin time.Duration
	// Orphan is how long a job goes on without an agent. 0: the runner's default.
	Orphan time.Duration
	// EndsJobs says that this agent takes its jobs with it when it stops: its
	// end is the end of the host's service, not an upgrade.
	EndsJobs bool
	// Pools hears of saved work of preemptible leases. nil: nobody does.
	Pools PoolSignaller

	// Facts tells of this host what provenance wants to know, but for its name
	// and devices. nil: nothing.
	Facts func(context.Context) models.HostFacts
	// Policy is what a model must prove before it is served here.
	Policy ServingPolicy

	claims claims
}

var _ models.Hosts = (*Hosts)(nil)

// PoolSignaller signals the workflow of a pool; sending the same twice is
// harmless.
type PoolSignaller interface {
	SignalPool(ctx context.Context, pool, signal string, message any) error
}

// MetricLogger records metrics; writing the same points again changes nothing.
type MetricLogger interface {
	LogBatch(context.Context, mlflow.Batch) error
}

// Environments builds Python environments, once per content.
type Environments interface {
	Build(context.Context, pyenv.Request) (pyenv.Environment, error)
}

// ModelInspector tells a model's inputs and outputs. It fails with
// KindModelRejected when the directory holds no model that can be served.
type ModelInspector interface {
	Inspect(ctx context.Context, dir string) (inputs, outputs []models.ModelPort, err error)
}

const (
	// pulseEvery is how often progress is heartbeaten when it changes at most.
	pulseEvery = 500 * time.Millisecond
	// watchEvery is the heartbeat of activities that have nothing to tell.
	watchEvery = 2 * time.Second
	// gangBeat is the heartbeat of ranks. The answer to a heartbeat is how an
	// agent hears of a cancellation, and a gang has to go within a second; the
	// SDK sends no more than its worker's MaxHeartbeatThrottleInterval allows.
	gangBeat = 250 * time.Millisecond
)

// WatchNode heartbeats. An agent that is replaced fails the attempt, so that
// the next agent takes the node over; one that ends for good returns.
func (h *Hosts) WatchNode(ctx context.Context, _ models.WatchNodeRequest) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		recordProgress(ctx, nil)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-agentStops(ctx):
			if h.EndsJobs {
				return nil
			}
			return h.agentLeaves()
		}
	}
}

// ReserveMasterPort finds a free port. Rank 0 binds it a moment later; should
// somebody else be faster, the gang fails and is started again with another.
func (h *Hosts) ReserveMasterPort(ctx context.Context, _ models.ReserveMasterPortRequest) (models.MasterEndpoint, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", ":0")
	if err != nil {
		return models.MasterEndpoint{}, unavailable(h.Node, "no free port", err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return models.MasterEndpoint{}, unavailable(h.Node, "no free port", errors.New("not a TCP address"))
	}
	return models.MasterEndpoint{Address: h.Address, Port: address.Port}, nil
}

// agentLeaves is how an attempt ends whose job goes on: the next attempt, on
// this or the next agent, attaches to it.
func (h *Hosts) agentLeaves() error {
	return &models.Error{Kind: models.KindUnavailable, Subject: h.Node, Message: "the host's agent stops; what it runs goes on"}
}

// stuck explains a process that can't be ended: no device of this host that it
// has may be given to another job, and trying again does not help.
func (h *Hosts) stuck(err error) error {
	if !errors.Is(err, runner.ErrStuck) {
		return err
	}
	return &models.Error{
		Kind: models.KindRankLost, Subject: h.Node, Message: "a process that has a device can't be ended", Cause: err,
		Hint: "cordon the host; it has to be restarted, or the device reset",
	}
}

// agentStops is closed when the worker begins to stop; nil outside of an
// activity.
func agentStops(ctx context.Context) <-chan struct{} {
	if !activity.IsActivity(ctx) {
		return nil
	}
	return activity.GetWorkerStopChannel(ctx)
}

// cancelRequested tells a request to cancel from the other reasons for which
// the SDK ends an activity's context: an attempt that timed out, a server that
// does not answer, a worker that stops. Those must not end a training.
func cancelRequested(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return cause != nil && (temporal.IsCanceledError(cause) || errors.Is(cause, context.Canceled))
}

// claims lets one attempt at a time work on a job: the attempt that timed out
// may still be leaving when the next one arrives.
type claims struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// take waits until nobody has the key.
func (c *claims) take(ctx context.Context, key string) (release func(), err error) {
	for {
		c.mu.Lock()
		busy, ok := c.held[key]
		if !ok {
			if c.held == nil {
				c.held = map[string]chan struct{}{}
			}
			done := make(chan struct{})
			c.held[key] = done
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.held, key)
				c.mu.Unlock()
				close(done)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pulse heartbeats what read returns, at once when it changed and every
// watchEvery otherwise, until the returned function is called.
func pulse[T any](ctx context.Context, read func() (detail T, version int)) (stop func()) {
	return pulseEach(ctx, watchEvery, read)
}

// pulseEach is pulse for a time other than watchEvery. It goes on after ctx was
// cancelled: cleaning up takes longer than a missed heartbeat may.
func pulseEach[T any](ctx context.Context, unchanged time.Duration, read func() (detail T, version int)) (stop func()) {
	ctx = context.WithoutCancel(ctx)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(min(pulseEvery, unchanged))
		defer ticker.Stop()
		last, sent := -1, time.Time{}
		for {
			const early = 10 * time.Millisecond // a tick that is a little early counts
			if detail, version := read(); version != last || time.Since(sent) >= unchanged-early {
				last, sent = version, time.Now()
				recordProgress(ctx, detail)
			}
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
