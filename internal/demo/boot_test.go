package demo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
