package testenv_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/reliability"
)

// TestEndToEnd runs whole lifecycles on one stack of its own, which it may
// therefore kill the parts of.
func TestEndToEnd(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("SKIPPED: the end-to-end test starts a whole stack; `make test` runs it, " +
			"or `go run ./testenv/withstack -- go test ./testenv`")
	}
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	events := filepath.Join(t.TempDir(), "lineage.jsonl")
	t.Setenv("OPENLINEAGE_URL", "file://"+events)
	l := startLaptop(ctx, t)
	// First, while no model server has a device: a preemption wants all of them.
	t.Run("KillMatrix", func(t *testing.T) { killMatrix(ctx, t, l) })
	t.Run("LifecycleSurvivesKills", func(t *testing.T) { survivesKills(ctx, t, l) })
	t.Run("PythonLoadsTheChampion", func(t *testing.T) { loadsInPython(ctx, t, flights(t).Model.Name, l.Env()) })
	t.Run("CancelFreesDevices", func(t *testing.T) { cancelFreesDevices(ctx, t, l) })
	t.Run("BadTraining", func(t *testing.T) { badTraining(ctx, t, l) })
	t.Run("StockCLI", func(t *testing.T) { stockCLI(ctx, t, l) })
	t.Run("StartFromGo", func(t *testing.T) { startFromGo(ctx, t, l) })
	t.Run("Gates", func(t *testing.T) { gates(ctx, t, l) })
	t.Run("Lineage", func(t *testing.T) { toldOfEverything(ctx, t, events) })
}

// survivesKills kills everything that can be killed under a training of two
// ranks. Only the loss of a rank costs an attempt.
func survivesKills(ctx context.Context, t *testing.T, l *laptop) {
	s := flights(t)
	s.Train.Params["rounds"], s.Train.Params["step_delay_ms"] = 60, 500
	id := l.start(ctx, t, s)

	began, pids := killUnderTraining(ctx, t, l, id)
	require.NoError(t, syscall.Kill(pids[1], syscall.SIGKILL))

	var result models.LifecycleResult
	require.NoError(t, l.temporal.GetWorkflow(ctx, id, "").Get(ctx, &result))
	t.Logf("a rank killed; the lifecycle ended %s after its training began", took(began))
	require.True(t, result.Promoted, result.Reason)
	var training models.TrainStatus
	require.NoError(t, l.query(ctx, models.StageID(id, models.StageTrain), &training))
	require.Len(t, training.Failures, 1, "worker, agent and Temporal must not cost an attempt")
	require.Contains(t, training.Failures[0], "was ended by a signal")
	require.Positive(t, training.Resumed, "the second attempt starts from a checkpoint")
	var status models.LifecycleStatus
	require.NoError(t, l.query(ctx, id, &status))
	require.Equal(t, 1, status.Training.Restarts)
	require.EqualValues(t, 60, status.Training.Steps)
	require.Empty(t, l.running(pids), "the first attempt's ranks have ended")

	recordedOnce(ctx, t, l, id, result)
	onlyServing(ctx, t, l)
	served(ctx, t, l, s.Deploy.Endpoint, status.Training.Artifact.Inputs)
}

// killUnderTraining kills worker, agent and Temporal, and returns the ranks,
// which are the same all the time.
func killUnderTraining(ctx context.Context, t *testing.T, l *laptop, id string) (began time.Time, pids []int) {
	_, pids = l.training(ctx, t, id, 2, func(hosts []models.RankProgress) bool { return hosts[0].Step >= 3 })
	began = time.Now()
	require.Len(t, l.running(pids), 2)
	require.NoError(t, l.Kill(ctx, "worker"))
	require.NoError(t, l.Kill(ctx, "agent-laptop-a"))
	attached, after := l.training(ctx, t, id, 2, func(hosts []models.RankProgress) bool { return hosts[0].Reattached || hosts[1].Reattached })
	t.Logf("worker and agent killed at step 3; re-attached after %s at step %d", took(began), attached[0].Step)
	require.Equal(t, pids, after, "the ranks go on without their agent")

	killed := time.Now()
	require.NoError(t, l.Kill(ctx, devstack.ServerTemporal))
	eventually(t, patience, func() (bool, any) { // the old incarnation may look ready for a moment
		for _, process := range l.Status() {
			if process.Name == devstack.ServerTemporal {
				return process.Starts == 2, process
			}
		}
		return false, "no such process"
	})
	require.NoError(t, l.AwaitReady(ctx, devstack.ServerTemporal))
	hosts, after := l.training(ctx, t, id, 2, func(hosts []models.RankProgress) bool {
		return hosts[0].Step > attached[0].Step && hosts[0].Checkpoint > 0
	})
	t.Logf("Temporal killed; heartbeats went on after %s at step %d", took(killed), hosts[0].Step)
	require.Equal(t, pids, after, "the ranks go on without Temporal")
	return began, pids
}

// recordedOnce wants one run and one version, however often it was retried.
func recordedOnce(ctx context.Context, t *testing.T, l *laptop, id string, result models.LifecycleResult) {
	runs := runsOf(ctx, t, l, id)
	require.Len(t, runs, 1)
	require.Equal(t, result.RunID, runs[0].ID)
	require.Equal(t, mlflow.RunFinished, runs[0].Status)
	versions, err := l.mlflow.SearchModelVersions(ctx, "name = '"+result.Model+"'")
	require.NoError(t, err)
	require.Len(t, versions, 1)
	require.Equal(t, result.Version, versions[0].Version)
	require.Equal(t, result.RunID, versions[0].RunID)
	champion, err := l.mlflow.VersionByAlias(ctx, result.Model, "champion")
	require.NoError(t, err)
	require.Equal(t, result.Version, champion.Version)
}

func runsOf(ctx context.Context, t *testing.T, l *laptop, id string) []mlflow.Run {
	model := strings.Split(id, "/")[1]
	experiment, err := l.mlflow.ExperimentByName(ctx, model)
	require.NoError(t, err)
	runs, err := l.mlflow.SearchRuns(ctx, mlflow.SearchRunsRequest{
		ExperimentIDs: []string{experiment.ID}, Filter: "tags.`mainspring.lifecycle` = '" + id + "'",
	})
	require.NoError(t, err)
	return runs
}

// onlyServing wants every lease back but those of model servers.
func onlyServing(ctx context.Context, t *testing.T, l *laptop) {
	t.Helper()
	eventually(t, 10*time.Second, func() (bool, any) {
		holders, err := l.leases(ctx)
		return err == nil && !slices.ContainsFunc(holders, trains), []any{holders, err}
	})
}

func trains(holder string) bool { return !strings.HasPrefix(holder, "serve/") }

// served sends requests, kills the only model server, and wants answers again.
func served(ctx context.Context, t *testing.T, l *laptop, endpoint string, inputs []models.ModelPort) {
	url := l.Access().Gateway + "/v2/models/" + endpoint + "/infer"
	body := oneFlight(t, inputs)
	eventually(t, 10*time.Second, func() (bool, any) {
		status, err := infer(ctx, url, body)
		return status == http.StatusOK, []any{status, err}
	})
	for i := range 50 {
		status, err := infer(ctx, url, body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, "request %d", i)
	}
	servers := l.modelServers()
	require.Len(t, servers, 1)
	killed := time.Now()
	require.NoError(t, syscall.Kill(servers[0], syscall.SIGKILL))
	failed := 0
	eventually(t, 30*time.Second, func() (bool, any) {
		status, err := infer(ctx, url, body)
		if status != http.StatusOK {
			failed++
		}
		now := l.modelServers()
		return status == http.StatusOK && len(now) == 1 && now[0] != servers[0], []any{status, err, now}
	})
	t.Logf("the only model server killed; answered again after %s, %d requests failed meanwhile", took(killed), failed)
	for i := range 20 {
		status, err := infer(ctx, url, body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, "request %d after the kill", i)
	}
}

// oneFlight asks for one row, in the types that the model declares.
func oneFlight(t *testing.T, inputs []models.ModelPort) string {
	row := map[string]any{"carrier": "UA", "origin": "EWR", "dest": "ORD", "distance": 719, "dep_minute": 600,
		"sched_minutes": 150, "hour_departures": 30, "day_of_week": 3}
	tensors := make([]map[string]any, len(inputs))
	for i, port := range inputs {
		require.Contains(t, row, port.Name)
		shape := make([]int, len(port.Shape))
		for j := range shape {
			shape[j] = 1
		}
		tensors[i] = map[string]any{"name": port.Name, "datatype": port.Datatype, "shape": shape, "data": []any{row[port.Name]}}
	}
	body, err := json.Marshal(map[string]any{"inputs": tensors})
	require.NoError(t, err)
	return string(body)
}

func infer(ctx context.Context, url, body string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Outputs []json.RawMessage `json:"outputs"`
		Error   string            `json:"error"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return response.StatusCode, err
	}
	if response.StatusCode == http.StatusOK && len(answer.Outputs) == 0 {
		return response.StatusCode, errors.New("an answer without outputs")
	}
	if answer.Error != "" {
		return response.StatusCode, errors.New(answer.Error)
	}
	return response.StatusCode, nil
}

func cancelFreesDevices(ctx context.Context, t *testing.T, l *laptop) {
	s := flights(t)
	s.Train.Params["rounds"], s.Train.Params["step_delay_ms"] = 1000, 200
	id := l.start(ctx, t, s)
	_, pids := l.training(ctx, t, id, 2, func(hosts []models.RankProgress) bool { return hosts[0].Step >= 2 })
	holders, err := l.leases(ctx)
	require.NoError(t, err)
	require.Contains(t, holders, models.StageID(id, models.StageTrain))

	cancelled := time.Now()
	require.NoError(t, l.temporal.CancelWorkflow(ctx, id, ""))
	eventually(t, 10*time.Second, func() (bool, any) {
		left := l.running(pids)
		holders, err := l.leases(ctx)
		return len(left) == 0 && err == nil && !slices.ContainsFunc(holders, trains), []any{left, holders, err}
	})
	t.Logf("ranks ended and devices were free %s after the cancellation", took(cancelled))
	require.True(t, temporal.IsCanceledError(l.temporal.GetWorkflow(ctx, id, "").Get(ctx, nil)))
	runs := runsOf(ctx, t, l, id)
	require.Len(t, runs, 1)
	require.Equal(t, mlflow.RunKilled, runs[0].Status)
}

// killMatrix breaks one training in each way, and holds what it costs to the
// promises; bench/reliability publishes the same figures.
func killMatrix(ctx context.Context, t *testing.T, l *laptop) {
	figures, err := reliability.Run(ctx, l.Laptop, reliability.Config{Root: "..", Dir: t.TempDir(), Log: t.Logf})
	require.NoError(t, err)
	require.NoError(t, figures.Check())
}

// badTraining looks at each mistake as the user does: what `mainspring run`
// prints, and its exit code.
func badTraining(ctx context.Context, t *testing.T, l *laptop) {
	otherInputs, err := filepath.Abs("../internal/serving/testdata/ratio")
	require.NoError(t, err)
	training := func(command ...string) func(*models.LifecycleSpec) {
		return func(s *models.LifecycleSpec) { s.Train.Command = command }
	}
	for _, mistake := range []struct {
		name  string
		make  func(*models.LifecycleSpec)
		stage string
		kind  models.ErrorKind
		says  []string
	}{
		{"no such command", training("no-such-program", "--fast"), models.TrainWorkflow, models.KindTrainingFailed,
			[]string{"command not found", "no-such-program --fast"}},
		{"reports a data error", training("sh", "-c", "echo row 7 has no label >&2; exit 65"), models.TrainWorkflow, models.KindTrainingFailed,
			[]string{"data error", "row 7 has no label"}},
		{"wants more hosts than there are", func(s *models.LifecycleSpec) { s.Train.Resources.Nodes = 7 },
			models.TrainWorkflow, models.KindLeaseRefused, []string{"7 nodes × 1 device"}},
		{"wants a device that is not there", func(s *models.LifecycleSpec) { s.Train.Resources.UUIDs = []string{"GPU-of-somebody-else"} },
			models.TrainWorkflow, models.KindLeaseRefused, []string{"GPU-of-somebody-else"}},
		{"wants packages that are not there", wantsNoSuchPackage(t), models.TrainWorkflow, models.KindEnvironmentFailed,
			[]string{"no-such-package-anywhere"}},
		{"exits 1", training("sh", "-c", "echo the oven is cold >&2; exit 1"), models.TrainWorkflow, models.KindTrainingFailed,
			[]string{"exit status 1", "the oven is cold"}},
		{"writes no model", training("true"), models.TrainWorkflow, models.KindModelRejected,
			[]string{"left no model", "MAINSPRING_MODEL_DIR"}},
		{"writes a model of other inputs", training("sh", "-c", `mkdir -p "$MAINSPRING_MODEL_DIR" && cp -r "$0/." "$MAINSPRING_MODEL_DIR"`, otherInputs),
			models.TrainWorkflow, models.KindModelRejected, []string{"which the data does not have", "data.features"}},
		{"no rows in the window", func(s *models.LifecycleSpec) { s.Data.AsOf = s.Data.AsOf.AddDate(7, 0, 0) },
			models.PrepareDataWorkflow, models.KindNoRows, []string{"0 training rows", "covers 2013-01-01", "set data.as_of between"}},
		{"missing column", func(s *models.LifecycleSpec) { s.Data.Features = append(s.Data.Features, "wind_speed") },
			models.PrepareDataWorkflow, models.KindInvalidSpec, []string{"wind_speed"}},
	} {
		t.Run(mistake.name, func(t *testing.T) {
			t.Parallel()
			s := light(t)
			mistake.make(&s)
			began := time.Now()
			id := models.LifecycleID(s.Model.Name, strings.ReplaceAll(mistake.name, " ", "-"))
			output, err := l.command(ctx, "mainspring", "run", "-f", write(t, s), "--state-dir", l.StateDir(), "--id", id).CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "%s", output)
			require.Equal(t, 1, exit.ExitCode(), "%s", output)
			require.Contains(t, string(output), fmt.Sprintf("failed in %s (%s)", mistake.stage, mistake.kind))
			for _, words := range mistake.says {
				require.Contains(t, string(output), words)
			}
			t.Logf("ended in %s", took(began))
		})
	}
}

// wantsNoSuchPackage fails before a device is leased.
func wantsNoSuchPackage(t *testing.T) func(*models.LifecycleSpec) {
	requirements := filepath.Join(t.TempDir(), "requirements.txt")
	require.NoError(t, os.WriteFile(requirements, []byte("no-such-package-anywhere==1.0\n"), 0o644))
	return func(s *models.LifecycleSpec) {
		s.Train.Command = []string{"python", "-c", "raise SystemExit('it must not start')"}
		s.Train.Environment.Requirements.Path = requirements
	}
}

// light is a lifecycle whose training needs no Python and one device.
func light(t *testing.T) models.LifecycleSpec {
	s := flights(t)
	s.Model.Name = "light"
	s.Train.Environment = models.Environment{}
	s.Train.Code = models.Source{}
	s.Train.Params = nil
	s.Train.Resources = models.Resources{}
	s.Deploy = nil
	return s
}

// stockCLI needs Mainspring for nothing but the rendering.
func stockCLI(ctx context.Context, t *testing.T, l *laptop) {
	onlyServing(ctx, t, l)
	s := light(t)
	s.Train.Command = []string{"sleep", "600"}
	rendered := render(ctx, t, l, s)
	const id = "from-the-stock-cli"
	cli := func(args ...string) []byte {
		return l.output(ctx, t, l.Access().TemporalCLI, append([]string{"workflow"}, append(args, "--workflow-id", id)...)...)
	}
	cli("start", "--type", models.LifecycleWorkflow, "--task-queue", models.TaskQueue, "--input-file", rendered)
	eventually(t, patience, func() (bool, any) {
		answer := string(cli("query", "--type", models.StatusQuery))
		holders, err := l.leases(ctx)
		return strings.Contains(answer, `"stage":"train"`) && slices.Contains(holders, models.StageID(id, models.StageTrain)), []any{answer, holders, err}
	})
	cli("cancel")
	require.True(t, temporal.IsCanceledError(l.temporal.GetWorkflow(ctx, id, "").Get(ctx, nil)))
	onlyServing(ctx, t, l)
}

func render(ctx context.Context, t *testing.T, l *laptop, s models.LifecycleSpec) string {
	t.Helper()
	text := l.output(ctx, t, "mainspring", "render", "-f", write(t, s), "--state-dir", l.StateDir())
	path := filepath.Join(t.TempDir(), "spec.json")
	require.NoError(t, os.WriteFile(path, text, 0o644))
	return path
}

// startFromGo is another program's whole lifecycle, up to the registration.
func startFromGo(ctx context.Context, t *testing.T, l *laptop) {
	s := flights(t)
	s.Train.Resources.Nodes = 1
	s.Evaluate.Champion.Margin = 1 // whatever was learnt, it passes
	s.Deploy = nil
	began := time.Now()
	output := string(l.output(ctx, t, "start-from-go", "--id", "from-go", render(ctx, t, l, s)))
	require.Contains(t, output, "started from-go\n")
	require.Regexp(t, `flight-delay version "\d+": gate pass, promoted false`, output)
	t.Logf("ended in %s", took(began))
}
