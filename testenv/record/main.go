// Command record fetches the histories that the replay tests use from a running
// stack: one per workflow type, preferring those that saw the most. Run it after
// `make demo`, while the stack is up.
//
//	go run ./testenv/record [directory]
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/mainspring-ml/mainspring/internal/devstack"
)

// perType is how many histories of one workflow type are kept.
const perType = 3

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
	listed, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "", PageSize: 200})
	if err != nil {
		return err
	}
	kept := map[string]int{}
	for _, info := range listed.GetExecutions() {
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
	return len(recorded.GetEvents()), os.WriteFile(path, data, 0o644)
}
