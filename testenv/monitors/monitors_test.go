package monitors

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// TestMain makes the test binary play the worker and the watchdog.
func TestMain(m *testing.M) { namespace.Main(m.Run, Play) }

func TestOnARealStack(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("SKIPPED: the proof of the monitors starts a stack of its own; `make test` runs it, " +
			"or `go run ./testenv/withstack -- go test ./testenv/monitors`")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	self, err := os.Executable()
	require.NoError(t, err)
	s, err := Start(ctx, Config{Dir: t.TempDir(), Self: []string{self}, Command: "go test", Log: t.Logf})
	require.NoError(t, err)
	t.Cleanup(func() { keepLogs(t, s) })
	outcomes, err := s.Prove(ctx, Decay("decay"))
	for _, o := range outcomes {
		t.Logf("%-20s %5.1f s, %d runs, %v, %d deaths, %d requests", o.Name, o.Took.Seconds(), o.Account.Runs, o.Account.Steps, len(o.Account.Deaths), len(o.Account.Requests))
	}
	require.NoError(t, err)
	require.Equal(t, 1, outcomes[0].Account.Runs, "the undisturbed one must not be cut")
	for _, o := range outcomes[1:] {
		t.Run(o.Name, func(t *testing.T) { require.NoError(t, o.Check()) })
	}
}

// keepLogs ends the stack, and keeps the logs of a failed test where they can be
// read.
func keepLogs(t *testing.T, s *Stack) {
	s.End()
	if kept := os.Getenv("MAINSPRING_TEST_KEEP_LOGS"); t.Failed() && kept != "" {
		if err := os.CopyFS(filepath.Join(kept, "monitors"), os.DirFS(filepath.Join(s.StateDir(), "logs"))); err != nil {
			t.Log("logs not kept:", err)
		}
	}
}
