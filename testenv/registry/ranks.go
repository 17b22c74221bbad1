package registry

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/worker"
)

// Where a story is about what a training program says, the program is real, and
// so is the agent's activity that runs it.

const (
	tinyHost              = "nobody"
	storeSnapshotActivity = "StoreTinySnapshot"
	agentDirVariable      = "MAINSPRING_REGISTRY_AGENT_DIR"
)

// runsProgram: most seeds do without one.
func runsProgram(t models.TrainSpec) bool { return len(t.Command) > 1 }

// runProgram runs the spec's command as the one rank of a gang.
func runProgram(ctx workflow.Context, input models.TrainInput, run models.Run) (models.RanksResult, error) {
	var snapshot models.Ref
	var result models.RanksResult
	if err := workflow.ExecuteActivity(ctx, storeSnapshotActivity).Get(ctx, &snapshot); err != nil {
		return result, err
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: models.HostQueue(tinyHost), StartToCloseTimeout: time.Minute, HeartbeatTimeout: attemptWithin,
	})
	err := workflow.ExecuteActivity(ctx, models.Hosts.RunRanks, models.RunRanksRequest{
		RunKey: digestOf(run.RunID)[:32], Token: 1, Groups: 1, WorldSize: 1,
		Node:   models.LeaseNode{Node: tinyHost, Devices: []models.Device{{UUID: "VIRT-0", Vendor: models.VendorVirtual}}},
		Master: models.MasterEndpoint{Address: "127.0.0.1", Port: 1}, Train: input.Train, Snapshot: snapshot, Data: input.Data, Run: run,
		Features: []models.Column{{Name: "x", Type: "float64", Role: "feature"}},
	}).Get(ctx, &result)
	return result, err
}

// storeSnapshot leaves one file on each side of the split.
func (m *modelStore) storeSnapshot(ctx context.Context) (models.Ref, error) {
	manifest := models.SnapshotManifest{Format: 1}
	for _, path := range []string{"test/a.parquet", "train/a.parquet"} {
		ref, err := artifact.PutObjectBytes(ctx, m.store, []byte(path))
		if err != nil {
			return models.Ref{}, err
		}
		manifest.Files = append(manifest.Files, models.SnapshotFile{Path: path, Rows: 1, Ref: ref})
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return models.Ref{}, err
	}
	return artifact.PutObjectBytes(ctx, m.store, text)
}

// startAgent serves the host's queue within the worker's process.
func startAgent(c client.Client, store artifact.Store, tracking *mlflow.Client) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := os.Getenv(agentDirVariable)
	options := worker.Options()
	options.DisableWorkflowWorker, options.WorkerStopTimeout = true, time.Second
	w := sdk.New(c, models.HostQueue(tinyHost), options)
	w.RegisterActivityWithOptions((&activities.Hosts{
		Node: tinyHost, Address: "127.0.0.1", Store: store, Metrics: tracking, Inspector: activities.SignatureInspector{},
		Runner:       runner.Runner{Root: filepath.Join(dir, "state"), Shim: []string{self, roleShim}},
		Environments: pyenv.Builder{Cache: filepath.Join(dir, "cache")}, Cache: filepath.Join(dir, "cache"), Environ: os.Environ(),
	}).RunRanks, activity.RegisterOptions{Name: "RunRanks"})
	if err := w.Start(); err != nil {
		return nil, err
	}
	return w.Stop, nil
}
