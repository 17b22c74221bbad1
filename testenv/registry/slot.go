package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// The roles that this program plays besides its own.
const (
	roleWorker   = "worker"
	roleWatchdog = "watchdog"
	roleStatus   = "status"
	roleShim     = "shim"
)

// Slot is a namespace with a worker of its own behind a front of its own.
type Slot struct {
	Name        string
	Temporal    client.Client
	Front       *Front
	stack       *Stack
	environment []string
}

// Slot opens a slot; it ends with the stack.
func (s *Stack) Slot(ctx context.Context, name string) (*Slot, error) {
	if err := namespace.Open(ctx, s.Access().TemporalAddress, name); err != nil {
		return nil, err
	}
	slot := &Slot{Name: name, stack: s}
	var err error
	if slot.Front, err = NewFront(s.Access().MLflow, Victims{Worker: slot.KillWorker, MLflow: s.KillMLflow}); err != nil {
		return nil, err
	}
	slot.environment = append(s.Env(), "TEMPORAL_NAMESPACE="+name, "MLFLOW_TRACKING_URI="+slot.Front.URL(),
		agentDirVariable+"="+filepath.Join(s.StateDir(), "agents", name))
	if slot.Temporal, err = dial(ctx, namespace.Variables(slot.environment)); err != nil {
		return nil, errors.Join(err, slot.Front.Close())
	}
	s.mu.Lock()
	s.slots = append(s.slots, slot)
	s.mu.Unlock()
	return slot, s.workers.Launch(supervise.Process{
		Name: name, Argv: slices.Concat(s.config.Self, []string{roleWorker}), Env: slot.environment,
		LogFile: filepath.Join(s.StateDir(), "logs", "worker-"+name+".log"), Grace: 3 * time.Second,
		Restart: supervise.Restart{First: 20 * time.Millisecond, Longest: 100 * time.Millisecond, Limit: 10_000},
	})
}

func (s *Slot) close() {
	s.Temporal.Close()
	if err := s.Front.Close(); err != nil {
		s.stack.config.Log("front of %s: %v", s.Name, err)
	}
}

// KillWorker returns when the worker has ended; it is started again.
func (s *Slot) KillWorker() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.stack.workers.Kill(ctx, s.Name); err != nil {
		s.stack.config.Log("worker of %s not killed: %v", s.Name, err)
	}
}

// Begin starts a lifecycle.
func (s *Slot) Begin(ctx context.Context, key string, spec models.LifecycleSpec) (client.WorkflowRun, error) {
	return s.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: models.LifecycleID(spec.Model.Name, key), TaskQueue: models.TaskQueue,
	}, models.LifecycleWorkflow, spec)
}

// Live runs a lifecycle to its end.
func (s *Slot) Live(ctx context.Context, key string, spec models.LifecycleSpec) (result models.LifecycleResult, err error) {
	run, err := s.Begin(ctx, key, spec)
	if err != nil {
		return result, err
	}
	err = run.Get(ctx, &result)
	return result, err
}

// Query fills the status of a workflow.
func (s *Slot) Query(ctx context.Context, workflowID string, status any) error {
	return namespace.Query(ctx, s.Temporal, workflowID, status)
}

// Steward is the model's steward as it sees itself.
func (s *Slot) Steward(ctx context.Context, model string) (status models.StewardStatus, err error) {
	err = s.Query(ctx, models.StewardID(model), &status)
	return status, err
}

// Status is what `mainspring status` prints about a workflow.
func (s *Slot) Status(ctx context.Context, workflowID string) (string, error) {
	argv := slices.Concat(s.stack.config.Self, []string{roleStatus, workflowID})
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env, command.Stderr = s.environment, os.Stderr
	text, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("status of %s: %w", workflowID, err)
	}
	return string(text), nil
}

// Play plays a role when the arguments ask for one.
func Play(ctx context.Context, arguments []string) (played bool, err error) {
	if len(arguments) == 0 {
		return false, nil
	}
	switch arguments[0] {
	case roleWorker:
		return true, RunWorker(ctx)
	case roleWatchdog:
		return true, devstack.RunWatchdog(os.Stdin)
	case roleShim:
		return true, runner.RunShim(ctx, arguments[2], os.Stdin)
	case roleStatus:
		return true, printStatus(ctx, arguments[1])
	default:
		return false, nil
	}
}
