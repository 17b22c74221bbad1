package worker

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/workflows"
)

// RegisterWorkflows registers every workflow type under its plain name.
func RegisterWorkflows(registry worker.WorkflowRegistry) {
	for name, function := range map[string]any{
		models.LifecycleWorkflow:    workflows.Lifecycle,
		models.PrepareDataWorkflow:  workflows.PrepareData,
		models.TrainWorkflow:        workflows.Train,
		models.EvaluateWorkflow:     workflows.Evaluate,
		models.ModelStewardWorkflow: workflows.ModelSteward,
		models.RolloutWorkflow:      workflows.Rollout,
		models.ServeWorkflow:        workflows.Serve,
		models.MonitorWorkflow:      workflows.Monitor,
		models.GPUPoolWorkflow:      workflows.GPUPool,
		models.NodeWorkflow:         workflows.Node,
	} {
		registry.RegisterWorkflowWithOptions(function, workflow.RegisterOptions{Name: name})
	}
}

// RegisterActivities registers every adapter of the shared queue. Activity
// types are method names, so they are unique across adapters.
func RegisterActivities(registry worker.ActivityRegistry, a *adapters) {
	for _, adapter := range []any{
		a.preparation, a.tracking, a.checkpoints, a.scoring, a.registry, a.routing, a.blocks, a.entities,
	} {
		registry.RegisterActivity(adapter)
	}
}
