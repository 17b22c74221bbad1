package serving

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHasONNX(t *testing.T) {
	for text, want := range map[string]bool{
		"flavors:\n  onnx:\n    data: m.onnx\n": true,
		"flavors:\n  onnx: {}\n":                false,
		"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    env: {conda: conda.yaml}\n": false,
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "MLmodel"), []byte(text), 0o600))
		found, err := HasONNX(dir)
		require.NoError(t, err)
		require.Equal(t, want, found, text)
	}
	_, err := HasONNX(t.TempDir())
	require.ErrorContains(t, err, "no MLmodel file")
}
