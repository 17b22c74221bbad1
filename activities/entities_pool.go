package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/models"
)

// atOnce is how many calls to Temporal one activity has in flight.
const atOnce = 16

// FindClosed describes each workflow. One that is unknown counts as closed. One
// that was started again under its ID is another: what a run of before held is
// nobody's.
func (e *Entities) FindClosed(ctx context.Context, request models.FindClosedRequest) (models.FindClosedResult, error) {
	var mu sync.Mutex
	found := models.FindClosedResult{WorkflowIDs: []string{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, id := range request.WorkflowIDs {
		group.Go(func() error {
			first, running, err := e.firstRun(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				return err
			case !running:
				found.WorkflowIDs = append(found.WorkflowIDs, id)
			default:
				found.Replaced = append(found.Replaced, replaced(request.Runs, id, first)...)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return models.FindClosedResult{}, err
	}
	slices.Sort(found.WorkflowIDs)
	slices.SortFunc(found.Replaced, func(a, b models.HolderRun) int {
		return cmp.Or(cmp.Compare(a.WorkflowID, b.WorkflowID), cmp.Compare(a.FirstRunID, b.FirstRunID))
	})
	return found, nil
}

func replaced(runs []models.HolderRun, id, first string) (old []models.HolderRun) {
	for _, run := range runs {
		if run.WorkflowID == id && first != "" && run.FirstRunID != first {
			old = append(old, run)
		}
	}
	return old
}

func (e *Entities) firstRun(ctx context.Context, id string) (first string, running bool, err error) {
	description, err := e.Temporal.DescribeWorkflowExecution(ctx, id, "")
	var absent *serviceerror.NotFound
	if errors.As(err, &absent) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("describe %s: %w", id, err)
	}
	info := description.GetWorkflowExecutionInfo()
	return info.GetFirstRunId(), info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// TellHolders signals different holders at the same time, and each in order.
// When Temporal does not answer for one of them the whole batch is repeated,
// which does no harm.
func (e *Entities) TellHolders(ctx context.Context, request models.TellHoldersRequest) error {
	byHolder := map[string][]models.PoolMessage{}
	for _, message := range request.Messages {
		byHolder[message.Holder] = append(byHolder[message.Holder], message)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for holder, messages := range byHolder {
		group.Go(func() error {
			for _, message := range messages {
				name, body := signalOf(message)
				if err := e.Temporal.SignalWorkflow(ctx, holder, "", name, body); err != nil && !hopeless(err) {
					return fmt.Errorf("signal %s to %s: %w", name, holder, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// hopeless: the holder has ended, or its run takes no more signals. The pool's
// sweep finds the one, and the other's next request the other.
func hopeless(err error) bool {
	var absent *serviceerror.NotFound
	var invalid *serviceerror.InvalidArgument
	return errors.As(err, &absent) || errors.As(err, &invalid)
}

func signalOf(m models.PoolMessage) (name string, body any) {
	switch {
	case m.Lost != nil:
		return models.SignalLeaseLost, m.Lost
	case m.Preempted != nil:
		return models.SignalLeasePreempted, m.Preempted
	case m.Refused != nil:
		return models.SignalLeaseRefused, m.Refused
	case m.Granted != nil:
		return models.SignalLeaseGranted, m.Granted
	case m.Waiting != nil:
		return models.SignalLeaseWaiting, m.Waiting
	case m.Growable != nil:
		return models.SignalLeaseGrowable, m.Growable
	default:
		return models.SignalHostsNamed, m.Hosts
	}
}

const (
	// askWithin bounds the wait for an answer at once; a pool that continues as
	// new just then is asked again.
	askWithin   = time.Second
	askAttempts = 2
	// defaultAsks stays below what a Temporal server lets one workflow have in
	// flight, 10 by default.
	defaultAsks = 8
	// signalsFor is how long a pool is told by signal after it did not answer.
	signalsFor = 5 * time.Second
)

// asks is how this process speaks to pools.
type asks struct {
	once        sync.Once
	places      chan struct{}
	signalUntil atomic.Int64 // Unix nanoseconds
}

// TellPool asks by update, which many at once share one workflow task of the
// pool for, and answers in the same breath. Where that does not work, such as
// on a server that is short of updates, it signals.
func (e *Entities) TellPool(ctx context.Context, request models.TellPoolRequest) (models.TellPoolResult, error) {
	if time.Now().UnixNano() > e.asks.signalUntil.Load() {
		var last error
		for range askAttempts {
			result, err := e.askPool(ctx, request)
			if err == nil {
				return result, nil
			}
			if absent := poolAbsent(request.Pool, err); absent != nil {
				return models.TellPoolResult{}, absent
			}
			if ctx.Err() != nil {
				return models.TellPoolResult{}, ctx.Err()
			}
			last = err
		}
		slog.Info("pool does not answer at once; it is signalled", "pool", request.Pool, "error", last)
		e.asks.signalUntil.Store(time.Now().Add(signalsFor).UnixNano())
	}
	return models.TellPoolResult{}, e.signalPool(ctx, request)
}

func (e *Entities) askPool(ctx context.Context, request models.TellPoolRequest) (result models.TellPoolResult, err error) {
	e.asks.once.Do(func() { e.asks.places = make(chan struct{}, cmp.Or(e.AsksAtOnce, defaultAsks)) })
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	select {
	case e.asks.places <- struct{}{}:
		defer func() { <-e.asks.places }()
	case <-ctx.Done():
		return result, ctx.Err()
	}
	handle, err := e.Temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: models.PoolID(request.Pool), UpdateName: models.UpdateAsk, Args: []any{request},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &result)
	}
	return result, err
}

func (e *Entities) signalPool(ctx context.Context, request models.TellPoolRequest) error {
	send := func(name string, body any) error {
		err := e.Temporal.SignalWorkflow(ctx, models.PoolID(request.Pool), "", name, body)
		if absent := poolAbsent(request.Pool, err); absent != nil {
			return absent
		}
		return err
	}
	if request.Release != nil {
		if err := send(models.SignalReleaseLease, request.Release); err != nil {
			return err
		}
	}
	if request.Request != nil {
		if err := send(models.SignalRequestLease, request.Request); err != nil {
			return err
		}
	}
	if request.Hosts != nil {
		return send(models.SignalRequestHosts, request.Hosts)
	}
	return nil
}

// poolAbsent is the error that a pool does not run, or nil. Which pools there
// are is said to the workers; none is started here.
func poolAbsent(pool string, err error) error {
	var absent *serviceerror.NotFound
	if !errors.As(err, &absent) {
		return nil
	}
	return &models.Error{Kind: models.KindUnavailable, Subject: "pool " + pool,
		Message: "workflow " + models.PoolID(pool) + " does not run",
		Hint:    "a worker started with --pool " + pool + " keeps it running"}
}
