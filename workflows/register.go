package workflows

import (
	"fmt"
	"os"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// Register registers every workflow under its plain name.
func Register(registry worker.WorkflowRegistry) {
	register := func(name string, function any) {
		registry.RegisterWorkflowWithOptions(function, workflow.RegisterOptions{Name: name})
	}
	register(models.LifecycleWorkflow, Lifecycle)
	register(models.PrepareDataWorkflow, PrepareData)
	register(models.TrainWorkflow, Train)
	register(models.EvaluateWorkflow, Evaluate)
	register(models.ModelStewardWorkflow, ModelSteward)
	register(models.RolloutWorkflow, Rollout)
	register(models.ServeWorkflow, Serve)
	register(models.MonitorWorkflow, Monitor)
	register(models.GPUPoolWorkflow, GPUPool)
	register(models.NodeWorkflow, Node)
	register(models.RetrainWorkflow, Retrain)
}

// Replay runs one recorded history, as `temporal workflow show --output json`
// writes it, against the present code. It fails when the code would go on
// differently than the run did. Payloads is the converter of the workers that
// made it; nil: Temporal's own.
func Replay(path string, payloads converter.DataConverter) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	recorded, err := client.HistoryFromJSON(file, client.HistoryJSONOptions{})
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	if len(recorded.GetEvents()) == 0 {
		return fmt.Errorf("read history: %s has no events", path)
	}
	// Children and signals are named after the workflow's own ID.
	started := recorded.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DataConverter: payloads})
	if err != nil {
		return fmt.Errorf("make a replayer: %w", err)
	}
	Register(replayer)
	return replayer.ReplayWorkflowHistoryWithOptions(nil, recorded, worker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: started.GetWorkflowId(), RunID: started.GetOriginalExecutionRunId()},
	})
}
