package testenv_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
	stack "github.com/mainspring-ml/mainspring/testenv/laptop"
)

const (
	testLimit = 16 * time.Minute // of everything; a first run builds a Python environment
	patience  = stack.Patience
)

// laptop is a stack whose every complaint fails the test.
type laptop struct {
	*stack.Laptop
	temporal client.Client
	mlflow   *mlflow.Client
}

// startLaptop ends everything with the test, and fails it when a process is left.
func startLaptop(ctx context.Context, t *testing.T) *laptop {
	t.Helper()
	return startLaptopWith(ctx, t, stack.Config{})
}

func startLaptopWith(ctx context.Context, t *testing.T, config stack.Config) *laptop {
	t.Helper()
	config.Root, config.Dir, config.Command, config.Log = "..", t.TempDir(), "go test", t.Logf
	started, err := stack.Start(ctx, config)
	require.NoError(t, err)
	l := &laptop{Laptop: started, temporal: started.Temporal, mlflow: started.MLflow}
	t.Cleanup(func() { l.end(t) })
	return l
}

// end keeps the logs of a failed test where they can be read.
func (l *laptop) end(t *testing.T) {
	if err := l.End(); err != nil {
		t.Error(err)
	}
	if kept := os.Getenv("MAINSPRING_TEST_KEEP_LOGS"); t.Failed() && kept != "" {
		if err := os.CopyFS(kept, os.DirFS(filepath.Join(l.StateDir(), "logs"))); err != nil {
			t.Log("logs not kept:", err)
		}
	}
}

func (l *laptop) modelServers() []int { return l.ModelServers() }

func (l *laptop) running(pids []int) []int { return l.Running(pids) }

func (l *laptop) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return l.Exec(ctx, name, args...)
}

func (l *laptop) output(ctx context.Context, t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := l.Output(ctx, name, args...)
	require.NoError(t, err)
	return out
}

func flights(t *testing.T) models.LifecycleSpec {
	t.Helper()
	s, err := stack.Flights("..")
	require.NoError(t, err)
	return s
}

func write(t *testing.T, s models.LifecycleSpec) string {
	t.Helper()
	path, err := stack.Write(t.TempDir(), s)
	require.NoError(t, err)
	return path
}

// start starts a lifecycle as `mainspring run` does and returns its ID.
func (l *laptop) start(ctx context.Context, t *testing.T, s models.LifecycleSpec) string {
	t.Helper()
	id := models.LifecycleID(s.Model.Name, strings.ToLower(filepath.Base(t.Name())))
	require.NoError(t, l.Submit(ctx, t.TempDir(), id, s))
	return id
}

func (l *laptop) query(ctx context.Context, workflowID string, status any) error {
	return l.Query(ctx, workflowID, status)
}

func (l *laptop) training(ctx context.Context, t *testing.T, lifecycle string, n int, wanted func([]models.RankProgress) bool) ([]models.RankProgress, []int) {
	t.Helper()
	found, pids, err := l.Training(ctx, lifecycle, n, wanted)
	require.NoError(t, err)
	return found, pids
}

func (l *laptop) leases(ctx context.Context) (holders []string, err error) { return l.Leases(ctx) }

func eventually(t *testing.T, limit time.Duration, ask func() (ok bool, seen any)) {
	t.Helper()
	require.NoError(t, stack.Eventually(limit, ask))
}

func took(began time.Time) time.Duration { return stack.Took(began) }
