package registry

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// Config says where a stack lives.
type Config struct {
	Dir string // an empty directory for its state
	// Self is this program's own argument list, to which a role is appended:
	// worker, watchdog or status; see Play.
	Self []string
	// Command is named to whoever asks what holds the stack.
	Command string
	// Log hears what goes on. nil: nobody does.
	Log func(format string, arguments ...any)
}

// Stack is Temporal, S3 and MLflow, with slots to work in. End it.
type Stack struct {
	*devstack.Stack
	MLflow  *mlflow.Client // past all fronts
	Routing *activities.Routing
	Store   artifact.Store
	config  Config
	workers *supervise.Supervisor

	mu    sync.Mutex
	slots []*Slot
}

// Start returns when everything is up.
func Start(ctx context.Context, config Config) (*Stack, error) {
	if config.Log == nil {
		config.Log = func(string, ...any) {}
	}
	tools, err := devstack.Setup(ctx, devstack.ReporterFunc(func(devstack.Progress) {}))
	if err != nil {
		return nil, err
	}
	s := &Stack{config: config, workers: supervise.New(supervise.Options{})}
	s.Stack, err = devstack.Start(ctx, devstack.Config{
		StateDir: filepath.Join(config.Dir, "stack"), Tools: tools, OnlyFreePorts: true,
		Watchdog: slices.Concat(config.Self, []string{roleWatchdog}), Command: config.Command,
	})
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		s.End()
		return nil, err
	}
	return s, nil
}

func (s *Stack) open() (err error) {
	// It has to wait when another seed has killed the server.
	if s.MLflow, err = mlflow.New(mlflow.Config{BaseURL: s.Access().MLflow, ReadRetries: 8, RetryPause: 250 * time.Millisecond}); err != nil {
		return err
	}
	store, err := artifact.NewS3(artifact.ConfigFromEnv(namespace.Variables(s.Access().Env())))
	if err != nil {
		return err
	}
	s.Store, s.Routing = store, &activities.Routing{Store: store}
	return nil
}

// End stops everything.
func (s *Stack) End() {
	for _, slot := range s.slots {
		slot.close()
	}
	s.workers.Stop(context.Background())
	s.Stop(context.Background())
}

// KillMLflow returns when the server has ended; it is started again.
func (s *Stack) KillMLflow() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Kill(ctx, devstack.ServerMLflow); err != nil {
		s.config.Log("MLflow not killed: %v", err)
	}
}
