package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// fakeTracking is an MLflow that answers from memory.
type fakeTracking struct {
	registered []mlflow.ModelVersion
	models     map[string]mlflow.RegisteredModel
	all        []mlflow.Run
	down       string // the question that is not answered
	searched   func() // after each search of runs; nil: nothing
}

var errDown = fmt.Errorf("%w: connection refused", mlflow.ErrUnavailable)

func (f *fakeTracking) fails(question string) error {
	if f.down == question || f.down == "all" {
		return errDown
	}
	return nil
}

func (f *fakeTracking) SearchModelVersions(_ context.Context, filter string) ([]mlflow.ModelVersion, error) {
	var found []mlflow.ModelVersion
	for _, v := range f.registered {
		if filter == "" || filter == fmt.Sprintf("name = '%s'", v.Model) {
			found = append(found, v)
		}
	}
	return found, f.fails("versions")
}

func (f *fakeTracking) GetRegisteredModel(_ context.Context, name string) (mlflow.RegisteredModel, error) {
	model, ok := f.models[name]
	if !ok {
		return model, mlflow.ErrNotFound
	}
	return model, f.fails("model")
}

func (f *fakeTracking) SearchExperiments(context.Context) ([]mlflow.Experiment, error) {
	return []mlflow.Experiment{{ID: "1", Name: "flight-delay"}}, f.fails("experiments")
}

func (f *fakeTracking) SearchRuns(_ context.Context, request mlflow.SearchRunsRequest) ([]mlflow.Run, error) {
	var found []mlflow.Run
	for _, run := range f.all {
		switch {
		case strings.Contains(request.Filter, "status") && !strings.Contains(request.Filter, "'"+string(run.Status)+"'"):
		case strings.Contains(request.Filter, "tags.") && !strings.Contains(request.Filter, "'"+run.Tags[lifecycleTag]+"'"):
		default:
			found = append(found, run)
		}
	}
	if f.searched != nil {
		f.searched()
	}
	return found, f.fails("runs")
}

func (f *fakeTracking) GetRun(_ context.Context, id string) (mlflow.Run, error) {
	for _, run := range f.all {
		if run.ID == id {
			return run, f.fails("run")
		}
	}
	return mlflow.Run{}, mlflow.ErrNotFound
}

func (f *fakeTracking) RunURL(experiment, run string) string {
	return "http://mlflow/#/experiments/" + experiment + "/runs/" + run
}

func (f *fakeTracking) ModelVersionURL(model, version string) string {
	return "http://mlflow/#/models/" + model + "/versions/" + version
}

// sha is a made-up digest.
func sha(digit string) string { return strings.Repeat(digit, 64) }

func needsItems() []snapshots.Item {
	var items []snapshots.Item
	for _, digit := range strings.Split("0123456789ab", "") {
		items = append(items, snapshots.Item{Snapshot: sha(digit)})
	}
	items[8].Uses = []models.SnapshotUse{{Workflow: "lifecycle/running"}, {Workflow: "lifecycle/over"}}
	items[9].Uses = []models.SnapshotUse{{Workflow: "lifecycle/over"}}
	items[11].Uses = []models.SnapshotUse{{Workflow: "lifecycle/elsewhere", Namespace: "another"}}
	return items
}

func needsWorld() (*fakeServer, *fakeTracking) {
	const owner = "default/model/flight-delay"
	version := func(number, digit string, deleted bool) models.ModelVersion {
		return models.ModelVersion{Version: number, Deleted: deleted, Candidate: models.Candidate{Snapshot: sha(digit)}}
	}
	steward := models.StewardStatus{StewardState: models.StewardState{Model: "flight-delay", Owner: owner, Versions: []models.ModelVersion{
		version("3", "3", false), version("4", "4", true), version("5", "5", false),
	}, Queue: []models.StewardTask{{Register: &models.RegisterRequest{Candidate: models.Candidate{Snapshot: sha("7")}}}}}}
	other := models.StewardStatus{StewardState: models.StewardState{Model: "fares", Owner: "lost", Versions: []models.ModelVersion{version("1", "6", false), version("2", "0", true)}}}
	server := newFakeServer(scene{status: map[string]any{
		"model/flight-delay": steward, "model/fares": other,
		"prepare/one": models.PreparationStatus{ID: sha("f"), RawID: sha("e")},
	}})
	server.byType = map[string][]string{
		models.ModelStewardWorkflow: {"model/flight-delay", "model/fares"},
		models.TrainWorkflow:        {"train/alone"},
		models.PrepareDataWorkflow:  {"prepare/one"},
	}
	server.closed = map[string]bool{"lifecycle/over": true}
	server.inputs = map[string]any{"train/alone": models.TrainInput{Snapshot: models.Snapshot{Manifest: models.Ref{SHA256: sha("a")}}}}
	return server, &fakeTracking{
		registered: []mlflow.ModelVersion{
			{Model: "flight-delay", Version: "3", Tags: map[string]string{snapshotTag: sha("3")}},
			{Model: "by-hand", Version: "1", RunID: "finished"},
			{Model: "by-hand", Version: "2", RunID: "gone"},
		},
		models: map[string]mlflow.RegisteredModel{
			"flight-delay": {Name: "flight-delay", Tags: map[string]string{"mainspring.claim.x": "held " + owner}},
			"fares":        {Name: "fares"},
		},
		all: []mlflow.Run{
			{ID: "finished", Status: mlflow.RunFinished, Datasets: []mlflow.Dataset{{Digest: mlflow.DatasetDigest(sha("1"))}}},
			{ID: "scheduled", Name: "soon", Status: mlflow.RunScheduled, Datasets: []mlflow.Dataset{{Digest: mlflow.DatasetDigest(sha("4"))}}},
			{ID: "running", Name: "by hand", Status: mlflow.RunRunning, Datasets: []mlflow.Dataset{{Digest: mlflow.DatasetDigest(sha("2"))}}},
		},
	}
}

func TestSnapshotNeeds(t *testing.T) {
	server, tracking := needsWorld()
	found, err := newTestClient(t, server).SnapshotNeeds(t.Context(), tracking, needsItems())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"1": "model version: by-hand/1", "2": "run: MLflow's run by hand", "3": "model version: flight-delay/3",
		"4": "run: MLflow's run soon",
		"6": "model version: fares/1", "7": "model version: flight-delay, to be registered",
		"8": "workflow: lifecycle/running", "a": "workflow: train/alone",
		"b": "workflow: lifecycle/elsewhere in namespace another, which was not asked",
	}
	got := map[string]string{}
	for digest, keepers := range found.Keepers {
		for _, k := range keepers {
			got[digest[:1]] += string(k.Kind) + ": " + k.Name
		}
	}
	if !maps.Equal(got, want) {
		for _, digit := range slices.Sorted(maps.Keys(want)) {
			t.Logf("%s: %q; want %q", digit, got[digit], want[digit])
		}
		t.Errorf("kept are %v", got)
	}
	if !found.Preparations[sha("f")] || !found.Preparations[sha("e")] || found.Blind != "" {
		t.Errorf("preparations %v, blind %q", found.Preparations, found.Blind)
	}
}

// A run that starts between two looks is needed all the same.
func TestSnapshotNeedsOfARunThatStarts(t *testing.T) {
	server, tracking := needsWorld()
	tracking.searched = func() {
		for i := range tracking.all {
			if tracking.all[i].Status == mlflow.RunScheduled {
				tracking.all[i].Status = mlflow.RunRunning
			}
		}
	}
	found, err := newTestClient(t, server).SnapshotNeeds(t.Context(), tracking, needsItems())
	if err != nil || len(found.Keepers[sha("4")]) == 0 {
		t.Errorf("keepers %v, %v", found.Keepers[sha("4")], err)
	}
}

// A registration goes on after the lifecycle that asked for it was cancelled.
func TestSnapshotNeedsOfACandidateThatIsBeingRegistered(t *testing.T) {
	server, tracking := needsWorld()
	steward := server.scenes[0].status["model/flight-delay"].(models.StewardStatus)
	steward.Current, steward.Queue = &steward.Queue[0], nil
	server.scenes[0].status["model/flight-delay"] = steward
	found, err := newTestClient(t, server).SnapshotNeeds(t.Context(), tracking, needsItems())
	if err != nil || len(found.Keepers[sha("7")]) == 0 {
		t.Errorf("keepers %v, %v", found.Keepers[sha("7")], err)
	}
}

func TestSnapshotNeedsOfASilentPreparation(t *testing.T) {
	server, tracking := needsWorld()
	server.byType[models.PrepareDataWorkflow] = []string{"prepare/silent"}
	found, err := newTestClient(t, server).SnapshotNeeds(t.Context(), tracking, needsItems())
	if err != nil || !strings.Contains(found.Blind, "prepare/silent") {
		t.Errorf("blind %q, %v", found.Blind, err)
	}
}

// A version that is registered between any two questions, by a lifecycle that
// ends then, keeps its snapshot.
func TestSnapshotNeedsOfAVersionThatIsRegisteredMeanwhile(t *testing.T) {
	for after := 1; ; after++ {
		server, tracking := needsWorld()
		world := &movingWorld{fakeServer: server, fakeTracking: tracking, after: after, move: func() {
			server.closed["lifecycle/running"] = true
			status := server.scenes[0].status["model/flight-delay"].(models.StewardStatus)
			status.Versions = append(status.Versions, models.ModelVersion{Version: "6", Candidate: models.Candidate{Snapshot: sha("8")}})
			server.scenes[0].status["model/flight-delay"] = status
			tracking.registered = append(tracking.registered, mlflow.ModelVersion{Model: "flight-delay", Version: "6", Tags: map[string]string{snapshotTag: sha("8")}})
		}}
		asked := newTestClient(t, server)
		asked.temporal = world
		found, err := asked.SnapshotNeeds(t.Context(), world, needsItems())
		if err != nil || len(found.Keepers[sha("8")]) == 0 {
			t.Errorf("registered after %d questions: keepers %v, %v", after, found.Keepers[sha("8")], err)
		}
		if world.asked < after {
			break
		}
	}
}

// movingWorld changes once, after some question.
type movingWorld struct {
	*fakeServer
	*fakeTracking
	mu    sync.Mutex
	asked int
	after int
	move  func()
}

func answer[T any](w *movingWorld, ask func() (T, error)) (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answered, err := ask()
	if w.asked++; w.asked == w.after {
		w.move()
	}
	return answered, err
}

func (w *movingWorld) QueryWorkflow(ctx context.Context, id, run, query string, arguments ...any) (converter.EncodedValue, error) {
	return answer(w, func() (converter.EncodedValue, error) {
		return w.fakeServer.QueryWorkflow(ctx, id, run, query, arguments...)
	})
}

func (w *movingWorld) DescribeWorkflowExecution(ctx context.Context, id, run string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return answer(w, func() (*workflowservice.DescribeWorkflowExecutionResponse, error) {
		return w.fakeServer.DescribeWorkflowExecution(ctx, id, run)
	})
}

func (w *movingWorld) SearchModelVersions(ctx context.Context, filter string) ([]mlflow.ModelVersion, error) {
	return answer(w, func() ([]mlflow.ModelVersion, error) { return w.fakeTracking.SearchModelVersions(ctx, filter) })
}

func (w *movingWorld) GetRegisteredModel(ctx context.Context, name string) (mlflow.RegisteredModel, error) {
	return answer(w, func() (mlflow.RegisteredModel, error) { return w.fakeTracking.GetRegisteredModel(ctx, name) })
}

func (w *movingWorld) SearchRuns(ctx context.Context, request mlflow.SearchRunsRequest) ([]mlflow.Run, error) {
	return answer(w, func() ([]mlflow.Run, error) { return w.fakeTracking.SearchRuns(ctx, request) })
}

func (w *movingWorld) ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return answer(w, func() (*workflowservice.ListWorkflowExecutionsResponse, error) {
		return w.fakeServer.ListWorkflow(ctx, request)
	})
}

// Whoever does not answer may need anything.
func TestSnapshotNeedsOfTheSilent(t *testing.T) {
	for _, down := range []string{"versions", "model", "experiments", "runs", "run"} {
		server, tracking := needsWorld()
		tracking.down = down
		if _, err := newTestClient(t, server).SnapshotNeeds(t.Context(), tracking, needsItems()); !errors.Is(err, mlflow.ErrUnavailable) {
			t.Errorf("MLflow does not answer about the %s: %v", down, err)
		}
	}
	server, tracking := needsWorld()
	server.byType[models.ModelStewardWorkflow] = []string{"model/silent"}
	if _, err := newTestClient(t, server).SnapshotNeeds(t.Context(), tracking, needsItems()); err == nil {
		t.Error("a steward does not answer, and nobody minds")
	}
}
