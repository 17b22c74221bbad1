package testenv_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/faulty"
	stack "github.com/mainspring-ml/mainspring/testenv/laptop"
	"github.com/mainspring-ml/mainspring/testenv/rollouts"
)

const (
	rolloutLimit = 20 * time.Minute // of everything
	// outcomesVariable names the file that gets the outcomes, for the
	// documentation; empty: none.
	outcomesVariable = "MAINSPRING_TEST_OUTCOMES"
)

// TestRollouts releases versions that misbehave in known ways, on a stack of its
// own with two gateways.
func TestRollouts(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("SKIPPED: the rollouts need a whole stack; `make test` runs them, " +
			"or `go run ./testenv/withstack -- go test -run TestRollouts ./testenv`")
	}
	ctx, cancel := context.WithTimeout(t.Context(), rolloutLimit)
	defer cancel()
	l := startLaptopWith(ctx, t, stack.Config{Gateways: 2, Devices: 16, Programs: []string{rollouts.Program}})
	bench, err := rollouts.New(l.Laptop, t.TempDir(), t.Logf)
	require.NoError(t, err)
	outcomes := &outcomes{}
	t.Run("Canary", func(t *testing.T) {
		scenarios := rollouts.Scenarios()
		running := make([]*rollouts.Running, len(scenarios))
		for i, s := range scenarios {
			running[i] = bench.Begin(ctx, s) // all at once: they wait for evidence most of the time
		}
		t.Run("orders", func(t *testing.T) { orders(ctx, t, l, bench) })
		for i, s := range scenarios {
			t.Run(s.Name, func(t *testing.T) {
				outcome, err := running[i].Outcome()
				require.NoError(t, err)
				outcomes.add(outcome)
				t.Logf("%s: %s after %.1f s: %s", s.Did, outcome.Verdict, outcome.Seconds, outcome.Reason)
				t.Logf("exposed %.2f %% of the requests (callers saw %.2f %%): %s", 100*outcome.Exposed.Share, 100*outcome.Seen, outcome.Traffic)
				require.NoError(t, outcome.Check(s))
			})
		}
	})
	t.Run("ForeignClient", func(t *testing.T) { foreignClient(ctx, t, l) })
	// Last: it kills what the others need.
	t.Run("SurvivesKills", func(t *testing.T) {
		killed, err := bench.KillUnderCanary(ctx)
		require.NoError(t, err)
		outcomes.add(killed)
		t.Logf("%s after %.1f s: %s; %s", killed.Verdict, killed.Seconds, killed.Reason, killed.Traffic)
		for _, kill := range killed.Kills {
			t.Logf("%+v", kill)
		}
		require.NoError(t, killed.Check())
	})
	outcomes.write(t)
}

// outcomes are collected from tests that run at once.
type outcomes struct {
	mu  sync.Mutex
	all []any
}

func (o *outcomes) add(outcome any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, outcome)
}

func (o *outcomes) write(t *testing.T) {
	path := os.Getenv(outcomesVariable)
	if path == "" {
		return
	}
	text, err := json.MarshalIndent(o.all, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Clean(path), append(text, '\n'), 0o644))
}

// orders steers rollouts that have no traffic, so that only people decide.
func orders(ctx context.Context, t *testing.T, l *laptop, bench *rollouts.Bench) {
	const endpoint = "canary-ordered"
	canary := models.CanarySpec{Steps: []float64{20, 50}, Block: models.Duration(time.Second),
		Poll: models.Duration(time.Second), StepDeadline: models.Duration(time.Minute)}
	release := func(key string) rollouts.Release {
		return rollouts.Release{Endpoint: endpoint, Key: key, Behaviour: faulty.Behaviour{}, Canary: canary}
	}
	first, err := bench.Promote(ctx, release("champion"))
	require.NoError(t, err)

	promoted := release("promoted")
	require.NoError(t, bench.Submit(ctx, promoted))
	second, err := bench.AwaitStep(ctx, promoted)
	require.NoError(t, err)
	order(ctx, t, l, "pause", endpoint)
	paused, err := bench.AwaitStatus(ctx, endpoint, second, func(s models.RolloutStatus) bool { return s.Paused })
	require.NoError(t, err)
	time.Sleep(time.Until(paused.Steps[0].StartedAt.Add(canary.StepDeadline.Std() + 3*time.Second)))
	still, err := bench.AwaitStatus(ctx, endpoint, second, func(models.RolloutStatus) bool { return true })
	require.NoError(t, err, "a pause holds the deadline")
	require.True(t, still.Paused)
	require.Len(t, still.Steps, 1, "and the weight")
	order(ctx, t, l, "resume", endpoint)
	_, err = bench.AwaitStatus(ctx, endpoint, second, func(s models.RolloutStatus) bool { return !s.Paused })
	require.NoError(t, err)
	order(ctx, t, l, "promote", endpoint)
	result, err := bench.Await(ctx, promoted)
	require.NoError(t, err)
	require.True(t, result.Promoted, result.Reason)
	decided(ctx, t, l, endpoint, second, models.VerdictPass, "pause", "resume", "promote")
	champion(ctx, t, l, endpoint, second)

	aborted := release("aborted")
	aborted.Canary.StepDeadline = models.Duration(rolloutLimit)
	require.NoError(t, bench.Submit(ctx, aborted))
	third, err := bench.AwaitStep(ctx, aborted)
	require.NoError(t, err)
	order(ctx, t, l, "abort", endpoint)
	result, err = bench.Await(ctx, aborted)
	require.NoError(t, err)
	require.False(t, result.Promoted)
	require.Contains(t, result.Reason, "ada")
	decided(ctx, t, l, endpoint, third, models.VerdictFail, "abort")
	champion(ctx, t, l, endpoint, second)
	require.NotEqual(t, first, second)

	// Of a rollout that is over, nobody can order anything.
	out, err := l.command(ctx, "mainspring", "rollout", "promote", endpoint, "--by", "ada", "--reason", "too late", "--state-dir", l.StateDir()).CombinedOutput()
	require.Error(t, err, "%s", out)
}

func order(ctx context.Context, t *testing.T, l *laptop, action, endpoint string) {
	t.Helper()
	out := l.output(ctx, t, "mainspring", "rollout", action, endpoint, "--by", "ada", "--reason", "because of the test", "--state-dir", l.StateDir())
	require.Contains(t, string(out), endpoint)
}

// decided wants the rollout to say who decided, and what was ordered before.
func decided(ctx context.Context, t *testing.T, l *laptop, model, version string, verdict models.Verdict, actions ...string) {
	t.Helper()
	var result models.RolloutResult
	require.NoError(t, l.temporal.GetWorkflow(ctx, models.RolloutID(model, version), "").Get(ctx, &result))
	require.Equal(t, verdict, result.Verdict, result.Reason)
	require.Equal(t, "ada", result.By)
	var ordered []string
	for _, o := range result.Orders {
		require.Equal(t, "ada", o.By)
		require.Equal(t, "because of the test", o.Reason)
		require.NotZero(t, o.At)
		ordered = append(ordered, string(o.Action))
	}
	require.Equal(t, actions, ordered)
}

func champion(ctx context.Context, t *testing.T, l *laptop, model, version string) {
	t.Helper()
	found, err := l.mlflow.VersionByAlias(ctx, model, models.AliasChampion)
	require.NoError(t, err)
	require.Equal(t, version, found.Version)
}
