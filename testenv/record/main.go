// Command record fetches the histories that the replay tests use from a running
// stack: the newest few of each workflow type. Run it after `make demo`, while
// the stack is up. What a demo does not start, a Retrain, it starts itself.
//
//	go run ./testenv/record [directory]
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/models"
)

// perType is how many histories of one workflow type are kept.
const perType = 3

// largest is how many bytes a history may have that is kept as it is; a longer
// one is packed.
const largest = 1 << 20

func main() {
	dir := "workflows/testdata/histories"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := record(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func record(ctx context.Context, dir string) error {
	access, err := devstack.Discover(".mainspring/demo", ".mainspring/dev")
	if err != nil {
		return err
	}
	c, err := client.DialContext(ctx, client.Options{HostPort: access.TemporalAddress, Namespace: access.TemporalNamespace})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	listed, err := executions(ctx, c, "")
	if err != nil {
		return err
	}
	retrainings, err := retrain(ctx, c)
	if err != nil {
		return err
	}
	kept := map[string]int{}
	for _, info := range append(listed, retrainings...) {
		name := info.GetType().GetName()
		if kept[name] == perType {
			continue
		}
		kept[name]++
		path := filepath.Join(dir, fmt.Sprintf("%s-%d.json", name, kept[name]))
		events, err := write(ctx, c, info, path)
		if err != nil {
			return fmt.Errorf("%s: %w", info.GetExecution().GetWorkflowId(), err)
		}
		fmt.Printf("%-40s %5d events  %s\n", path, events, info.GetExecution().GetWorkflowId())
	}
	return nil
}

func executions(ctx context.Context, c client.Client, query string) ([]*workflow.WorkflowExecutionInfo, error) {
	listed, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 200})
	return listed.GetExecutions(), err
}

// retrainedWithin is how long a steward may take to refuse.
const retrainedWithin = time.Minute

// retrain asks a model's steward for a retraining as a schedule would, and waits
// for the answer. The demo's spec has no schedule, so that the steward refuses.
func retrain(ctx context.Context, c client.Client) ([]*workflow.WorkflowExecutionInfo, error) {
	stewards, err := executions(ctx, c, fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", models.ModelStewardWorkflow))
	if err != nil || len(stewards) == 0 {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, retrainedWithin)
	defer cancel()
	model := strings.TrimPrefix(stewards[0].GetExecution().GetWorkflowId(), models.StewardID(""))
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: models.RetrainID(model), TaskQueue: models.TaskQueue}, models.RetrainWorkflow,
		models.RetrainInput{Model: model, Kind: models.TriggerSchedule, Reason: "to be recorded"})
	if err != nil {
		return nil, err
	}
	if err := run.Get(ctx, nil); err != nil {
		return nil, fmt.Errorf("%s did not end: %w", run.GetID(), err)
	}
	return []*workflow.WorkflowExecutionInfo{{
		Type: &common.WorkflowType{Name: models.RetrainWorkflow}, Execution: &common.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
	}}, nil
}

func write(ctx context.Context, c client.Client, info *workflow.WorkflowExecutionInfo, path string) (int, error) {
	var recorded history.History
	execution := info.GetExecution()
	events := c.GetWorkflowHistory(ctx, execution.GetWorkflowId(), execution.GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return 0, err
		}
		recorded.Events = append(recorded.Events, event)
	}
	data, err := protojson.Marshal(&recorded)
	if err != nil {
		return 0, err
	}
	if len(data) > largest {
		path += ".gz"
		if data, err = pack(data); err != nil {
			return 0, err
		}
	}
	return len(recorded.GetEvents()), os.WriteFile(path, data, 0o644)
}

func pack(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
