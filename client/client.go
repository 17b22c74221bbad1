// Package client starts lifecycles and follows them for a person at a
// terminal. A program that only wants the result needs no more than Temporal's
// SDK and the models package; see examples/start-from-go.
//
// To follow is to tell what changes, in plain lines: stages, what is waited
// for and why, training progress, the gate's table, the rollout's evidence.
// Following never touches the lifecycle: it goes on when nobody looks.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"

	"github.com/mainspring-ml/mainspring/internal/claimcheck"
	"github.com/mainspring-ml/mainspring/models"
)

// ErrNotReachable means: no Temporal server answered.
var ErrNotReachable = errors.New("no Temporal server answers")

// server is the part of Temporal's client that this package uses.
type server interface {
	ExecuteWorkflow(ctx context.Context, options sdk.StartWorkflowOptions, workflow any, args ...any) (sdk.WorkflowRun, error)
	GetWorkflow(ctx context.Context, workflowID, runID string) sdk.WorkflowRun
	QueryWorkflow(ctx context.Context, workflowID, runID, query string, args ...any) (converter.EncodedValue, error)
	SignalWorkflow(ctx context.Context, workflowID, runID, signal string, arg any) error
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
	UpdateWorkflow(ctx context.Context, options sdk.UpdateWorkflowOptions) (sdk.WorkflowUpdateHandle, error)
	ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	GetWorkflowHistory(ctx context.Context, workflowID, runID string, isLongPoll bool, filterType enums.HistoryEventFilterType) sdk.HistoryEventIterator
	Close()
}

var _ server = sdk.Client(nil)

// Client talks to one Temporal namespace. It is safe for concurrent use.
type Client struct {
	temporal  server
	address   string
	namespace string
	ui        string
	converter converter.DataConverter // of payloads that are read from histories
	// poll is how often a followed lifecycle is looked at.
	poll time.Duration
}

// DialOptions say where Temporal is when the environment does not.
type DialOptions struct {
	// Address is used when neither TEMPORAL_ADDRESS nor a temporal.toml names
	// one, such as that of a running dev stack. Default: localhost:7233.
	Address string
	// Namespace goes with Address.
	Namespace string
	// UI is the base URL of Temporal's web UI; empty: links are left out.
	UI string
	// Timeout bounds the wait for an answer. Default: 5s.
	Timeout time.Duration
	// Getenv reads where the artifact store is, which keeps large results: see
	// docs/configuration.md. Default: os.Getenv. Without a store small results
	// are read all the same, and a large one is an error that says so.
	Getenv func(string) string
}

// Dial connects as Temporal's own tools do: TEMPORAL_ADDRESS and its siblings,
// then temporal.toml, then options.Address. An error that matches
// ErrNotReachable says which address was tried and what to do.
func Dial(ctx context.Context, options DialOptions) (*Client, error) {
	settings, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("read Temporal's connection settings (TEMPORAL_* variables, temporal.toml): %w", err)
	}
	source := "from TEMPORAL_ADDRESS or temporal.toml"
	if settings.HostPort == "" {
		settings.HostPort, source = options.Address, "of the running stack"
		settings.Namespace = cmp.Or(settings.Namespace, options.Namespace)
	}
	if settings.HostPort == "" {
		settings.HostPort, source = sdk.DefaultHostPort, "the default; nothing names another"
	}
	settings.Namespace = cmp.Or(settings.Namespace, sdk.DefaultNamespace)
	if options.Getenv == nil {
		options.Getenv = os.Getenv
	}
	if settings.DataConverter, err = claimcheck.FromEnv(options.Getenv); err != nil {
		return nil, fmt.Errorf("artifact store, which keeps large results: %w", err)
	}
	settings.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler)) // errors are returned
	if options.Timeout <= 0 {
		options.Timeout = 5 * time.Second
	}
	dialing, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	connection, err := sdk.DialContext(dialing, settings)
	if err != nil {
		return nil, fmt.Errorf("%w at %s (%s): start a stack with `mainspring dev`, or set TEMPORAL_ADDRESS: %w",
			ErrNotReachable, settings.HostPort, source, err)
	}
	return &Client{temporal: connection, address: settings.HostPort, namespace: settings.Namespace, ui: options.UI,
		converter: settings.DataConverter, poll: time.Second}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.temporal.Close() }

// Address is the Temporal server's.
func (c *Client) Address() string { return c.address }

// StartOptions of a lifecycle.
type StartOptions struct {
	// ID is the workflow ID. Default: models.LifecycleID of the model and the
	// day of Data.AsOf or, without one, the present second.
	ID string
}

// StartLifecycle starts a lifecycle of a resolved spec and returns its
// workflow ID. The spec's problems come back as models.Problems; an ID that is
// in use by a running lifecycle is an error.
func (c *Client) StartLifecycle(ctx context.Context, spec models.LifecycleSpec, options StartOptions) (string, error) {
	if err := spec.ValidateResolved(); err != nil {
		return "", err
	}
	id := options.ID
	if id == "" {
		id = defaultID(spec, time.Now())
	}
	_, err := c.temporal.ExecuteWorkflow(ctx, sdk.StartWorkflowOptions{
		ID:                                       id,
		TaskQueue:                                models.TaskQueue,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary(spec),
	}, models.LifecycleWorkflow, spec)
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &running) {
		return "", fmt.Errorf("a lifecycle with the ID %s is running already: follow it with `mainspring status --follow %s`, or choose another with --id", id, id)
	}
	if err != nil {
		return "", fmt.Errorf("start lifecycle %s: %w", id, err)
	}
	return id, nil
}

func defaultID(spec models.LifecycleSpec, now time.Time) string {
	key := now.UTC().Format("2006-01-02T15-04-05")
	if !spec.Data.AsOf.IsZero() {
		key = models.DayKey(spec.Data.AsOf)
	}
	return models.LifecycleID(spec.Model.Name, key)
}

func summary(spec models.LifecycleSpec) string {
	if spec.Data.AsOf.IsZero() {
		return spec.Model.Name
	}
	return spec.Model.Name + " as of " + models.DayKey(spec.Data.AsOf)
}

// Status asks a lifecycle where it stands.
func (c *Client) Status(ctx context.Context, workflowID string) (models.LifecycleStatus, error) {
	var status models.LifecycleStatus
	err := c.query(ctx, workflowID, &status)
	return status, err
}

// PrintStatus writes where a lifecycle stands or, of any other workflow, its
// status as JSON.
func (c *Client) PrintStatus(ctx context.Context, workflowID string, out io.Writer) error {
	description, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return fmt.Errorf("there is no workflow %s at %s: list them with `temporal workflow list`", workflowID, c.address)
	}
	if err != nil {
		return fmt.Errorf("describe %s: %w", workflowID, err)
	}
	execution := description.GetWorkflowExecutionInfo()
	if execution.GetType().GetName() != models.LifecycleWorkflow {
		var status any
		if err := c.query(ctx, workflowID, &status); err != nil {
			return err
		}
		return printJSON(out, status)
	}
	seen, err := c.observe(ctx, workflowID)
	if err != nil {
		return err
	}
	story := newNarrator(execution.GetStartTime().AsTime())
	lines := story.tell(seen, time.Now())
	if execution.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		lines = append(lines, c.ending(ctx, workflowID, story, execution.GetCloseTime().AsTime())...)
	}
	return printLines(out, lines)
}

// ending tells how a lifecycle that runs no more has ended.
func (c *Client) ending(ctx context.Context, workflowID string, story *narrator, at time.Time) []string {
	var result models.LifecycleResult
	if err := c.temporal.GetWorkflow(ctx, workflowID, "").Get(ctx, &result); err != nil {
		return []string{failureOf(workflowID, err).Error()}
	}
	return story.tellResult(result, at)
}

// queryTimeout is longer than a worker needs to replay a lifecycle, and short
// enough to tell a person that no worker answers. The server itself gives up
// after a few seconds on a worker that died, before it asks another: so a query
// is made queryTries times.
const (
	queryTimeout = 20 * time.Second
	queryTries   = 3
)

func (c *Client) query(ctx context.Context, workflowID string, status any) error {
	asking, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	value, err := c.temporal.QueryWorkflow(asking, workflowID, "", models.StatusQuery)
	for try := 1; try < queryTries && err != nil && noAnswer(err) && asking.Err() == nil; try++ {
		value, err = c.temporal.QueryWorkflow(asking, workflowID, "", models.StatusQuery)
	}
	if err != nil {
		if ctx.Err() == nil && noAnswer(err) {
			return fmt.Errorf("no worker answers for %s: is `mainspring worker` running? %w", workflowID, err)
		}
		return fmt.Errorf("query %s: %w", workflowID, err)
	}
	if err := value.Get(status); err != nil {
		return fmt.Errorf("decode the status of %s: %w", workflowID, err)
	}
	return nil
}

func noAnswer(err error) bool {
	var late *serviceerror.DeadlineExceeded
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late)
}
