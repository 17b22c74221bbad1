package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"syscall"
)

// Options configures a Supervisor.
type Options struct {
	Logger *slog.Logger // default: discard
	// OnChange is called at every change of a process's status, from several
	// goroutines at once; it must return quickly.
	OnChange func(Status)
}

// Supervisor keeps processes running. Its methods may be called from any
// goroutine. It must be stopped; when its own process is killed instead, the
// kernel kills the children (Linux).
type Supervisor struct {
	options Options
	starter *starter

	mu       sync.Mutex
	children []*child // in order of launch
	stopped  bool

	failed chan *child // buffered: the first process given up
}

// New returns a supervisor without processes.
func New(options Options) *Supervisor {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return &Supervisor{options: options, starter: newStarter(), failed: make(chan *child, 1)}
}

// Launch starts a process and returns at once; AwaitReady waits for it.
func (s *Supervisor) Launch(p Process) error {
	p, err := p.withDefaults()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("launch %s: the supervisor has been stopped: %w", p.Name, ErrStopped)
	}
	if slices.ContainsFunc(s.children, func(c *child) bool { return c.spec.Name == p.Name }) {
		return fmt.Errorf("launch %s: a process of that name exists", p.Name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &child{
		spec: p, starter: s.starter, logger: s.options.Logger, observe: s.options.OnChange,
		cancel: cancel, done: make(chan struct{}), restart: make(chan struct{}), changed: make(chan struct{}),
		status: Status{Name: p.Name, State: Starting, LogFile: p.LogFile},
	}
	s.children = append(s.children, c)
	go func() {
		defer cancel()
		c.loop(ctx)
		if status, _ := c.snapshot(); status.State == Failed {
			select {
			case s.failed <- c:
			default: // an earlier failure is already on record
			}
		}
	}()
	return nil
}

// AwaitReady returns nil once the process is ready, a *ProcessError when it
// was given up or stopped, or when ctx ends first.
func (s *Supervisor) AwaitReady(ctx context.Context, name string) error {
	c, err := s.child(name)
	if err != nil {
		return err
	}
	return c.await(ctx, func(status Status) bool { return status.State == Ready })
}

// Kill sends SIGKILL to the process's group, as a crash would, and returns
// when the leader is gone; the restart policy then applies.
func (s *Supervisor) Kill(ctx context.Context, name string) error {
	c, err := s.child(name)
	if err != nil {
		return err
	}
	before, _ := c.snapshot()
	c.signal(syscall.SIGKILL)
	return c.await(ctx, func(status Status) bool {
		return status.PID == 0 || status.PID != before.PID || status.State == Failed || status.State == Stopped
	})
}

// Restart stops the process in order, starts it again at once, and returns
// when it is ready. A process that was given up can't be restarted.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	c, err := s.child(name)
	if err != nil {
		return err
	}
	before, _ := c.snapshot()
	select {
	case c.restart <- struct{}{}:
	case <-c.done:
		status, _ := c.snapshot()
		return c.failure(ErrGaveUp, status)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return c.await(ctx, func(status Status) bool {
		return status.State == Ready && status.Starts > before.Starts
	})
}

// Status returns a snapshot of every process, in order of launch.
func (s *Supervisor) Status() []Status {
	children := s.snapshot()
	statuses := make([]Status, len(children))
	for i, c := range children {
		statuses[i], _ = c.snapshot()
	}
	return statuses
}

// Wait returns the *ProcessError of the first process that was given up, or
// nil when ctx ends first.
func (s *Supervisor) Wait(ctx context.Context) error {
	select {
	case c := <-s.failed:
		s.failed <- c // for the next caller
		status, _ := c.snapshot()
		return c.failure(ErrGaveUp, status)
	case <-ctx.Done():
		return nil
	}
}

// Stop ends the processes one after another, the youngest first, each with
// its signal, its grace period and at last SIGKILL. It returns when none is
// left. Ending ctx cuts the grace periods short.
func (s *Supervisor) Stop(ctx context.Context) {
	s.mu.Lock()
	first := !s.stopped
	s.stopped = true
	s.mu.Unlock()
	for _, c := range slices.Backward(s.snapshot()) {
		c.cancel()
		select {
		case <-c.done:
		case <-ctx.Done():
			c.signal(syscall.SIGKILL)
			<-c.done
		}
	}
	if first {
		s.starter.close()
	}
}

func (s *Supervisor) snapshot() []*child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.children)
}

func (s *Supervisor) child(name string) (*child, error) {
	for _, c := range s.snapshot() {
		if c.spec.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownProcess, name)
}
