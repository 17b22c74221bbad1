package activities

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/runner"
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
