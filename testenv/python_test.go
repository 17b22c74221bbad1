package testenv_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

// TestPythonLoadsTheChampion registers a model as a steward does. It needs the
// servers, not the rest of a laptop.
func TestPythonLoadsTheChampion(t *testing.T) {
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("SKIPPED: it needs S3 and MLflow; `make test` has them, or `go run ./testenv/withstack -- go test ./testenv`")
	}
	ctx, name := t.Context(), "python-"+rand.Text()
	store, err := artifact.NewS3(artifact.ConfigFromEnv(os.Getenv))
	require.NoError(t, err)
	dir, prefix := t.TempDir(), "mlflow/python/"+name+"/model"
	require.NoError(t, os.CopyFS(dir, os.DirFS("../internal/serving/testdata/flights")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "MLmodel"), signed(t, dir), 0o600))
	_, err = artifact.PutTree(ctx, store, dir, prefix)
	require.NoError(t, err)

	tracking, err := mlflow.New(mlflow.ConfigFromEnv(os.Getenv))
	require.NoError(t, err)
	registry := &activities.Registry{MLflow: tracking, NamespaceID: func(context.Context) (string, error) { return "ns", nil }}
	claim, err := registry.ClaimModel(ctx, models.ClaimModelRequest{Model: name, Steward: "model/" + name + "/run1"})
	require.NoError(t, err)
	version, err := registry.CreateModelVersion(ctx, models.CreateModelVersionRequest{
		Key: "0123456789abcdef", Model: name, Source: artifact.URI(store, prefix), Owner: claim.Owner,
	})
	require.NoError(t, err)
	require.NoError(t, registry.MoveAliases(ctx, models.MoveAliasesRequest{
		Model: name, Owner: claim.Owner, Aliases: map[string]string{models.AliasChampion: version.Version},
	}))
	loadsInPython(ctx, t, name, os.Environ())
}

// signed is an MLmodel file with a signature, as the examples leave it: MLflow
// shapes a table's columns by it.
func signed(t *testing.T, dir string) []byte {
	t.Helper()
	loaded, closeIt := load(t, dir, os.Getenv)
	defer closeIt()
	tensors := func(ports []models.ModelPort) string {
		kinds := map[string]string{"BYTES": "str", "INT64": "int64", "FP32": "float32", "FP64": "float64"}
		list := []map[string]any{}
		for _, port := range ports {
			list = append(list, map[string]any{"name": port.Name, "type": "tensor",
				"tensor-spec": map[string]any{"dtype": kinds[port.Datatype], "shape": port.Shape}})
		}
		text, err := json.Marshal(list)
		require.NoError(t, err)
		return string(text)
	}
	text, err := json.Marshal(map[string]any{
		"flavors": map[string]any{
			"onnx":            map[string]any{"data": "model.onnx", "onnx_version": "1.23.2", "providers": []string{"CPUExecutionProvider"}},
			"python_function": map[string]any{"data": "model.onnx", "loader_module": "mlflow.onnx"},
		},
		"signature": map[string]any{"inputs": tensors(loaded.Inputs), "outputs": tensors(loaded.Outputs)},
	})
	require.NoError(t, err)
	return text
}

// loadsInPython wants mlflow.pyfunc to load a model's champion and to predict
// with it what the serving runtime predicts. The environment says where MLflow
// and S3 are, as that of a laptop's user does (Laptop.Env).
func loadsInPython(ctx context.Context, t *testing.T, model string, environ []string) {
	t.Helper()
	getenv := lookupIn(environ)
	loaded, closeIt := championOf(ctx, t, model, getenv)
	defer closeIt()
	columns := sampleColumns(loaded.Inputs, 50)
	inputs, err := serving.Feed(loaded.Inputs, columns)
	require.NoError(t, err)
	want, err := loaded.Predict(ctx, inputs)
	require.NoError(t, err)

	python := pythonWithMLflow(ctx, t, getenv)
	request, err := json.Marshal(columns)
	require.NoError(t, err)
	command := exec.CommandContext(ctx, python, "-W", "ignore", "pyfunc/predict.py", "models:/"+model+"@"+models.AliasChampion)
	var complaint bytes.Buffer
	command.Env, command.Stdin, command.Stderr = environ, bytes.NewReader(request), &complaint
	out, err := command.Output()
	require.NoError(t, err, "%s", complaint.String())
	var got map[string][]float64
	require.NoError(t, json.Unmarshal(out, &got), "%s", out)
	require.Len(t, got, len(want))
	for output, tensor := range want {
		encoded, err := json.Marshal(tensor.Data)
		require.NoError(t, err)
		var values []float64
		require.NoError(t, json.Unmarshal(encoded, &values))
		require.InDeltaSlice(t, values, got[output], 1e-6, output)
	}
}

func lookupIn(environ []string) func(string) string {
	return func(name string) (value string) {
		for _, entry := range environ {
			if rest, ok := strings.CutPrefix(entry, name+"="); ok {
				value = rest // the last one counts
			}
		}
		return value
	}
}

// championOf loads what the alias names with the serving runtime.
func championOf(ctx context.Context, t *testing.T, model string, getenv func(string) string) (*serving.Model, func()) {
	t.Helper()
	tracking, err := mlflow.New(mlflow.ConfigFromEnv(getenv))
	require.NoError(t, err)
	version, err := tracking.VersionByAlias(ctx, model, models.AliasChampion)
	require.NoError(t, err)
	store, err := artifact.NewS3(artifact.ConfigFromEnv(getenv))
	require.NoError(t, err)
	source, err := url.Parse(version.Source)
	require.NoError(t, err)
	tree, err := artifact.FindTree(ctx, store, strings.TrimPrefix(source.Path, "/"))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, artifact.GetTree(ctx, store, tree, dir))
	return load(t, dir, getenv)
}

// load opens the process's one runtime and a model in it.
func load(t *testing.T, dir string, getenv func(string) string) (loaded *serving.Model, closeIt func()) {
	t.Helper()
	runtime, err := serving.OpenRuntime(serving.RuntimeConfig{Library: getenv(serving.LibraryVariable)})
	require.NoError(t, err)
	loaded, err = runtime.Load(dir)
	require.NoError(t, err)
	return loaded, func() { require.NoError(t, errors.Join(loaded.Close(), runtime.Close())) }
}

// sampleColumns are rows that differ in every column.
func sampleColumns(ports []models.ModelPort, rows int) serving.Columns {
	words := []string{"UA", "AA", "B6", "EWR", "JFK", "LGA", "ORD", "none such"}
	columns := serving.Columns{}
	for i, port := range ports {
		switch {
		case port.Datatype == "BYTES":
			texts := make([]string, rows)
			for row := range texts {
				texts[row] = words[(row+i)%len(words)]
			}
			columns[port.Name] = texts
		case strings.HasPrefix(port.Datatype, "FP"):
			numbers := make([]float64, rows)
			for row := range numbers {
				numbers[row] = float64((row*37+i)%97) / 8
			}
			columns[port.Name] = numbers
		default:
			counts := make([]int64, rows)
			for row := range counts {
				counts[row] = int64((row*37 + i*11) % 1200)
			}
			columns[port.Name] = counts
		}
	}
	return columns
}

func pythonWithMLflow(ctx context.Context, t *testing.T, getenv func(string) string) string {
	t.Helper()
	return pythonFor(ctx, t, getenv, "pyfunc/requirements.txt")
}

func cacheDir(t *testing.T, getenv func(string) string) string {
	t.Helper()
	if cache := getenv("MAINSPRING_CACHE"); cache != "" {
		return cache
	}
	user, err := os.UserCacheDir()
	require.NoError(t, err)
	return filepath.Join(user, "mainspring")
}

// pythonFor builds an environment once per digest of its requirements.
func pythonFor(ctx context.Context, t *testing.T, getenv func(string) string, requirements string) string {
	t.Helper()
	built, err := pyenv.Builder{Cache: cacheDir(t, getenv), UV: getenv("MAINSPRING_UV")}.Build(ctx, pyenv.Request{Requirements: requirements})
	require.NoError(t, err)
	return built.Python
}
