package registry

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// TestMain makes the test binary play the worker, the watchdog and `mainspring
// status`.
func TestMain(m *testing.M) { namespace.Main(m.Run, Play) }

// How many seeds, and how many lifecycles at once.
const (
	seedsVariable = "MAINSPRING_REGISTRY_SEEDS"
	crowdVariable = "MAINSPRING_REGISTRY_CROWD"
)

func numberOf(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, variable)
	return n
}

func TestOnARealStack(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("SKIPPED: the proof of the registry starts a stack of its own; `make test` runs it, " +
			"or `go run ./testenv/withstack -- go test ./testenv/registry`")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	self, err := os.Executable()
	require.NoError(t, err)
	s, err := Start(ctx, Config{Dir: t.TempDir(), Self: []string{self}, Command: "go test", Log: t.Logf})
	require.NoError(t, err)
	t.Cleanup(func() { keepLogs(t, s) })
	t.Run("Trips", func(t *testing.T) { // alone: a call that is repeated counts twice
		figures := s.Trips(ctx)
		t.Logf("%+v", figures)
		require.NoError(t, figures.Check())
	})
	// The others at once, whatever -parallel says: they wait most of the time.
	var seeds SeedsFigures
	var crowd CrowdFigures
	var stories []StoryFigures
	var all errgroup.Group
	all.Go(func() (err error) {
		seeds, err = s.Seeds(ctx, SeedsConfig{Seeds: numberOf(t, seedsVariable, 12), Strikes: 2, Slots: 4})
		return err
	})
	all.Go(func() error { crowd = s.Crowd(ctx, numberOf(t, crowdVariable, 32)); return nil })
	all.Go(func() error { stories = s.Stories(ctx, 20*time.Second); return nil })
	err = all.Wait()
	t.Run("Seeds", func(t *testing.T) {
		require.NoError(t, err)
		t.Logf("%d strikes among %d calls in %.0f s", seeds.Strikes, seeds.Calls, seeds.Took)
		require.NoError(t, seeds.Check(false))
	})
	t.Run("Crowd", func(t *testing.T) {
		t.Logf("%+v", crowd)
		require.NoError(t, crowd.Check())
	})
	for _, story := range stories {
		t.Run(story.Story, func(t *testing.T) {
			t.Logf("%.0f s: %s", story.Took, story.Ended)
			require.NoError(t, story.Check())
		})
	}
}

// keepLogs ends the stack, and keeps the logs of a failed test where they can be
// read.
func keepLogs(t *testing.T, s *Stack) {
	s.End()
	if kept := os.Getenv("MAINSPRING_TEST_KEEP_LOGS"); t.Failed() && kept != "" {
		if err := os.CopyFS(filepath.Join(kept, "registry"), os.DirFS(filepath.Join(s.StateDir(), "logs"))); err != nil {
			t.Log("logs not kept:", err)
		}
	}
}
