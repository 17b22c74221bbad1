package worker

import (
	"fmt"

	"go.temporal.io/sdk/worker"
)

// Replay runs one recorded history against the registered workflows.
func Replay(path string) error {
	replayer := worker.NewWorkflowReplayer()
	RegisterWorkflows(replayer)
	if err := replayer.ReplayWorkflowHistoryFromJSONFile(nil, path); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}
