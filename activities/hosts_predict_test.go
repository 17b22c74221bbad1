package activities

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/pyenv"
	"github.com/mainspring-ml/mainspring/internal/serving"
	"github.com/mainspring-ml/mainspring/models"
)

func TestCommandPredictsInTheOrderOfTheRows(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	env := filepath.Join(b.dir, "environment")
	req := b.answering("order=reverse", `latency={"requests":200,"p50_ms":1.5,"p99_ms":3}`, "env="+env)
	req.Token, req.Node.Devices = 7, []models.Device{{UUID: "VIRT-n-0", Vendor: models.VendorVirtual}}
	got, err := b.PredictOnHost(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != 10 || got.Classes != 1 || got.Node != "n" || len(got.Devices) != 1 || got.Devices[0] != "VIRT-n-0" || got.Seconds <= 0 ||
		*got.Latency != (models.Latency{Requests: 200, P50Millis: 1.5, P99Millis: 3}) {
		t.Errorf("got %+v", got)
	}
	table := b.answered(got, "prediction")
	if keys := table.Series[0].Strings; keys[0] != "f0" || keys[9] != "f9" {
		t.Errorf("keys %v", keys)
	}
	wantNumbers(t, &table.Series[1], func(row int) float64 { return float64(row) / 10 })

	seen := "\n" + readText(env) + "\n"
	for _, want := range []string{`MAINSPRING_PARAMS={"rounds":3}`, "MAINSPRING_VISIBLE_DEVICES=VIRT-n-0", "MLFLOW_RUN_ID=run1", "TOKEN=hush-hush-hush", "CUDA_VISIBLE_DEVICES=", "AWS_REGION=here"} {
		if !strings.Contains(seen, "\n"+want+"\n") {
			t.Errorf("the program lacks %s", want)
		}
	}
	if strings.Contains(seen, "OTHER=") {
		t.Error("the program sees what is the agent's own")
	}
	for _, name := range []string{codeDir, workDir, modelDir, predictionsFile} {
		if _, err := os.Stat(filepath.Join(b.Runner.Dir(jobOf(b, req)), name)); err == nil {
			t.Errorf("%s is left over", name)
		}
	}
	again, err := b.PredictOnHost(context.Background(), req)
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("got %+v, %v; want the first answer again", again, err)
	}
}

func jobOf(b *hostBench, req models.PredictRowsRequest) string {
	b.Helper()
	p, err := newHostPrediction(b.Hosts, req)
	if err != nil {
		b.Fatal(err)
	}
	return p.key
}

func TestPredictionWithoutLeaseSeesNoDevices(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	env := filepath.Join(b.dir, "environment")
	req := b.answering("classes=2", "env="+env)
	req.Data.Task, req.Data.Classes = models.TaskMulticlass, []string{"far", "near"}
	req.Node.Devices = []models.Device{{UUID: "VIRT-n-0", Vendor: models.VendorVirtual}} // of no lease
	got, err := b.PredictOnHost(context.Background(), req)
	if err != nil || got.Classes != 2 || got.Latency != nil || got.Devices != nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	table := b.answered(got, "p0", "p1")
	wantNumbers(t, &table.Series[2], func(row int) float64 { return 1 - float64(row)/10 })
	if seen := "\n" + readText(env) + "\n"; !strings.Contains(seen, "\nMAINSPRING_VISIBLE_DEVICES=\n") || !strings.Contains(seen, "\nCUDA_VISIBLE_DEVICES=\n") {
		t.Errorf("the program sees devices: %s", seen)
	}
	if fences, err := filepath.Glob(filepath.Join(b.Runner.Root, "fences", "*.json")); err != nil || len(fences) != 0 {
		t.Errorf("fences %v, %v", fences, err)
	}
}

func TestPredictionsThatDoNotFit(t *testing.T) {
	command := func(argv ...string) func(*models.PredictRowsRequest) {
		return func(r *models.PredictRowsRequest) { r.Predict.Command = argv }
	}
	for name, c := range map[string]struct {
		change func(*models.PredictRowsRequest)
		args   []string
		kind   models.ErrorKind
		says   []string
	}{
		"exit status":    {args: []string{"exit=3"}, says: []string{"ended with exit status 3", "the reason with **********"}},
		"data error":     {args: []string{"exit=65"}, says: []string{"data is at fault", "the reason"}},
		"fewer rows":     {args: []string{"drop=1"}, says: []string{"has 9 rows for 10 held-out rows"}},
		"key twice":      {args: []string{"twice=1"}, says: []string{`has the key "f0" twice`}},
		"no probability": {args: []string{"value=1.5"}, says: []string{"is 1.5 for a held-out row", "row 0"}},
		"no number":      {args: []string{"value=NaN"}, says: []string{`the prediction for "f0" is no number`}},
		"other column":   {args: []string{"column=probabilities_"}, says: []string{`no column "probability"`, `did you mean "probabilities_"?`, "It has id, probabilities_"}},
		"wrong latency":  {args: []string{`latency={"requests":0}`}, says: []string{"latencies can't be used", "MAINSPRING_LATENCY"}},
		"no file":        {change: command("/bin/true"), says: []string{"wrote no predictions", `"id" and "probability"`, "MAINSPRING_PREDICTIONS"}},
		"no Parquet":     {change: command("/bin/sh", "-c", `echo x > "$MAINSPRING_PREDICTIONS"`), says: []string{"can't be read", "Parquet"}},
		"no command":     {change: command(), kind: models.KindInvalidSpec, says: []string{"evaluate.predict.command", "missing"}},
		"no program":     {change: command("predcit"), kind: models.KindInvalidSpec, says: []string{"command not found", "predcit", "train.code"}},
		"no runtime":     {change: func(r *models.PredictRowsRequest) { r.Predict.Runtime = "jax" }, kind: models.KindInvalidSpec, says: []string{`no runtime "jax"`}},
		"no key":         {change: func(r *models.PredictRowsRequest) { r.Key = "" }, kind: models.KindInvalidSpec, says: []string{"needs a key"}},
		"killed":         {change: command("/bin/sh", "-c", "kill -9 $$"), kind: models.KindRankLost, says: []string{"signal (killed)"}},
		"crash":          {change: command("/bin/sh", "-c", "kill -SEGV $$"), says: []string{"crashed"}},
		"too slow": {args: []string{"until=/nowhere"}, change: func(r *models.PredictRowsRequest) { r.Predict.Timeout = models.Duration(time.Second) },
			says: []string{"took longer than 1s", "evaluate.predict.timeout"}},
		"no secret": {change: func(r *models.PredictRowsRequest) { r.Train.Env["TOKEN"] = "env:NOT_SET" },
			kind: models.KindEnvironmentFailed, says: []string{"NOT_SET"}},
		"two classes of three": {args: []string{"classes=2"}, change: func(r *models.PredictRowsRequest) {
			r.Data.Task, r.Data.Classes = models.TaskMulticlass, []string{"a", "b", "c"}
		}, says: []string{`no column "p2"`, `"p0" to "p2"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHostBench(t)
			req := b.answering(c.args...)
			if c.change != nil {
				c.change(&req)
			}
			if c.kind == "" {
				c.kind = models.KindModelRejected
			}
			_, err := b.PredictOnHost(context.Background(), req)
			wantKind(t, err, c.kind, c.says...)
			if strings.Contains(err.Error(), "hush-hush") {
				t.Errorf("a secret is in the error: %v", err)
			}
		})
	}
}

func TestNextAgentAttachesToARunningPrediction(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	starts, gate := filepath.Join(b.dir, "starts"), filepath.Join(b.dir, "go")
	req := b.answering("until=" + gate)
	req.Predict.Command = append([]string{"/bin/sh", "-c", `echo start >> "$0"; exec "$@"`, starts}, req.Predict.Command...)
	attempt, timeOut := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.PredictOnHost(attempt, req)
		done <- err
	}()
	b.eventually("the program runs", func() bool { return readText(starts) != "" })
	timeOut(errors.New("the attempt timed out"))
	wantKind(t, <-done, models.KindUnavailable, "goes on")

	next := &Hosts{ // the next agent knows nothing but the directories
		Node: b.Node, Address: b.Address, Store: b.Store, Runner: b.Runner, Environments: b.Environments, Cache: b.Cache, Environ: b.Environ,
	}
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = os.WriteFile(gate, []byte("go"), 0o600)
	}()
	got, err := next.PredictOnHost(context.Background(), req)
	if err != nil || got.Rows != 10 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if text := readText(starts); strings.Count(text, "start") != 1 {
		t.Errorf("the program was started again: %q", text)
	}
	if log := b.stored("mlflow/1/run1/artifacts/logs/predict-" + req.Artifact.Manifest.SHA256[:8] + ".log"); log != "" {
		t.Errorf("the program said nothing, but its log is %q", log)
	}
}

func TestCancellationEndsThePrediction(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	env := filepath.Join(b.dir, "environment")
	req := b.answering("until=/nowhere", "env="+env)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.PredictOnHost(ctx, req)
		done <- err
	}()
	b.eventually("the program runs", func() bool { return readText(env) != "" })
	cancel()
	err := <-done
	var asked *temporal.CanceledError
	if !errors.As(err, &asked) {
		t.Fatalf("got %v", err)
	}
	if state := predictionState(b, req); !state.Finished || state.Processes[0].ID.Alive() {
		t.Errorf("the program still runs: %+v", state)
	}
}

func predictionState(b *hostBench, req models.PredictRowsRequest) runner.State {
	b.Helper()
	handle, found, err := b.Runner.Attach(jobOf(b, req))
	if err != nil || !found {
		b.Fatalf("no job: %v", err)
	}
	state, _, err := handle.Poll()
	if err != nil {
		b.Fatal(err)
	}
	return state
}

func TestKilledShimAndNewerLeaseLoseThePrediction(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	env := filepath.Join(b.dir, "environment")
	req := b.answering("until=/nowhere", "env="+env)
	done := make(chan error, 1)
	go func() {
		_, err := b.PredictOnHost(context.Background(), req)
		done <- err
	}()
	b.eventually("the program runs", func() bool { return readText(env) != "" })
	if err := unix.Kill(predictionState(b, req).Shim.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantKind(t, <-done, models.KindRankLost, "watches over the prediction was killed")

	older := req
	older.Key, older.Token = "def456", 3
	older.Node.Devices = []models.Device{{UUID: "VIRT-n-0", Vendor: models.VendorVirtual}}
	if err := os.Remove(env); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := b.PredictOnHost(context.Background(), older)
		done <- err
	}()
	b.eventually("the older lease's program runs", func() bool { return readText(env) != "" })
	newer := b.answering()
	newer.Key, newer.Token, newer.Node.Devices = "0789", 4, older.Node.Devices
	if _, err := b.PredictOnHost(context.Background(), newer); err != nil {
		t.Fatal(err)
	}
	wantKind(t, <-done, models.KindStaleFence, "newer lease")
}

// The real runtime in a process of its own, from the store and back.
func TestPredictFlightsOnAHost(t *testing.T) {
	library := os.Getenv(serving.LibraryVariable)
	if library == "" {
		t.Skipf("SKIPPED: %s is not set, so the serving runtime is not tested", serving.LibraryVariable)
	}
	t.Parallel()
	b := newHostBench(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b.Predictor, b.Environ = []string{self, "predict"}, append(b.Environ, serving.LibraryVariable+"="+library)
	req := b.prediction(filepath.Join("..", "internal", "serving", "testdata", "flights"), models.PredictSpec{})
	got, err := b.PredictOnHost(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != 10 || got.Latency == nil || got.Latency.Requests != timedRows {
		t.Errorf("got %+v", got)
	}
	table := b.answered(got, "prediction")
	wantNumbers(t, &table.Series[1], flightProbability)

	req.Key, req.Prediction = "0789", "late"
	_, err = b.PredictOnHost(context.Background(), req)
	wantKind(t, err, models.KindModelRejected, `there is no output "late"; the outputs are probability`, "evaluate.prediction")

	req.Key, req.Prediction, b.Environ = "0abc", "", b.Environ[:len(b.Environ)-1]
	_, err = b.PredictOnHost(context.Background(), req)
	wantKind(t, err, models.KindEnvironmentFailed, "can't be found", "set MAINSPRING_ONNXRUNTIME")
}

// flightProbability is what the model of serving's test data answers; see its
// build.py.
func flightProbability(row int) float64 {
	code := []float64{0, 1, -1}[row%3]
	return 1 / (1 + math.Exp(-(code + float64(row)/10 - 1)))
}

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
