package monitors

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// Config says where a stack lives.
type Config struct {
	Dir string // an empty directory for its state
	// Self is this program's own argument list, to which a role is appended; see
	// Play.
	Self []string
	// Command is named to whoever asks what holds the stack.
	Command string
	// Log hears what goes on. nil: nobody does.
	Log func(format string, arguments ...any)
}

// Stack is Temporal, S3 and MLflow, with slots to work in. End it.
type Stack struct {
	*devstack.Stack
	config  Config
	workers *supervise.Supervisor
}

// eventsOfARun is the length of a history at which the server suggests a new
// run. Served at once, a story fits in one run; served day by day it does not.
const eventsOfARun = 350

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
		TemporalSettings: []string{fmt.Sprintf("limit.historyCount.suggestContinueAsNew=%d", eventsOfARun)},
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// End stops everything.
func (s *Stack) End() {
	s.workers.Stop(context.Background())
	s.Stop(context.Background())
}

// Slot is a namespace with a worker, and with somebody who takes the requests
// that are meant for a steward.
type Slot struct {
	Name     string
	Temporal client.Client
	Store    artifact.Store // where the worker reads the log
	journal  string
	desk     sdk.Worker
}

// Slot opens a slot whose worker dies once at a moment of each step; an empty
// one is none. Its worker ends with the stack.
func (s *Stack) Slot(ctx context.Context, name string, deaths namespace.Moment) (*Slot, error) {
	if err := namespace.Open(ctx, s.Access().TemporalAddress, name); err != nil {
		return nil, err
	}
	slot := &Slot{Name: name, journal: filepath.Join(s.config.Dir, "journals", name)}
	if err := os.MkdirAll(slot.journal, 0o700); err != nil {
		return nil, err
	}
	environment := append(s.Env(), "TEMPORAL_NAMESPACE="+name,
		"MAINSPRING_S3_BUCKET="+slot.bucket()) // of its own: all slots watch endpoints of the same name
	environment = append(environment, namespace.Mortal(slot.journal, deaths)...)
	store, err := artifact.NewS3(artifact.ConfigFromEnv(namespace.Variables(environment)))
	if err != nil {
		return nil, err
	}
	if err := store.EnsureBucket(ctx); err != nil {
		return nil, err
	}
	slot.Store = store
	payloads, err := claimcheck.FromEnv(namespace.Variables(environment))
	if err != nil {
		return nil, err
	}
	slot.Temporal, err = client.DialContext(ctx, client.Options{
		HostPort: s.Access().TemporalAddress, Namespace: name, DataConverter: payloads, Logger: namespace.Quiet(),
	})
	if err != nil {
		return nil, err
	}
	slot.desk = sdk.New(slot.Temporal, deskQueue, sdk.Options{})
	slot.desk.RegisterWorkflowWithOptions(desk, workflow.RegisterOptions{Name: deskWorkflow})
	if err := slot.desk.Start(); err != nil {
		return nil, err
	}
	return slot, s.workers.Launch(supervise.Process{
		Name: name, Argv: slices.Concat(s.config.Self, []string{roleWorker}), Env: environment,
		LogFile: filepath.Join(s.StateDir(), "logs", "worker-"+name+".log"), Grace: 3 * time.Second,
		Restart: supervise.Restart{First: 10 * time.Millisecond, Longest: 50 * time.Millisecond, Limit: 10_000},
	})
}

// bucket is the slot's own.
func (s *Slot) bucket() string { return "slot-" + s.Name }

func (s *Slot) close() {
	s.desk.Stop()
	s.Temporal.Close()
}

// Deaths are the steps at which the worker has died, sorted.
func (s *Slot) Deaths() ([]string, error) { return namespace.Deaths(s.journal) }

// Query fills the status of a workflow.
func (s *Slot) Query(ctx context.Context, workflowID string, status any) error {
	return namespace.Query(ctx, s.Temporal, workflowID, status)
}

const (
	deskWorkflow = "Desk"
	deskQueue    = "desk"
)

// desk stands where the steward would: it keeps every request for a retraining
// that arrives, also one that it has had before.
func desk(ctx workflow.Context) error {
	requests := []models.RetrainRequest{}
	if err := workflow.SetQueryHandler(ctx, models.StatusQuery, func() ([]models.RetrainRequest, error) { return requests, nil }); err != nil {
		return err
	}
	for {
		var request models.RetrainRequest
		workflow.GetSignalChannel(ctx, models.SignalRetrain).Receive(ctx, &request)
		requests = append(requests, request)
	}
}
