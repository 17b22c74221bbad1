package preparation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// TestMain makes the test binary play the workers.
func TestMain(m *testing.M) { namespace.Main(m.Run, Play) }

const partitions = 10

// open opens a slot and ends it with the test.
func open(t *testing.T, config Config) *Slot {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	config.Self, config.Dir = []string{self}, filepath.Join(t.TempDir(), "journal")
	config.Name = fmt.Sprintf("prepare-%s-%d", config.Name, os.Getpid())
	require.NoError(t, os.MkdirAll(config.Dir, 0o700))
	s, err := Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Close()
		if logs, err := s.Logs(); t.Failed() {
			t.Log(logs[max(0, len(logs)-4000):], err)
		}
	})
	return s
}

func prepared(t *testing.T, s *Slot, id string, spec models.DataSpec) Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	o, err := s.Prepare(ctx, id, spec)
	require.NoError(t, err)
	return o
}

func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, WriteRides(dir, partitions))
	return dir
}

// TestOnARealStack compares all that happens to a preparation with one that
// nothing happens to.
func TestOnARealStack(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("SKIPPED: needs real servers; `make test` runs it, or `go run ./testenv/withstack -- go test ./testenv/preparation`")
	}
	undisturbed := prepared(t, open(t, Config{Name: "calm", Workers: 1}), "calm", Spec(source(t)))
	require.NoError(t, undisturbed.Err)
	want := undisturbed.Snapshot.SHA256()
	require.EqualValues(t, partitions*200, undisturbed.Snapshot.Train.Rows+undisturbed.Snapshot.Test.Rows)

	t.Run("ten workers take ten partitions", func(t *testing.T) {
		t.Parallel()
		o := prepared(t, open(t, Config{Name: "crowd", Workers: 10, Slow: 2 * time.Second}), "crowd", Spec(source(t)))
		require.NoError(t, o.Err)
		require.Equal(t, want, o.Snapshot.SHA256())
		require.Len(t, o.By, 10, "workers that have prepared a partition: %v", o.By)
	})
	for _, moment := range []namespace.Moment{namespace.AtStart, namespace.AtEnd} {
		t.Run("workers die at every "+string(moment), func(t *testing.T) {
			t.Parallel()
			dir := source(t)
			spec := Spec(dir)
			s := open(t, Config{Name: string(moment), Workers: 2, Deaths: moment, Spoil: dir})
			o := prepared(t, s, "mortal", spec)
			require.NoError(t, o.Err)
			require.Equal(t, want, o.Snapshot.SHA256())
			deaths, err := s.Deaths()
			require.NoError(t, err)
			deaths = slices.DeleteFunc(deaths, func(death string) bool { return strings.HasPrefix(death, "EmitLineage ") }) // not waited for
			require.Len(t, deaths, partitions+3, "one for each activity: %v", deaths)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left, "a partition was not prepared")
			reused := 0
			for _, task := range o.Tasks {
				reused += task.Reused
			}
			if moment == namespace.AtEnd {
				require.Equal(t, partitions, reused, "each task is carried out again, and finds what it has done")
			}
		})
	}
	t.Run("what is known is not read again", func(t *testing.T) { t.Parallel(); knownIsNotRead(t, want) })
	t.Run("a failing check shows no sensitive value", func(t *testing.T) { t.Parallel(); failureShowsNothing(t) })
}

func knownIsNotRead(t *testing.T, want string) {
	dir := source(t)
	spec := Spec(dir)
	s := open(t, Config{Name: "again", Workers: 1})
	first := prepared(t, s, "first", spec)
	require.NoError(t, first.Err)
	require.Equal(t, want, first.Snapshot.SHA256())
	require.False(t, first.Snapshot.Reused)

	second := prepared(t, s, "second", spec)
	require.NoError(t, second.Err)
	require.Equal(t, want, second.Snapshot.SHA256())
	require.True(t, second.Snapshot.Unread)
	require.Empty(t, second.Tasks)
	require.Contains(t, second.Page, "nothing was read")

	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(4)), []byte(rides(4, "corrected")), 0o600))
	third := prepared(t, s, "third", spec)
	require.NoError(t, third.Err)
	require.NotEqual(t, want, third.Snapshot.SHA256())
	require.Len(t, third.Tasks, partitions)
	reused := 0
	for _, task := range third.Tasks {
		reused += task.Reused
	}
	require.Equal(t, partitions-1, reused)

	// The old bytes under a new time: all rows are what they were.
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(4)), []byte(rides(4, "")), 0o600))
	fourth := prepared(t, s, "fourth", spec)
	require.NoError(t, fourth.Err)
	require.Equal(t, want, fourth.Snapshot.SHA256())
	require.True(t, fourth.Snapshot.Reused)
	require.False(t, fourth.Snapshot.Unread)
	require.Contains(t, fourth.Page, "the rows were read and are unchanged")
}

func failureShowsNothing(t *testing.T) {
	s := open(t, Config{Name: "secret", Workers: 1})
	allowed := Spec(source(t))
	allowed.Checks.Allowed = map[string][]string{"ssn": {"000-00-0000"}}
	numbers := Spec(source(t))
	numbers.Columns["ssn"] = models.ColumnSpec{Type: "int64", Sensitive: models.SensitiveKeep}
	for id, spec := range map[string]models.DataSpec{"allowed": allowed, "numbers": numbers} {
		o := prepared(t, s, id, spec)
		var failed *temporal.ApplicationError
		require.True(t, errors.As(o.Err, &failed), "%v", o.Err)
		require.Equal(t, string(models.KindDataCheckFailed), failed.Type(), "%v", o.Err)
		require.Contains(t, o.Err.Error(), `"ssn"`)
		require.Contains(t, o.Page, `"ssn"`)
		require.NotContains(t, o.Page, Secret)
		for _, event := range o.History {
			raw, err := proto.Marshal(event)
			require.NoError(t, err)
			require.False(t, bytes.Contains(raw, []byte(Secret)), "event %d, %s", event.GetEventId(), event.GetEventType())
		}
	}
	logs, err := s.Logs()
	require.NoError(t, err)
	require.NotContains(t, logs, Secret)
	require.Contains(t, logs, "WriteSnapshot", "nobody has looked into the right log")
	objects, err := s.Store.List(t.Context(), "")
	require.NoError(t, err)
	looked := 0
	for _, object := range objects {
		content, _, err := artifact.GetBytes(t.Context(), s.Store, object.Key, 1<<30)
		require.NoError(t, err)
		if strings.HasPrefix(object.Key, dataset.ObjectKey("")) && bytes.HasPrefix(content, []byte("PAR1")) {
			continue // the rows themselves: the column is to be kept
		}
		looked++
		require.False(t, bytes.Contains(content, []byte(Secret)), object.Key)
	}
	require.Greater(t, looked, 2*partitions)
}
