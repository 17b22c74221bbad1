package preparation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// Config says what a slot's workers are like.
type Config struct {
	Name    string
	Self    []string // this program's own argument list, to which a role is appended
	Dir     string   // for logs and the journal
	Workers int
	Deaths  namespace.Moment
	Spoil   string        // see spoilVariable
	Slow    time.Duration // see slowVariable
}

// Slot is a namespace and a bucket with workers. Close it.
type Slot struct {
	config   Config
	Temporal client.Client
	Store    artifact.Store
	workers  *supervise.Supervisor
}

// Open opens a slot on the stack that the environment names.
func Open(ctx context.Context, config Config) (*Slot, error) {
	environment := append(os.Environ(), "TEMPORAL_NAMESPACE="+config.Name, "MAINSPRING_S3_BUCKET="+config.Name, spoilVariable+"="+config.Spoil,
		slowVariable+"="+config.Slow.String(), keyVariable+"=0123456789abcdef0123456789abcdef")
	environment = append(environment, namespace.Mortal(config.Dir, config.Deaths)...)
	address := namespace.Variables(environment)("TEMPORAL_ADDRESS")
	if err := namespace.Open(ctx, address, config.Name); err != nil {
		return nil, err
	}
	store, err := artifact.NewS3(artifact.ConfigFromEnv(namespace.Variables(environment)))
	if err != nil {
		return nil, err
	}
	if err := store.EnsureBucket(ctx); err != nil {
		return nil, err
	}
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Namespace: config.Name, Logger: namespace.Quiet()})
	if err != nil {
		return nil, err
	}
	s := &Slot{config: config, Temporal: c, Store: store, workers: supervise.New(supervise.Options{})}
	for n := range config.Workers {
		err = errors.Join(err, s.workers.Launch(supervise.Process{
			Name: fmt.Sprintf("%s-%d", config.Name, n), Argv: slices.Concat(config.Self, []string{roleWorker}), Env: environment,
			LogFile: s.logFile(n), Grace: 3 * time.Second,
			Restart: supervise.Restart{First: 10 * time.Millisecond, Longest: 50 * time.Millisecond, Limit: 10_000},
		}))
	}
	return s, err
}

func (s *Slot) logFile(worker int) string {
	return filepath.Join(filepath.Dir(s.config.Dir), fmt.Sprintf("%s-%d.log", s.config.Name, worker))
}

// Close ends the workers.
func (s *Slot) Close() {
	s.workers.Stop(context.Background())
	s.Temporal.Close()
}

// Logs are what all workers have written.
func (s *Slot) Logs() (string, error) {
	var all strings.Builder
	for n := range s.config.Workers {
		text, err := os.ReadFile(s.logFile(n))
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	return all.String(), nil
}

// Deaths are the steps at which workers have died.
func (s *Slot) Deaths() ([]string, error) { return namespace.Deaths(s.config.Dir) }

// Outcome is a preparation that has ended.
type Outcome struct {
	Snapshot models.Snapshot
	Err      error
	History  []*history.HistoryEvent
	Page     string                      // what the UI shows
	Tasks    []models.PartitionsPrepared // results, in the order in which they came
	By       map[string]int              // tasks of partitions that each worker has finished
}

// Prepare runs a preparation to its end.
func (s *Slot) Prepare(ctx context.Context, id string, data models.DataSpec) (o Outcome, err error) {
	run, err := s.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: models.TaskQueue},
		models.PrepareDataWorkflow, models.PrepareDataInput{Model: "rides", Data: data})
	if err != nil {
		return o, err
	}
	o.Err = run.Get(ctx, &o.Snapshot)
	events := s.Temporal.GetWorkflowHistory(ctx, id, run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return o, err
		}
		o.History = append(o.History, event)
	}
	if err := o.count(); err != nil {
		return o, err
	}
	return o, namespace.Eventually(ctx, 30*time.Second, func() error {
		answer, err := s.Temporal.QueryWorkflow(ctx, id, run.GetRunID(), "__temporal_workflow_metadata")
		if err != nil {
			return err
		}
		var page sdk.WorkflowMetadata
		err = answer.Get(&page)
		o.Page = page.GetCurrentDetails()
		return err
	})
}

// count reads which worker has finished which task of partitions.
func (o *Outcome) count() error {
	tasks, identity := map[int64]bool{}, map[int64]string{}
	o.By = map[string]int{}
	for _, event := range o.History {
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil && a.GetActivityType().GetName() == "PreparePartitions" {
			tasks[event.GetEventId()] = true
		}
		if a := event.GetActivityTaskStartedEventAttributes(); a != nil {
			identity[a.GetScheduledEventId()] = a.GetIdentity()
		}
		a := event.GetActivityTaskCompletedEventAttributes()
		if a == nil || !tasks[a.GetScheduledEventId()] {
			continue
		}
		var result models.PartitionsPrepared
		if err := converter.GetDefaultDataConverter().FromPayloads(a.GetResult(), &result); err != nil {
			return err
		}
		o.Tasks = append(o.Tasks, result)
		o.By[identity[a.GetScheduledEventId()]]++
	}
	return nil
}
