package client

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// fakeServer plays a script: each look at the lifecycle moves it one scene on,
// and after the last scene the lifecycle ends.
type fakeServer struct {
	mu      sync.Mutex
	scenes  []scene
	current int
	over    chan struct{} // closed after the last scene
	watched string        // whose queries move the script on
	result  any
	failure error

	started   sdk.StartWorkflowOptions
	startArgs []any
	startErr  error
	hungUp    bool

	signalled []sentSignal

	updated   sdk.UpdateWorkflowOptions
	answer    any // of updates
	updateErr error
	handleErr error         // of an update that was taken
	answered  chan struct{} // updates are answered when it is closed; nil: at once

	listed     []string // workflow IDs that a list has
	executions []*workflow.WorkflowExecutionInfo
	queries    []string // of lists

	byType map[string][]string // workflow IDs that run, by type, for lists that name one
	inputs map[string]any      // by workflow ID
	closed map[string]bool     // workflow IDs that run no more
}

type sentSignal struct {
	to, name string
	arg      any
}

// scene is what queries and descriptions answer, by workflow ID.
type scene struct {
	status  map[string]any
	ranks   map[string]any       // heartbeat details of a pending RunRanks
	running map[string]time.Time // start of a pending PredictRows, by workflow ID
	failing map[string]string    // last failure of a pending PredictRows, by workflow ID
	err     error                // of every query
	typed   string               // workflow type; empty: Lifecycle
	types   map[string]string    // of some workflow IDs
	ended   bool                 // no workflow runs any more
	missing bool
}

func newFakeServer(scenes ...scene) *fakeServer {
	return &fakeServer{scenes: scenes, over: make(chan struct{}), watched: testLifecycle}
}

func newTestClient(t *testing.T, server *fakeServer) *Client {
	t.Helper()
	return &Client{temporal: server, address: "127.0.0.1:7233", namespace: "default", ui: "http://127.0.0.1:8233/",
		converter: converter.GetDefaultDataConverter(), poll: 1}
}

func (f *fakeServer) ExecuteWorkflow(_ context.Context, options sdk.StartWorkflowOptions, name any, args ...any) (sdk.WorkflowRun, error) {
	f.started, f.startArgs = options, append([]any{name}, args...)
	return fakeRun{server: f}, f.startErr
}

func (f *fakeServer) GetWorkflow(_ context.Context, id, _ string) sdk.WorkflowRun {
	return fakeRun{server: f, id: id}
}

// scene returns the scene for one call; a query of the lifecycle is a new look.
func (f *fakeServer) scene(look bool) scene {
	f.mu.Lock()
	defer f.mu.Unlock()
	if look {
		f.current++
		if f.current == len(f.scenes) {
			close(f.over)
		}
	}
	return f.scenes[min(max(f.current, 1), len(f.scenes))-1]
}

func (f *fakeServer) QueryWorkflow(_ context.Context, id, _, query string, _ ...any) (converter.EncodedValue, error) {
	if query != "status" {
		return nil, fmt.Errorf("unknown query %s", query)
	}
	now := f.scene(id == f.watched)
	if now.err != nil {
		return nil, now.err
	}
	status, ok := now.status[id]
	if !ok {
		return nil, serviceerror.NewNotFound("no " + id)
	}
	return encoded{status}, nil
}

func (f *fakeServer) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	now := f.scene(false)
	if now.missing {
		return nil, serviceerror.NewNotFound("no " + id)
	}
	typed := now.typed
	if typed == "" {
		typed = "Lifecycle"
	}
	if one, ok := now.types[id]; ok {
		typed = one
	}
	status := enums.WORKFLOW_EXECUTION_STATUS_RUNNING
	if now.ended || f.closed[id] {
		status = enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	}
	description := &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflow.WorkflowExecutionInfo{Type: &common.WorkflowType{Name: typed}, Status: status},
	}
	if details, ok := now.ranks[id]; ok {
		payloads, err := converter.GetDefaultDataConverter().ToPayloads(details)
		if err != nil {
			return nil, err
		}
		other, err := converter.GetDefaultDataConverter().ToPayloads(map[string]int{"step": 1 << 40})
		if err != nil {
			return nil, err
		}
		description.PendingActivities = []*workflow.PendingActivityInfo{
			{ActivityType: &common.ActivityType{Name: "WatchNode"}, HeartbeatDetails: other},
			{ActivityType: &common.ActivityType{Name: "RunRanks"}, HeartbeatDetails: payloads},
			{ActivityType: &common.ActivityType{Name: "RunRanks"}},
		}
	}
	if began, ok := now.running[id]; ok {
		description.PendingActivities = append(description.PendingActivities, &workflow.PendingActivityInfo{
			ActivityType: &common.ActivityType{Name: "PredictRows"}, LastStartedTime: timestamppb.New(began)})
	}
	if message, ok := now.failing[id]; ok {
		description.PendingActivities = append(description.PendingActivities, &workflow.PendingActivityInfo{
			ActivityType: &common.ActivityType{Name: "PredictRows"}, LastFailure: &failure.Failure{Message: message}})
	}
	return description, nil
}

func (f *fakeServer) SignalWorkflow(_ context.Context, id, _, name string, arg any) error {
	f.signalled = append(f.signalled, sentSignal{id, name, arg})
	return nil
}

func (f *fakeServer) Close() { f.hungUp = true }

// encoded is a value on its way through JSON.
type encoded struct{ value any }

func (e encoded) HasValue() bool { return e.value != nil }

func (e encoded) Get(target any) error {
	text, err := json.Marshal(e.value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, target)
}

type fakeRun struct {
	sdk.WorkflowRun
	server *fakeServer
	id     string
}

func (r fakeRun) Get(ctx context.Context, target any) error {
	select {
	case <-r.server.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.server.failure != nil {
		return r.server.failure
	}
	return encoded{r.server.result}.Get(target)
}

// UpdateWorkflow notes the order and answers as the test says.
func (f *fakeServer) UpdateWorkflow(_ context.Context, options sdk.UpdateWorkflowOptions) (sdk.WorkflowUpdateHandle, error) {
	f.updated = options
	return fakeUpdate{server: f}, f.updateErr
}

type fakeUpdate struct {
	sdk.WorkflowUpdateHandle
	server *fakeServer
}

func (u fakeUpdate) Get(ctx context.Context, into any) error {
	if u.server.answered != nil {
		select {
		case <-u.server.answered:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if u.server.handleErr != nil {
		return u.server.handleErr
	}
	return encoded{u.server.answer}.Get(into)
}

func (f *fakeServer) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.queries = append(f.queries, request.GetQuery())
	if f.executions != nil {
		return &workflowservice.ListWorkflowExecutionsResponse{Executions: f.executions}, nil
	}
	var listed []*workflow.WorkflowExecutionInfo
	ids := f.listed
	for workflowType, some := range f.byType {
		if strings.HasPrefix(request.GetQuery(), "WorkflowType = '"+workflowType+"'") {
			ids = append(ids, some...)
		}
	}
	for _, id := range ids {
		listed = append(listed, &workflow.WorkflowExecutionInfo{Execution: &common.WorkflowExecution{WorkflowId: id}})
	}
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: listed}, nil
}

// GetWorkflowHistory has the first event of the workflows whose input is known.
func (f *fakeServer) GetWorkflowHistory(_ context.Context, id, _ string, _ bool, _ enums.HistoryEventFilterType) sdk.HistoryEventIterator {
	return &fakeEvents{input: f.inputs[id]}
}

type fakeEvents struct {
	sdk.HistoryEventIterator
	input any
}

func (e *fakeEvents) Next() (*historypb.HistoryEvent, error) {
	if e.input == nil {
		return nil, serviceerror.NewNotFound("no such workflow")
	}
	input, err := converter.GetDefaultDataConverter().ToPayloads(e.input)
	return &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{Input: input}}}, err
}
