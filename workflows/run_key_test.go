package workflows

import (
	"testing"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// Whoever looks for a training's logs knows its workflow only.
func TestRunKeyIsKnownFromTheWorkflow(t *testing.T) {
	env := (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	env.ExecuteWorkflow(func(ctx workflow.Context) ([]string, error) {
		info := workflow.GetInfo(ctx)
		return []string{key(ctx, "ranks")[:32], models.TrainRunKey(info.Namespace, info.WorkflowExecution.ID, info.FirstRunID)}, nil
	})
	var keys []string
	if err := env.GetWorkflowResult(&keys); err != nil || len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("got %q, %v; want the same key twice", keys, err)
	}
}
