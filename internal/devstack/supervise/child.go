package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"
)

// child keeps one process running until it is told to stop or gives up.
type child struct {
	spec    Process
	starter *starter
	logger  *slog.Logger
	observe func(Status)

	cancel  context.CancelFunc // asks the loop to stop the process
	done    chan struct{}      // closed when the loop has ended
	restart chan struct{}      // asks for an orderly stop and a new start

	mu      sync.Mutex
	status  Status
	current *running      // nil when not running
	changed chan struct{} // closed and replaced at every change of status
}

// outcome is why an incarnation ended.
type outcome struct {
	asked  bool // by Restart or Stop
	stable bool // it had been ready for long enough
}

// loop is the life of the process; ctx ends with the supervisor's Stop.
func (c *child) loop(ctx context.Context) {
	defer close(c.done)
	failures := 0
	for ctx.Err() == nil {
		ended := c.incarnate(ctx)
		if ended.asked {
			failures = 0
			continue
		}
		if ended.stable {
			failures = 0
		}
		failures++
		if c.spec.Restart.Never || failures >= c.spec.Restart.Limit {
			c.enter(Failed)
			return
		}
		c.enter(Waiting)
		c.pause(ctx, c.spec.Restart.pause(failures))
	}
	c.enter(Stopped)
}

// pause waits; a request to restart cuts it short.
func (c *child) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.restart:
	case <-timer.C:
	}
}

// incarnate starts the process and stays with it until it has ended.
func (c *child) incarnate(ctx context.Context) outcome {
	run, err := c.starter.launch(c.spec)
	if err != nil {
		c.ended(nil, "can't be started: "+err.Error())
		return outcome{}
	}
	c.started(run)
	probing, stopProbing := context.WithTimeout(ctx, c.spec.ReadyWithin)
	defer stopProbing()
	ready := make(chan error, 1)
	go func() { ready <- awaitProbe(probing, c.spec.Ready) }()

	var readySince time.Time
	for {
		select {
		case err := <-ready:
			ready = nil
			if err != nil && ctx.Err() == nil {
				run.end(c.spec.StopSignal, c.spec.Grace)
				c.ended(run, fmt.Sprintf("was not ready within %s: %v", c.spec.ReadyWithin, err))
				return outcome{}
			}
			if err == nil {
				readySince = time.Now()
				c.enter(Ready)
			}
		case <-run.exited:
			c.ended(run, run.exit)
			return outcome{stable: !readySince.IsZero() && time.Since(readySince) >= c.spec.Restart.StableAfter}
		case <-c.restart:
			run.end(c.spec.StopSignal, c.spec.Grace)
			c.ended(run, "restarted on request")
			return outcome{asked: true}
		case <-ctx.Done():
			run.end(c.spec.StopSignal, c.spec.Grace)
			c.ended(run, "stopped on request")
			return outcome{asked: true}
		}
	}
}

func (c *child) started(run *running) {
	c.update(func(s *Status) {
		s.State, s.PID, s.Starts = Starting, run.command.Process.Pid, s.Starts+1
		c.current = run
	})
	c.logger.Debug("process started", "process", c.spec.Name, "pid", run.command.Process.Pid)
}

func (c *child) ended(run *running, how string) {
	c.update(func(s *Status) {
		s.PID, s.LastExit = 0, how
		c.current = nil
	})
	pid := 0
	if run != nil {
		pid = run.command.Process.Pid
	}
	c.logger.Debug("process ended", "process", c.spec.Name, "pid", pid, "how", how)
}

func (c *child) enter(state State) {
	c.update(func(s *Status) { s.State = state })
}

// update changes the status and wakes everybody who waits for a change.
func (c *child) update(change func(*Status)) {
	c.mu.Lock()
	before := c.status.State
	change(&c.status)
	if c.status.State != before {
		c.status.Since = time.Now()
	}
	status := c.status
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	if c.observe != nil {
		c.observe(status)
	}
}

// snapshot returns the status and a channel that closes at its next change.
func (c *child) snapshot() (Status, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status, c.changed
}

// await returns when the status satisfies reached, the process has ended for
// good, or ctx ends.
func (c *child) await(ctx context.Context, reached func(Status) bool) error {
	for {
		status, changed := c.snapshot()
		switch {
		case reached(status):
			return nil
		case status.State == Failed:
			return c.failure(ErrGaveUp, status)
		case status.State == Stopped:
			return c.failure(ErrStopped, status)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			status, _ = c.snapshot()
			return fmt.Errorf("%w: %w", c.failure(ErrNotReady, status), context.Cause(ctx))
		}
	}
}

func (c *child) failure(kind error, status Status) error {
	problem := status.LastExit
	if problem == "" {
		problem = "is " + string(status.State)
	}
	return &ProcessError{
		Name: c.spec.Name, Problem: problem, Err: kind,
		LogFile: c.spec.LogFile, Tail: logTail(c.spec.LogFile),
	}
}

// signal reaches the running incarnation; without one it is no error.
func (c *child) signal(signal syscall.Signal) {
	c.mu.Lock()
	run := c.current
	c.mu.Unlock()
	if run != nil {
		run.signal(signal)
	}
}
