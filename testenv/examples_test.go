package testenv_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// The rides are what their script makes, and its program makes of them the columns
// that the spec names.
func TestPreparedExample(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	const example = "../examples/prepared"
	dir := t.TempDir()
	for _, name := range []string{"make_data.py", "prepare.py"} {
		content, err := os.ReadFile(filepath.Join(example, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	run := func(program string, env ...string) {
		command := exec.CommandContext(t.Context(), python, program)
		command.Dir, command.Env = dir, append(os.Environ(), env...)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s: %s", program, out)
	}
	run("make_data.py")
	names, err := filepath.Glob(example + "/data/*.csv")
	require.NoError(t, err)
	require.Len(t, names, 4)
	for _, name := range names {
		kept, err := os.ReadFile(name)
		require.NoError(t, err)
		made, err := os.ReadFile(filepath.Join(dir, "data", filepath.Base(name)))
		require.NoError(t, err)
		require.Equal(t, string(kept), string(made), name)
	}

	document, err := spec.Read(filepath.Join(example, "lifecycle.yaml"))
	require.NoError(t, err)
	data := document.Spec.Data
	params, err := json.Marshal(data.Prepare.Params)
	require.NoError(t, err)
	run("prepare.py", "MAINSPRING_DATA_DIR="+filepath.Join(dir, "data"), "MAINSPRING_OUTPUT_DIR="+dir,
		"MAINSPRING_PROGRESS="+filepath.Join(dir, "progress"), "MAINSPRING_PARAMS="+string(params))
	rows, err := os.ReadFile(filepath.Join(dir, "2025-03-03.jsonl"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(rows)), "\n")
	require.Len(t, lines, 450)
	var row map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &row))
	for _, column := range append(data.Features, data.Key, data.Time, data.Label, data.LabelTime) {
		require.Contains(t, row, column)
	}
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
