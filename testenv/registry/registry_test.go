package registry

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary play the worker, the watchdog and `mainspring
// status`.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	played, err := Play(ctx, os.Args[1:])
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case played:
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// seedsVariable sets the number of seeds.
const seedsVariable = "MAINSPRING_REGISTRY_SEEDS"

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
	defer cancel()
	self, err := os.Executable()
	require.NoError(t, err)
	s, err := Start(ctx, Config{Dir: t.TempDir(), Self: []string{self}, Command: "go test", Log: t.Logf})
	require.NoError(t, err)
	t.Cleanup(s.End)
	t.Run("Seeds", func(t *testing.T) {
		figures, err := s.Seeds(ctx, SeedsConfig{Seeds: numberOf(t, seedsVariable, 12), Strikes: 2, Slots: 4})
		require.NoError(t, err)
		t.Logf("%+v", figures)
		require.NoError(t, figures.Check(false))
	})
	t.Run("Trips", func(t *testing.T) {
		figures := s.Trips(ctx)
		t.Logf("%+v", figures)
		require.NoError(t, figures.Check())
	})
	t.Run("Crowd", func(t *testing.T) {
		figures := s.Crowd(ctx, 32)
		t.Logf("%+v", figures)
		require.Empty(t, figures.Error)
	})
	t.Run("Stories", func(t *testing.T) {
		for _, figures := range s.Stories(ctx, 20*time.Second, 6) {
			t.Logf("%+v", figures)
			assert.Empty(t, figures.Error, figures.Story)
		}
	})
}
