package activities

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/models"
)

// pyfuncModel is a model in MLflow's format that needs nothing but Python: its
// loader answers as the flights' ONNX model does.
func pyfuncModel(t *testing.T, answer string) string {
	t.Helper()
	dir := t.TempDir()
	inputs := `[{"name": "carrier", "type": "string"}, {"name": "distance", "type": "integer"}, {"name": "delay", "type": "float", "required": false}]`
	for name, text := range map[string]string{
		"MLmodel": `flavors:
  python_function:
    loader_module: flight_loader
    code: code
signature:
  inputs: '` + inputs + `'
`,
		"code/flight_loader.py": `
import numpy, pandas

class Model:
    def predict(self, frame, params=None):
        assert str(frame["distance"].dtype) == "int32", frame.dtypes
        assert str(frame["delay"].dtype) == "float32", frame.dtypes
        code = frame["carrier"].map({"AA": 0.0, "UA": 1.0}).fillna(-1.0).to_numpy()
        p = 1 / (1 + numpy.exp(-(code + frame["distance"].to_numpy() / 1000 - 1)))
        return ` + answer + `

def _load_pyfunc(path):
    return Model()
`,
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mlflowPython is a Python with mlflow and pandas, of the development stack.
const mlflowPython = "MAINSPRING_TEST_MLFLOW_PYTHON"

func TestPyfuncPredictsWithRealMLflow(t *testing.T) {
	python := os.Getenv(mlflowPython)
	if python == "" {
		t.Skipf("SKIPPED: %s is not set, so the pyfunc runtime is not tested; testenv/withstack sets it", mlflowPython)
	}
	for name, c := range map[string]struct {
		answer string
		fails  []string // nothing: it predicts
	}{
		"frame":       {answer: `pandas.DataFrame({"label": p > 0.5, "probability": p})`},
		"two columns": {answer: `numpy.stack([1 - p, p], axis=1)`, fails: []string{"has the shape [10 2] for 10 rows", "leave only the column of label 1"}},
		"no import":   {answer: "p\n\nimport not_there", fails: []string{"can't load the model", "not_there", "train.environment"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newHostBench(t)
			req := b.prediction(pyfuncModel(t, c.answer), models.PredictSpec{Runtime: models.RuntimePyfunc})
			req.Train.Env, req.Train.Environment.Python = nil, python
			got, err := b.PredictOnHost(context.Background(), req)
			if c.fails != nil {
				wantKind(t, err, models.KindModelRejected, c.fails...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Rows != 10 || got.Latency == nil || got.Latency.Requests < 1 || got.Latency.P50Millis <= 0 || got.Seconds <= 0 {
				t.Errorf("got %+v, latency %+v", got, got.Latency)
			}
			table := b.answered(got, "prediction")
			wantNumbers(t, &table.Series[1], flightProbability)
		})
	}
}

// pickAnswers is a program that holds what models may return against what is
// taken out of it.
const pickAnswers = `
import numpy, pandas, predict_pyfunc as p

def request(task="binary", classes=None):
    return {"output": "probability", "task": task, "classes": classes}

half, pair = numpy.array([0.5, 0.25]), numpy.array([[0.5, 0.5], [0.25, 0.75]])
many = request("multiclass", ["late", "early"])
for answer, asked, want in [
    (half, request(), half),
    ([0.5, 0.25], request(), half),
    (pandas.Series(half), request(), half),
    (pandas.DataFrame({"label": [1, 0], "probability": half}), request(), half),
    (pandas.DataFrame({"score": half}), request(), half.reshape(2, 1)),
    ({"label": [1, 0], "probability": half.reshape(2, 1)}, request(), half.reshape(2, 1)),
    ({"score": half}, request(), half),
    (pair, many, pair),
    (pandas.DataFrame(pair), many, pair),
    (pandas.DataFrame({"early": pair[:, 1], "late": pair[:, 0]}), many, pair),
    (pandas.DataFrame({"p1": pair[:, 1], "p0": pair[:, 0]}), many, pair),
    (pandas.DataFrame({"probability": list(pair)}), many, pair),
]:
    got = p.pick(numpy, answer, asked)
    assert got.shape == want.shape and (got == want).all() and got.dtype == "float64", (answer, asked, got)
for answer in [pandas.DataFrame({"label": [1], "score": [0.5]}), {"label": [1], "score": [0.5]}]:
    try:
        p.pick(numpy, answer, request())
        raise AssertionError(answer)
    except p.Refused as refused:
        assert 'no output "probability"; the outputs are label, score' in refused.message, refused.message

class Broken:
    def predict(self, frame):
        return 1 / 0

class Words:
    def predict(self, frame):
        return ["late", "early"]

class Short:
    def predict(self, frame):
        return [0.5]

for model, says in [(Broken(), "ZeroDivisionError"), (Words(), "holds no numbers"), (Short(), "has the shape [1] for 2 rows")]:
    try:
        p.predict(numpy, model, pandas.DataFrame({"x": [1, 2]}), request())
        raise AssertionError(says)
    except p.Refused as refused:
        assert says in refused.message, refused.message
`

func TestPyfuncTakesTheNumbersFromWhatModelsReturn(t *testing.T) {
	python := os.Getenv(mlflowPython)
	if python == "" {
		t.Skipf("SKIPPED: %s is not set, so the pyfunc runtime is not tested; testenv/withstack sets it", mlflowPython)
	}
	t.Parallel()
	command := exec.CommandContext(t.Context(), python, "-B", "-c", pickAnswers)
	command.Dir = "."
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

// The signature that ONNX models have: tensors of one column each.
func TestPyfuncFeedsNamedTensors(t *testing.T) {
	python := os.Getenv(mlflowPython)
	if python == "" {
		t.Skipf("SKIPPED: %s is not set, so the pyfunc runtime is not tested; testenv/withstack sets it", mlflowPython)
	}
	t.Parallel()
	b := newHostBench(t)
	dir := pyfuncModel(t, "")
	for name, text := range map[string]string{
		"MLmodel": `flavors:
  python_function:
    loader_module: flight_loader
    code: code
signature:
  inputs: '[{"name": "distance", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 1]}}, {"name": "delay", "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 1]}}]'
`,
		"code/flight_loader.py": `
class Model:
    def predict(self, inputs, params=None):
        assert str(inputs["distance"].dtype) == "float32", inputs
        return {"probability": inputs["distance"].reshape(-1, 1) / 1000}

def _load_pyfunc(path):
    return Model()
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	req := b.prediction(dir, models.PredictSpec{Runtime: models.RuntimePyfunc})
	req.Train.Env, req.Train.Environment.Python = nil, python
	got, err := b.PredictOnHost(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	table := b.answered(got, "prediction")
	wantNumbers(t, &table.Series[1], func(row int) float64 { return float64(row) / 10 })
}

func TestPyfuncNeedsItsPackages(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.prediction(pyfuncModel(t, "p"), models.PredictSpec{Runtime: models.RuntimePyfunc})
	req.Train.Env = nil
	b.Environments = pyenv.Builder{Cache: filepath.Join(b.dir, "cache")}
	// A package of that name without what is needed, wherever the test runs.
	code := filepath.Join(b.dir, "shadow")
	if err := errors.Join(os.MkdirAll(code, 0o700), os.WriteFile(filepath.Join(code, "mlflow.py"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	req.Train.Env = map[string]string{"PYTHONPATH": code}
	_, err := b.PredictOnHost(context.Background(), req)
	wantKind(t, err, models.KindEnvironmentFailed, "needs mlflow and pandas in train.environment", "train.environment.requirements")
}

// A model for a program need not be one that the built-in server loads.
func TestModelsForProgramsAreNotServed(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	b.Inspector = refusing{}
	req := b.request("steps=1", "model=distance")
	req.Runtime = models.RuntimePyfunc
	result, err := b.RunRanks(context.Background(), req)
	if err != nil || result.Artifact == nil || len(result.Artifact.Inputs) != 1 || result.Artifact.Inputs[0].Name != "distance" {
		t.Errorf("got %+v, %v", result.Artifact, err)
	}
	for text, want := range map[string]int{
		"flavors: {}": 0,
		`signature: {inputs: '[{"name": "at", "type": "datetime"}]'}`: 0,
		`signature: {inputs: '[{"name": "x", "type": "double"}]'}`:    1,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "MLmodel"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if inputs, _, err := (programInspector{}).Inspect(t.Context(), dir); err != nil || len(inputs) != want {
			t.Errorf("%s: got %v, %v; want %d inputs", text, inputs, err, want)
		}
	}
	req.RunKey, req.Token, req.Runtime = "def456", 6, ""
	_, err = b.RunRanks(context.Background(), req)
	wantKind(t, err, models.KindModelRejected, "no onnx flavour")
}

// refusing is the built-in server's inspector, met by a model of another kind.
type refusing struct{}

func (refusing) Inspect(context.Context, string) (inputs, outputs []models.ModelPort, err error) {
	return nil, nil, &models.Error{Kind: models.KindModelRejected, Message: "no onnx flavour"}
}
