package devstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writes is a build that leaves one file.
func writes(name string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		_, err := writeFile(dir, name, "x")
		return err
	}
}

func entriesOf(t *testing.T, c cache) []string {
	t.Helper()
	entries, err := os.ReadDir(c.root)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".lock") {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestEntryIsBuiltOnceByConcurrentSetups(t *testing.T) {
	c := cache{root: t.TempDir()}
	var builds, waits atomic.Int32
	building := make(chan struct{})
	in := installation{
		entry: "thing-1", file: "thing", waiting: func() { waits.Add(1) },
		build: func(ctx context.Context, dir string) error {
			if builds.Add(1) == 1 {
				close(building)
			}
			time.Sleep(50 * time.Millisecond)
			return writes("thing")(ctx, dir)
		},
	}
	var group sync.WaitGroup
	errs := make([]error, 4)
	group.Go(func() { errs[0] = c.install(t.Context(), in) })
	<-building
	for i := 1; i < len(errs); i++ {
		group.Go(func() { errs[i] = c.install(t.Context(), in) })
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, 1, builds.Load())
	require.EqualValues(t, 3, waits.Load())
	require.Equal(t, []string{"thing-1"}, entriesOf(t, c))
}

func TestFailedOrInterruptedBuildLeavesNothing(t *testing.T) {
	c := cache{root: t.TempDir()}
	cause := errors.New("no luck")
	in := installation{entry: "thing-1", file: "thing", waiting: func() {}}

	in.build = func(ctx context.Context, dir string) error {
		return errors.Join(writes("thing")(ctx, dir), cause)
	}
	require.ErrorIs(t, c.install(t.Context(), in), cause)
	in.build = writes("something else")
	require.ErrorContains(t, c.install(t.Context(), in), "has no thing")
	require.Empty(t, entriesOf(t, c))

	// What a killed set-up left is removed by the next.
	require.NoError(t, os.MkdirAll(filepath.Join(c.root, "thing-1.tmp-123", "half"), 0o755))
	in.build = writes("thing")
	require.NoError(t, c.install(t.Context(), in))
	require.Equal(t, []string{"thing-1"}, entriesOf(t, c))
}

func TestInterruptEndsTheCommandAndItsChildren(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pidFile := filepath.Join(t.TempDir(), "pid")
	done := make(chan error, 1)
	go func() {
		_, err := command{argv: []string{"sh", "-c", "sleep 60 & echo $! > " + pidFile + ".part; mv " + pidFile + ".part " + pidFile + "; wait"}}.run(ctx)
		done <- err
	}()
	eventually(t, "the command runs", func() bool { _, err := os.Stat(pidFile); return err == nil })
	text, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	eventually(t, "its child has ended", func() bool {
		_, err := os.Stat("/proc/" + strings.TrimSpace(string(text)))
		return err != nil
	})
}

func TestFailedCommandShowsTheEndOfItsOutput(t *testing.T) {
	_, err := command{argv: []string{"sh", "-c", "seq 100 >&2; echo no such wheel >&2; exit 4"}}.run(t.Context())
	require.ErrorContains(t, err, "exit status 4")
	require.ErrorContains(t, err, "100\nno such wheel")
	require.NotContains(t, err.Error(), "\n50\n")
}

func TestFullDiskIsRecognised(t *testing.T) {
	_, err := command{argv: []string{"sh", "-c", "echo 'error: No space left on device (os error 28)' >&2; exit 1"}}.run(t.Context())
	require.ErrorIs(t, describe("install MLflow", "/cache", err), ErrDiskFull)
	require.ErrorIs(t, describe("install MLflow", "/cache", syscall.ENOSPC), ErrDiskFull)
	require.NotErrorIs(t, describe("install MLflow", "/cache", errors.New("other")), ErrDiskFull)

	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	err = requireSpace("install", dir, 1<<40, "free some space")
	require.ErrorIs(t, err, ErrDiskFull)
	require.ErrorContains(t, err, "free some space")
	require.NoError(t, requireSpace("install", dir, 0, ""))
}

func TestSetupInstallsWhatIsMissingInOrder(t *testing.T) {
	c := cache{root: t.TempDir()}
	var mu sync.Mutex
	var built []string
	builds := func(name string) func(context.Context, string) error {
		return func(ctx context.Context, dir string) error {
			mu.Lock()
			defer mu.Unlock()
			built = append(built, name)
			return writes("f")(ctx, dir)
		}
	}
	items := []item{
		{name: "a", title: "A", version: "1", entry: "a-1", file: "f", build: builds("a"), needs: []string{"b"}},
		{name: "b", title: "B", version: "2", entry: "b-2", file: "f", build: builds("b")},
	}
	var reports []string
	reporter := ReporterFunc(func(p Progress) { reports = append(reports, p.Title+" "+string(p.State)) })

	require.NoError(t, newSetup(c, items, reporter).run(t.Context()))
	require.Equal(t, []string{"b", "a"}, built)
	require.Equal(t, []string{"B 2 installing", "B 2 done", "A 1 installing", "A 1 done"}, reports)

	reports = nil
	require.NoError(t, newSetup(c, items, reporter).run(t.Context()))
	require.Len(t, built, 2)
	require.Equal(t, []string{"A 1 cached", "B 2 cached"}, reports)
}

func TestFailedItemStopsTheOthers(t *testing.T) {
	c := cache{root: t.TempDir()}
	items := []item{
		{name: "a", title: "A", entry: "a", file: "f", build: func(context.Context, string) error { return errors.New("broken") }},
		{name: "b", title: "B", entry: "b", file: "f", needs: []string{"a"}, build: writes("f")},
	}
	var failed []Progress
	err := newSetup(c, items, ReporterFunc(func(p Progress) {
		if p.State == Failed {
			failed = append(failed, p)
		}
	})).run(t.Context())
	require.ErrorContains(t, err, "install A")
	require.ErrorContains(t, err, "broken")
	require.Len(t, failed, 1)
	require.Equal(t, "a", failed[0].Item)
	require.Empty(t, entriesOf(t, c))
}
