package testenv_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/internal/spec"
)

// The training examples bring tests of their own: two ranks against one, kill
// and resume, parity of the exported model, bad input. Here they run in the
// environment that an agent would build.

func TestFlightsExample(t *testing.T) {
	runExample(t, "../examples/flights", pyenv.Request{})
}

func TestFlightsTorchExample(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.CommandContext(t.Context(), python, "-c", "import torch").Run(); err != nil {
		t.Skipf("%s has no torch; on Debian: apt install --no-install-recommends python3-torch", python)
	}
	runExample(t, "../examples/flights-torch", pyenv.Request{Python: python, SystemSite: true})
}

func runExample(t *testing.T, dir string, request pyenv.Request) {
	t.Helper()
	uv, cache := os.Getenv("MAINSPRING_UV"), os.Getenv("MAINSPRING_CACHE")
	if testing.Short() || uv == "" {
		t.Skip("needs the servers' environment: run it through `make test`")
	}
	if cache == "" {
		user, err := os.UserCacheDir()
		require.NoError(t, err)
		cache = filepath.Join(user, "mainspring")
	}
	request.Requirements = filepath.Join(dir, "requirements.txt")
	environment, err := pyenv.Builder{Cache: cache, UV: uv}.Build(t.Context(), request)
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), environment.Python, "-m", "unittest", "test_train")
	command.Dir = dir
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "Ran 0 tests")
}

// Every example's spec is one that the engine takes, with files that are there.
func TestExampleSpecsResolve(t *testing.T) {
	paths, err := filepath.Glob("../examples/*/lifecycle*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		document, err := spec.Read(path)
		require.NoError(t, err, path)
		_, err = spec.Resolve(t.Context(), document, spec.DryRun(spec.StoreUploader{Store: artifact.NewMemory("mainspring")}))
		require.NoError(t, err, path)
	}
}
