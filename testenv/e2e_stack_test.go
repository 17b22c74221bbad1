package testenv_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"

	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	testLimit = 8 * time.Minute // of everything; a first run builds a Python environment
	// patience is for what should take seconds, on a machine that does other
	// work as well.
	patience = 90 * time.Second
	glance   = 100 * time.Millisecond

	devicesPerAgent = 2
)

// laptop is a whole stack of its own, with every process as a user has it.
type laptop struct {
	*devstack.Stack
	bin      string // directory of the programs that were built
	temporal client.Client
	mlflow   *mlflow.Client
}

// startLaptop ends everything with the test, and fails it when a process is left.
func startLaptop(ctx context.Context, t *testing.T) *laptop {
	t.Helper()
	l := &laptop{bin: t.TempDir()}
	began := time.Now()
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", l.bin+"/", "./cmd/mainspring", "./examples/start-from-go")
	build.Dir = ".."
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	t.Logf("built in %s", took(began))

	began = time.Now()
	tools, err := devstack.Setup(ctx, devstack.ReporterFunc(func(devstack.Progress) {}))
	require.NoError(t, err)
	program := filepath.Join(l.bin, "mainspring")
	l.Stack, err = devstack.Start(ctx, devstack.Config{
		StateDir: filepath.Join(t.TempDir(), "stack"), Tools: tools, OnlyFreePorts: true,
		Program: program, Watchdog: []string{program, "watchdog"}, Command: "go test",
	})
	require.NoError(t, err)
	t.Cleanup(func() { l.end(t) })
	require.NoError(t, l.Launch(ctx, devstack.LaptopPrograms(l.StateDir(), l.Access(), devicesPerAgent)...))

	access := l.Access()
	quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	l.temporal, err = client.DialContext(ctx, client.Options{HostPort: access.TemporalAddress, Namespace: access.TemporalNamespace, Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(l.temporal.Close)
	l.mlflow, err = mlflow.New(mlflow.Config{BaseURL: access.MLflow})
	require.NoError(t, err)
	t.Logf("stack up in %s", took(began))
	return l
}

// end keeps the logs of a failed test where they can be read.
func (l *laptop) end(t *testing.T) {
	l.Stop(context.Background())
	if left := l.processes(); len(left) > 0 {
		t.Errorf("processes outlived the stack: %v", left)
	}
	if kept := os.Getenv("MAINSPRING_TEST_KEEP_LOGS"); t.Failed() && kept != "" {
		if err := os.CopyFS(kept, os.DirFS(filepath.Join(l.StateDir(), "logs"))); err != nil {
			t.Log("logs not kept:", err)
		}
	}
}

// processes are the command lines of everything that carries the stack's
// mark, by process ID. A process that has ended and waits to be reaped has no
// environment any more, and does not count.
func (l *laptop) processes() map[int]string {
	mark := []byte("MAINSPRING_STACK_DIR=" + l.StateDir() + "\x00")
	found := map[int]string{}
	environments, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is valid
	for _, path := range environments {
		block, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append(block, 0), mark) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		line, gone := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if err == nil && gone == nil && len(line) > 0 {
			found[pid] = strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
		}
	}
	return found
}

// modelServers are the process IDs of `mainspring serve`.
func (l *laptop) modelServers() []int {
	all := l.processes()
	maps.DeleteFunc(all, func(_ int, line string) bool {
		return !strings.HasPrefix(line, filepath.Join(l.bin, "mainspring")+" serve ")
	})
	return slices.Sorted(maps.Keys(all))
}

// running are those of the process IDs that still belong to the stack.
func (l *laptop) running(pids []int) []int {
	all := l.processes()
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { _, there := all[pid]; return !there })
}

// command runs a program as a user of this stack would, who stands in the
// repository's root.
func (l *laptop) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if !filepath.IsAbs(name) {
		name = filepath.Join(l.bin, name)
	}
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = "..", l.Env()
	return command
}

// output is what a command prints on its standard output; it must succeed.
func (l *laptop) output(ctx context.Context, t *testing.T, name string, args ...string) []byte {
	t.Helper()
	command := l.command(ctx, name, args...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	require.NoError(t, err, "%s: %s%s", command, out, complaint.Bytes())
	return out
}

// flights is the example's spec, cut down to three weeks and a small model.
func flights(t *testing.T) models.LifecycleSpec {
	t.Helper()
	document, err := spec.Read("../examples/flights/lifecycle.yaml")
	require.NoError(t, err)
	root, err := filepath.Abs("../examples/flights")
	require.NoError(t, err)
	s := document.Spec
	s.Data.Source = filepath.Join(root, "data")
	s.Data.AsOf = time.Date(2013, 1, 25, 0, 0, 0, 0, time.UTC)
	s.Data.Window, s.Data.Holdout = 24*models.Day, 7*models.Day
	s.Train.Code.Path = root
	s.Train.Environment.Requirements.Path = filepath.Join(root, "requirements.txt")
	s.Train.Params = map[string]any{"rounds": 10, "max_depth": 3, "folds": 0, "checkpoint_every": 5, "report_every": 1}
	s.Evaluate.Limits = nil
	s.Deploy.Replicas = 1
	s.Monitor = nil
	return s
}

// write puts a spec into a file; JSON is YAML.
func write(t *testing.T, s models.LifecycleSpec) string {
	t.Helper()
	text, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "lifecycle.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o644))
	return path
}

// start starts a lifecycle as `mainspring run` does and returns its ID.
func (l *laptop) start(ctx context.Context, t *testing.T, s models.LifecycleSpec) string {
	t.Helper()
	id := models.LifecycleID(s.Model.Name, strings.ToLower(filepath.Base(t.Name())))
	out := l.output(ctx, t, "mainspring", "run", "-f", write(t, s), "--state-dir", l.StateDir(), "--id", id, "--no-follow")
	require.Equal(t, id, strings.TrimSpace(string(out)))
	return id
}

// query fills the status of a workflow.
func (l *laptop) query(ctx context.Context, workflowID string, status any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := l.temporal.QueryWorkflow(ctx, workflowID, "", models.StatusQuery)
	if err != nil {
		return err
	}
	return answer.Get(status)
}

// ranks are the heartbeats of a training's hosts, in order of the activities'
// IDs, which is that of the hosts.
func (l *laptop) ranks(ctx context.Context, lifecycle string) ([]models.RankProgress, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	description, err := l.temporal.DescribeWorkflowExecution(ctx, models.StageID(lifecycle, models.StageTrain), "")
	if err != nil {
		return nil, err
	}
	pending := description.GetPendingActivities()
	hosts := map[string]models.RankProgress{}
	for _, activity := range pending {
		var progress models.RankProgress
		details := activity.GetHeartbeatDetails()
		if activity.GetActivityType().GetName() != "RunRanks" || details == nil {
			continue
		}
		if err := converter.GetDefaultDataConverter().FromPayloads(details, &progress); err != nil {
			return nil, err
		}
		hosts[activity.GetActivityId()] = progress
	}
	found := make([]models.RankProgress, 0, len(hosts))
	for _, id := range slices.Sorted(maps.Keys(hosts)) {
		found = append(found, hosts[id])
	}
	return found, nil
}

// training waits until n hosts run ranks that are as wanted, and returns them
// with the ranks' process IDs.
func (l *laptop) training(ctx context.Context, t *testing.T, lifecycle string, n int, wanted func([]models.RankProgress) bool) ([]models.RankProgress, []int) {
	t.Helper()
	var found []models.RankProgress
	var pids []int
	eventually(t, patience, func() (ok bool, seen any) {
		var err error
		if found, err = l.ranks(ctx, lifecycle); err != nil || len(found) != n {
			return false, []any{found, err}
		}
		pids = nil
		for _, host := range found {
			pids = append(pids, host.PIDs...)
		}
		return len(pids) == n && wanted(found), found
	})
	return found, pids
}

// leases are the holders of the pool's leases.
func (l *laptop) leases(ctx context.Context) (holders []string, err error) {
	var pool models.PoolStatus
	err = l.query(ctx, models.PoolID(models.DefaultPool), &pool)
	for _, lease := range pool.Leases {
		holders = append(holders, lease.Holder)
	}
	return holders, err
}

// eventually asks again until ok, and fails with what was seen last.
func eventually(t *testing.T, limit time.Duration, ask func() (ok bool, seen any)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		ok, seen := ask()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			require.FailNow(t, "not within "+limit.String(), "last seen: %+v", seen)
		}
		time.Sleep(glance)
	}
}

func took(began time.Time) time.Duration { return time.Since(began).Round(100 * time.Millisecond) }
