package demo

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func TestForgetRemovesAStacksOwnFilesOnly(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"temporal.db", "mlflow.db", "report.json", "notes.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	for _, part := range []string{"s3/mainspring", "gateway/topic-flights"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.FromSlash(part)), 0o700))
	}
	require.NoError(t, forget(dir))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "notes.txt", left[0].Name())
	require.NoError(t, forget(filepath.Join(dir, "never was")))
}

func TestDataLiesBesideTheSpecOrWhereItsPathSays(t *testing.T) {
	s := models.LifecycleSpec{Deploy: &models.DeploySpec{}, Monitor: &models.MonitorSpec{}}
	s.Data.AsOf = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	absolute := filepath.Join(t.TempDir(), "rows")
	for source, want := range map[string]string{"rows": filepath.Join("specs", "rows"), absolute: absolute} {
		s.Data.Source = source
		dir, err := localData(filepath.Join("specs", "lifecycle.yaml"), s)
		require.NoError(t, err)
		require.Equal(t, want, dir)
	}
	s.Data.Source = "s3://rows/2026"
	_, err := localData("lifecycle.yaml", s)
	require.ErrorContains(t, err, "name a local directory")
}
