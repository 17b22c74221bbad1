package workflows_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/workflows"
)

// house is the fake world of one workflow test: every activity by its real
// name, hand-made, with what it was asked for.
type house struct {
	*testsuite.TestWorkflowEnvironment
	mu      sync.Mutex
	signals []sentSignal

	steward  []models.StewardSignal
	monitor  []models.MonitorSignal
	champion *models.ChampionModel
	closed   []string // what FindClosed finds
	replaced []models.HolderRun

	snapshotErr error
	source      models.PartitionList // empty: two partitions
	before      *models.Snapshot     // that FindSnapshot finds
	partitions  func(context.Context, models.PreparePartitionsRequest) (models.PartitionsPrepared, error)
	listings    []models.ListPartitionsRequest
	uses        []models.SnapshotUse
	ranks       func(models.RunRanksRequest) (models.RanksResult, error)
	rankCalls   []models.RunRanksRequest
	stuck       bool // ranks run until they are cancelled
	checkpoint  models.Checkpoint
	finished    []models.FinishRunRequest
	annotated   []models.AnnotateRunRequest
	annotateErr error
	prepare     func(queue string) (models.PreparedEnvironment, error)
	evaluation  models.Evaluation
	predicted   []models.PredictRowsRequest
	predictErr  func(call int) error                      // 1 for the first; nil: all go well
	predicting  func(ctx context.Context, call int) error // what a host does meanwhile
	measured    []models.MeasureRequest

	told    []models.LineageEvent
	tellErr error
	telling func(models.LineageEvent) // on its way; nil: all arrive at once

	transformedBefore int // tasks
	transforms        []models.TransformRequest
	transforming      func(ctx context.Context, call int) error // what a host does; nil: all goes well
	joined            []models.ListTransformedRequest

	registered []models.CreateModelVersionRequest
	aliases    map[string]string
	registry   fakeRegistry
	route      models.Route
	routes     []models.Route
	replicas   []models.Replicas
	arms       func(models.ReadArmsRequest) models.ArmReading
	starts     []models.StartReplicaRequest
	startErr   error
	watch      func(context.Context, models.WatchReplicaRequest) (models.ReplicaExit, error)
	blocks     func(models.ScoreBlocksRequest) models.ScoredBlocks
	schedules  []models.ScheduleRequest
	node       func(context.Context) error

	calls   int  // at a lost host
	answers bool // the second such call is answered
	returns bool // a lost host's agent answers again

	slow    time.Duration                // that TellHolders takes
	borrow  func() error                 // see borrower
	pool    func(signal string, arg any) // plays the pool; nil: answerPool
	poolErr error                        // of every signal to the pool
}

type sentSignal struct {
	To, Name string
	Arg      any
}

// patience is long enough for a machine that does other things as well.
const patience = 3 * time.Minute

// newHouse registers every workflow and every fake, and records what is
// signalled to other workflows.
func newHouse(t *testing.T) *house {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	h := &house{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), aliases: map[string]string{}}
	h.SetTestTimeout(patience)
	h.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience})
	workflows.Register(h)
	h.RegisterWorkflow(serveAndRollOut)
	h.RegisterWorkflowWithOptions(workflows.BorrowLeases, workflow.RegisterOptions{Name: "BorrowLeases"})
	h.registerData()
	h.registerTraining()
	h.registerRelease()
	h.registerPool()
	h.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).
		Return(func(_, to, _, name string, arg any) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.signals = append(h.signals, sentSignal{to, name, arg})
			return h.answerPool(name, arg)
		}).Maybe()
	return h
}

// answerPool plays a pool that grants every request at once and names as many
// hosts as asked for, unless h.pool plays another.
func (h *house) answerPool(name string, arg any) error {
	if h.pool != nil {
		h.pool(name, arg)
		return nil
	}
	switch name {
	case models.SignalRequestLease:
		var request models.LeaseRequest
		decode(arg, &request)
		h.reply(request.Holder, models.SignalLeaseGranted, leaseOf(request, int64(len(h.leasesLocked()))))
	case models.SignalRequestHosts:
		var request models.HostsRequest
		decode(arg, &request)
		named := models.HostsNamed{RequestID: request.RequestID}
		for _, n := range leaseOf(models.LeaseRequest{Resources: request.Resources}, 0).Nodes {
			named.Nodes = append(named.Nodes, n.Node)
		}
		h.reply(request.Holder, models.SignalHostsNamed, named)
	}
	return nil
}

// leaseOf is a lease of hosts host-a, host-b and so on.
func leaseOf(request models.LeaseRequest, token int64) models.Lease {
	lease := models.Lease{LeaseRequest: request, Token: token}
	for i := range request.Resources.WithDefaults().Nodes {
		node := fmt.Sprintf("host-%c", 'a'+i)
		lease.Nodes = append(lease.Nodes, models.LeaseNode{Node: node, Address: "127.0.0.1",
			Devices: []models.Device{{UUID: fmt.Sprintf("VIRT-%s-0", node), Vendor: models.VendorVirtual}}})
	}
	return lease
}

// reply signals the workflow under test in a moment.
func (h *house) reply(holder, signal string, message any) {
	h.RegisterDelayedCallback(func() {
		// The holder may have been cancelled meanwhile: then nobody waits.
		_ = h.SignalWorkflowByID(holder, signal, message)
	}, time.Millisecond)
}

// registerPool carries what a pool and its holders say to each other.
func (h *house) registerPool() {
	register(h, "TellPool", func(_ context.Context, r models.TellPoolRequest) (models.TellPoolResult, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		// The fake pool answers by signal, as one does that can't answer at once.
		return models.TellPoolResult{}, h.hearPool(r)
	})
	register(h, "TellHolders", func(_ context.Context, r models.TellHoldersRequest) error {
		time.Sleep(h.slow)
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, m := range r.Messages {
			name, arg := spoken(m)
			h.signals = append(h.signals, sentSignal{m.Holder, name, arg})
		}
		return nil
	})
}

// hearPool is called with the lock held.
func (h *house) hearPool(r models.TellPoolRequest) error {
	say := func(name string, arg any) error {
		h.signals = append(h.signals, sentSignal{models.PoolID(r.Pool), name, arg})
		return h.answerPool(name, arg)
	}
	switch {
	case h.poolErr != nil:
		return h.poolErr
	case r.Release != nil:
		return say(models.SignalReleaseLease, *r.Release)
	case r.Request != nil:
		return say(models.SignalRequestLease, *r.Request)
	default:
		return say(models.SignalRequestHosts, *r.Hosts)
	}
}

func spoken(m models.PoolMessage) (string, any) {
	switch {
	case m.Lost != nil:
		return models.SignalLeaseLost, *m.Lost
	case m.Preempted != nil:
		return models.SignalLeasePreempted, *m.Preempted
	case m.Refused != nil:
		return models.SignalLeaseRefused, *m.Refused
	case m.Granted != nil:
		return models.SignalLeaseGranted, *m.Granted
	case m.Waiting != nil:
		return models.SignalLeaseWaiting, *m.Waiting
	case m.Growable != nil:
		return models.SignalLeaseGrowable, *m.Growable
	default:
		return models.SignalHostsNamed, *m.Hosts
	}
}

// leases are the requests for leases so far.
func (h *house) leases() []models.LeaseRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.leasesLocked()
}

func (h *house) leasesLocked() (requests []models.LeaseRequest) {
	for _, s := range h.signals {
		if s.Name == models.SignalRequestLease {
			var r models.LeaseRequest
			decode(s.Arg, &r)
			requests = append(requests, r)
		}
	}
	return requests
}

func (h *house) sent(name string) (found []sentSignal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.signals {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// decode brings an argument, which the test environment may hand over as the
// value itself or as a pointer to it, into its type.
func decode(arg, into any) {
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(arg)
	if err == nil {
		err = converter.GetDefaultDataConverter().FromPayloads(payloads, into)
	}
	if err != nil {
		panic(err)
	}
}

func register[F any](h *house, name string, function F) {
	h.RegisterActivityWithOptions(function, activity.RegisterOptions{Name: name})
}

func (h *house) registerData() {
	register(h, "ListPartitions", func(_ context.Context, r models.ListPartitionsRequest) (models.PartitionList, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.listings = append(h.listings, r)
		if h.source.Count > 0 {
			return h.source, nil
		}
		return models.PartitionList{ID: "1d", Count: 2, Tasks: []models.PartitionTask{{From: 0, To: 1}, {From: 1, To: 2}}}, nil
	})
	register(h, "EmitLineage", func(_ context.Context, e models.LineageEvent) error {
		if h.telling != nil {
			h.telling(e)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told = append(h.told, e)
		return h.tellErr
	})
	register(h, "FindTransformed", func(_ context.Context, r models.FindTransformedRequest) (models.FindTransformedResult, error) {
		return models.FindTransformedResult{Missing: r.Tasks[h.transformedBefore:]}, nil
	})
	register(h, "TransformOnHost", func(ctx context.Context, r models.TransformRequest) (models.TransformResult, error) {
		h.mu.Lock()
		h.transforms = append(h.transforms, r)
		call := len(h.transforms)
		h.mu.Unlock()
		if h.transforming != nil {
			return models.TransformResult{}, h.transforming(ctx, call)
		}
		return models.TransformResult{}, nil
	})
	register(h, "ListTransformed", func(_ context.Context, r models.ListTransformedRequest) (models.PartitionList, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.joined = append(h.joined, r)
		return models.PartitionList{ID: "2e", Count: 1, Tasks: []models.PartitionTask{{From: 0, To: 1}}}, nil
	})
	register(h, "FindSnapshot", func(_ context.Context, r models.FindSnapshotRequest) (models.FindSnapshotResult, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.uses = append(h.uses, r.Use)
		return models.FindSnapshotResult{Snapshot: h.before}, nil
	})
	register(h, "PreparePartitions", func(ctx context.Context, r models.PreparePartitionsRequest) (models.PartitionsPrepared, error) {
		if h.partitions != nil {
			return h.partitions(ctx, r)
		}
		return models.PartitionsPrepared{Rows: 10}, nil
	})
	register(h, "WriteSnapshot", func(_ context.Context, r models.WriteSnapshotRequest) (models.Snapshot, error) {
		if h.snapshotErr != nil {
			return models.Snapshot{}, h.snapshotErr
		}
		return models.Snapshot{Manifest: models.Ref{URI: "s3://b/m", SHA256: "5a4b"}, Files: r.Count,
			Train: models.Span{Rows: 20}, Test: models.Span{Rows: 5},
			Columns: []models.Column{{Name: "x", Type: "float64", Role: "feature"}, {Name: "y", Type: "int64", Role: "label"}}}, nil
	})
	register(h, "PredictRows", func(_ context.Context, r models.PredictRowsRequest) (models.Predictions, error) {
		answers, _, err := h.predict(r)
		return answers, err
	})
	register(h, "PredictOnHost", func(ctx context.Context, r models.PredictRowsRequest) (models.Predictions, error) {
		answers, call, err := h.predict(r)
		if err == nil && h.predicting != nil {
			err = h.predicting(ctx, call)
		}
		return answers, err
	})
	register(h, "MeasurePredictions", func(_ context.Context, r models.MeasureRequest) (models.Evaluation, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.measured = append(h.measured, r)
		return h.evaluation, nil
	})
	register(h, "ScoreBlocks", func(_ context.Context, r models.ScoreBlocksRequest) (models.ScoredBlocks, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.blocks(r), nil
	})
}

// predict notes what was asked for and answers what the test says, or well;
// and the number of this call, 1 for the first.
func (h *house) predict(r models.PredictRowsRequest) (models.Predictions, int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.predicted = append(h.predicted, r)
	call := len(h.predicted)
	if h.predictErr != nil {
		if err := h.predictErr(call); err != nil {
			return models.Predictions{}, call, err
		}
	}
	return models.Predictions{File: models.Ref{URI: "s3://b/" + r.Who}, Rows: 5, Classes: 1, Node: r.Node.Node}, call, nil
}

func (h *house) registerTraining() {
	register(h, "CreateRun", func(_ context.Context, r models.CreateRunRequest) (models.Run, error) {
		return models.Run{RunID: "run-" + r.Key[:6], URL: "http://mlflow/run"}, nil
	})
	register(h, "FinishRun", func(_ context.Context, r models.FinishRunRequest) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.finished = append(h.finished, r)
		return nil
	})
	register(h, "AnnotateRun", func(_ context.Context, r models.AnnotateRunRequest) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.annotated = append(h.annotated, r)
		return h.annotateErr
	})
	register(h, "PrepareEnvironment", func(ctx context.Context, _ models.PrepareEnvironmentRequest) (models.PreparedEnvironment, error) {
		if h.prepare == nil {
			return models.PreparedEnvironment{}, nil
		}
		return h.prepare(activity.GetInfo(ctx).TaskQueue)
	})
	register(h, "FindCheckpoint", func(context.Context, models.FindCheckpointRequest) (models.Checkpoint, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.checkpoint, nil
	})
	register(h, "ReserveMasterPort", func(_ context.Context, r models.ReserveMasterPortRequest) (models.MasterEndpoint, error) {
		if r.RunKey == "" { // a lost host is called
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.calls++; !h.returns && h.calls == 1 {
				return models.MasterEndpoint{}, fail(models.KindRankLost, "nobody answers")
			} else if !h.returns && !h.answers {
				return models.MasterEndpoint{}, activity.ErrResultPending
			}
		}
		return models.MasterEndpoint{Address: "127.0.0.1", Port: 29500}, nil
	})
	register(h, "RunRanks", func(ctx context.Context, r models.RunRanksRequest) (models.RanksResult, error) {
		h.mu.Lock()
		h.rankCalls = append(h.rankCalls, r)
		h.mu.Unlock()
		if h.stuck {
			<-ctx.Done()
			return models.RanksResult{}, ctx.Err()
		}
		if h.ranks != nil {
			return h.ranks(r)
		}
		return goodRanks(r)
	})
	register(h, "WatchNode", func(ctx context.Context, _ models.WatchNodeRequest) error {
		if h.node == nil {
			<-ctx.Done()
			return ctx.Err()
		}
		return h.node(ctx)
	})
}

func goodRanks(r models.RunRanksRequest) (models.RanksResult, error) {
	if r.GroupRank > 0 {
		return models.RanksResult{}, nil
	}
	return models.RanksResult{Steps: 50, Metrics: map[string]float64{"loss": 0.4},
		Artifact: &models.ModelArtifact{Source: "s3://b/model", Manifest: models.Ref{SHA256: "ab12"}}}, nil
}

func (h *house) registerRelease() {
	register(h, "SignalSteward", func(_ context.Context, s models.StewardSignal) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.steward = append(h.steward, s)
		return nil
	})
	register(h, "SignalMonitor", func(_ context.Context, s models.MonitorSignal) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.monitor = append(h.monitor, s)
		return nil
	})
	register(h, "ReadChampion", func(context.Context, models.ReadChampionRequest) (models.ReadChampionResult, error) {
		return models.ReadChampionResult{Champion: h.champion}, nil
	})
	register(h, "FindClosed", func(context.Context, models.FindClosedRequest) (models.FindClosedResult, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return models.FindClosedResult{WorkflowIDs: h.closed, Replaced: h.replaced}, nil
	})
	register(h, "KeepSchedule", func(_ context.Context, r models.ScheduleRequest) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.schedules = append(h.schedules, r)
		return nil
	})
	h.registerRegistry()
	h.registerServing()
}

func (h *house) registerServing() {
	register(h, "ReadRoute", func(context.Context, string) (models.Route, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.route, nil
	})
	register(h, "PublishRoute", func(_ context.Context, r models.Route) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.Generation <= h.route.Generation {
			return temporal.NewNonRetryableApplicationError("a newer route is in place", string(models.KindStaleRoute), nil)
		}
		h.route, h.routes = r, append(h.routes, r)
		return nil
	})
	register(h, "PublishReplicas", func(_ context.Context, r models.Replicas) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.replicas = append(h.replicas, r)
		return nil
	})
	register(h, "ReadArms", func(_ context.Context, r models.ReadArmsRequest) (models.ArmReading, error) {
		h.mu.Lock() // a look that was cut short may still be on its way
		defer h.mu.Unlock()
		return h.arms(r), nil
	})
	register(h, "StartReplica", func(_ context.Context, r models.StartReplicaRequest) (models.Replica, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.starts = append(h.starts, r)
		if h.startErr != nil {
			return models.Replica{}, h.startErr
		}
		return models.Replica{Node: r.Node.Node, Replica: r.Replica, Token: r.Token,
			URL: fmt.Sprintf("http://%s:%d", r.Node.Node, 9000+len(h.starts))}, nil
	})
	register(h, "WatchReplica", func(ctx context.Context, r models.WatchReplicaRequest) (models.ReplicaExit, error) {
		return h.watch(ctx, r)
	})
}

// fail is an activity's failure of a kind, as the worker's interceptor makes it.
func fail(kind models.ErrorKind, message string) error {
	return temporal.NewApplicationErrorWithOptions(message, string(kind), temporal.ApplicationErrorOptions{NonRetryable: !kind.Retryable()})
}

// status asks the workflow under test.
func status[T any](t *testing.T, h *house) (got T) {
	t.Helper()
	value, err := h.QueryWorkflow(models.StatusQuery)
	require.NoError(t, err)
	require.NoError(t, value.Get(&got))
	return got
}

// decodePayloads reads the input of the next run.
func decodePayloads(t *testing.T, next *workflow.ContinueAsNewError, into any) {
	t.Helper()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, into))
}

// silentNode plays an agent whose first watch ends at once.
func silentNode(h *house) func(context.Context) error {
	calls := 0
	return func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		calls++
		return fail(models.KindRankLost, fmt.Sprintf("agent stopped (%d)", calls))
	}
}
