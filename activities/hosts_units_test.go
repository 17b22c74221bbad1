package activities

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

func TestOutcomeNamesTheCauseNotItsConsequence(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	exits := func(exits ...runner.Exit) runner.State {
		state := runner.State{Finished: true}
		for i := range exits {
			state.Processes = append(state.Processes, runner.ProcessState{Name: "rank", Exit: &exits[i]})
		}
		return state
	}
	stopping := func(reason string, state runner.State) runner.State { state.Stopping = reason; return state }
	lostAfter := func(state runner.State) runner.State { state.Lost = true; return state }
	lost := lostAfter(exits(runner.Exit{Signal: "killed", Lost: true}))
	byMemory := func(signal string, oom runner.OOM, second int) runner.Exit {
		return runner.Exit{Signal: signal, OOM: oom, At: at(second)}
	}
	for name, c := range map[string]struct {
		state  runner.State
		reason models.ExitReason
		want   models.ErrorKind // "" for success
	}{
		"all well":                           {exits(runner.Exit{}, runner.Exit{}), models.ExitFinished, ""},
		"own failure":                        {exits(runner.Exit{Code: 1, At: at(1)}, runner.Exit{Signal: "terminated", Asked: true, At: at(6)}), models.ExitStatus, models.KindTrainingFailed},
		"killed after its peer gave up":      {exits(runner.Exit{Code: 1, At: at(1)}, runner.Exit{Signal: "killed", At: at(2)}), models.ExitSignal, models.KindRankLost},
		"a shell's word for killed":          {exits(runner.Exit{Code: 137}), models.ExitSignal, models.KindRankLost},
		"a shell's word for terminated":      {exits(runner.Exit{Code: 143}), models.ExitSignal, models.KindRankLost},
		"aborted because its peer failed":    {exits(runner.Exit{Code: 1, At: at(1)}, runner.Exit{Signal: "aborted", At: at(2)}), models.ExitStatus, models.KindTrainingFailed},
		"its peer failed because it crashed": {exits(runner.Exit{Code: 1, At: at(2)}, runner.Exit{Signal: "segmentation fault", At: at(1)}), models.ExitSignal, models.KindRankLost},
		"its data, whoever was first":        {exits(runner.Exit{Code: 1, At: at(1)}, runner.Exit{Code: 65, At: at(2)}), models.ExitDataError, models.KindTrainingFailed},
		"the lease's memory":                 {exits(runner.Exit{Code: 1, At: at(1)}, byMemory("killed", runner.OOMLimit, 2)), models.ExitOutOfMemory, models.KindTrainingFailed},
		"the host's memory":                  {exits(runner.Exit{Code: 1, At: at(1)}, byMemory("killed", runner.OOMHost, 2)), models.ExitOutOfMemory, models.KindRankLost},
		"the shim was killed":                {lost, models.ExitSignal, models.KindRankLost},
		"failed before the shim was killed":  {lostAfter(exits(runner.Exit{Code: 2, At: at(1)}, runner.Exit{Signal: "killed", Lost: true, At: at(2)})), models.ExitStatus, models.KindTrainingFailed},
		"could not start":                    {exits(runner.Exit{Error: "x: executable file not found in $PATH"}), models.ExitNotStarted, models.KindTrainingFailed},
		"fenced":                             {stopping(runner.ReasonFenced, exits(runner.Exit{Signal: "terminated", Asked: true})), models.ExitFenced, models.KindStaleFence},
		"out of time":                        {stopping(reasonTimeout, exits(runner.Exit{Code: 143, Asked: true})), models.ExitTimeout, models.KindTrainingFailed},
		"hangs":                              {stopping(reasonHang+": none for 5s", exits(runner.Exit{Signal: "killed", Asked: true})), models.ExitHang, models.KindRankLost},
		"orphaned":                           {stopping(runner.ReasonOrphaned+" for 15m", exits(runner.Exit{Code: 143, Asked: true})), models.ExitAgentLost, models.KindRankLost},
		"stopped by its host":                {stopping("the host's jobs are being stopped", exits(runner.Exit{Code: 143, Asked: true})), models.ExitLeaseLost, models.KindRankLost},
		"left politely when asked":           {stopping("the host's jobs are being stopped", exits(runner.Exit{Asked: true})), models.ExitLeaseLost, models.KindRankLost},
		"done before the request arrived":    {stopping("the host's jobs are being stopped", exits(runner.Exit{})), models.ExitFinished, ""},
	} {
		end := conclusion(c.state, models.TrainSpec{Command: []string{"x"}}, t.TempDir())
		if c.want == "" && end.err != nil || c.want != "" && (end.err == nil || end.err.Kind != c.want) || end.reason != c.reason {
			t.Errorf("%s: got %s, %v; want %s, %q", name, end.reason, end.err, c.reason, c.want)
		}
	}
}

func TestOnlyARequestCancels(t *testing.T) {
	for cause, want := range map[error]bool{
		temporal.NewCanceledError():  true,
		context.Canceled:             true,
		errors.New("server is away"): false,
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		if got := cancelRequested(ctx); got != want {
			t.Errorf("%v: got %v", cause, got)
		}
	}
	expired, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	if cancelRequested(expired) || cancelRequested(context.Background()) {
		t.Error("a deadline is no request to cancel")
	}
}

func TestParseProgress(t *testing.T) {
	noon := time.Date(2013, 8, 1, 12, 0, 0, 5e6, time.UTC)
	for line, want := range map[string]*progressRecord{
		`{"step":3,"of":9,"loss":0.5,"auc":1,"note":"x","time":"2013-08-01T12:00:00.005Z"}`: {step: 3, of: 9, at: noon, metrics: map[string]float64{"loss": 0.5, "auc": 1}},
		`{"step":3,"time":1375358400.005}`:                                                  {step: 3, at: noon, metrics: map[string]float64{}},
		`{"step":3,"time":"yesterday"}`:                                                     {step: 3, metrics: map[string]float64{}},
		`{"step":4,"loss":NaN,"best": -Infinity,"worst":Infinity,"of":NaN}`:                 {step: 4, metrics: map[string]float64{"loss": math.NaN(), "best": math.Inf(-1), "worst": math.Inf(1)}},
		`[1]`:          nil,
		`null`:         nil,
		`Epoch 3 of 9`: nil,
	} {
		got, ok := parseProgress([]byte(line))
		if ok != (want != nil) {
			t.Errorf("%s: ok is %v", line, ok)
			continue
		}
		if want != nil {
			if diff := cmp.Diff(*want, got, cmp.AllowUnexported(progressRecord{}), cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("%s: %s", line, diff)
			}
		}
	}
}

func TestTailReturnsWholeLinesOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "progress")
	tail := &progressTail{path: path}
	if lines, err := tail.next(); err != nil || lines != nil {
		t.Errorf("no file: %v, %v", lines, err)
	}
	var seen []string
	for _, text := range []string{"a\nb", "c\n", "", "d\n\n"} {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		file.Close()
		lines, err := tail.next()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			seen = append(seen, string(line.text))
		}
	}
	if got := strings.Join(seen, "|"); got != "a|bc|d|" || tail.offset != 8 {
		t.Errorf("got %q at %d", got, tail.offset)
	}
}

func TestCurveStaysSmallAndEven(t *testing.T) {
	var c curve
	for step := range 10_000 {
		c.add(int64(step), float64(step))
	}
	if len(c.points) > maxCurve || len(c.points) < maxCurve/2 || c.points[0][0] != 0 {
		t.Fatalf("%d points from %v", len(c.points), c.points[0])
	}
	for i := 1; i < len(c.points); i++ {
		if gap := c.points[i][0] - c.points[i-1][0]; gap != float64(c.stride) {
			t.Errorf("gap of %v before point %d, want %d", gap, i, c.stride)
		}
	}
}

func TestMetricKeysFitMLflow(t *testing.T) {
	for name, want := range map[string]string{
		"val/loss": "val/loss", "loss (val)": "loss _val_", "größe": "gr__e", "../x": "x", "//": "_", "a//b": "a/b",
		strings.Repeat("x", 300): strings.Repeat("x", 250),
	} {
		if got := metricKey(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestStepOf(t *testing.T) {
	for name, want := range map[string]int64{"step-12": 12, "step-0": 0, "step-12.tmp": -1, "step-012": -1, "step-": -1, "step-x": -1, "other": -1} {
		if got, ok := stepOf(name); ok != (want >= 0) || ok && got != want {
			t.Errorf("%s: got %d, %v", name, got, ok)
		}
	}
}

func TestFindCheckpointSkipsWhatIsNotWhole(t *testing.T) {
	ctx, store := context.Background(), artifact.NewMemory("mainspring")
	finder := &Checkpoints{Store: store}
	find := func() int64 {
		t.Helper()
		found, err := finder.FindCheckpoint(ctx, models.FindCheckpointRequest{RunKey: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return found.Step
	}
	if got := find(); got != 0 {
		t.Errorf("empty store: step %d", got)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "weights"), []byte("1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"9", "10", "100"} {
		if _, err := artifact.PutTree(ctx, store, dir, "checkpoints/k/step-"+step); err != nil {
			t.Fatal(err)
		}
	}
	if got := find(); got != 100 {
		t.Errorf("step %d, want 100", got)
	}
	if _, err := artifact.PutBytes(ctx, store, "checkpoints/k/step-100/weights", []byte("12"), artifact.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := find(); got != 10 {
		t.Errorf("step %d, want 10: the newest has a file of another size", got)
	}
	if err := store.Delete(ctx, "checkpoints/k/step-10.json"); err != nil {
		t.Fatal(err)
	}
	if got := find(); got != 9 {
		t.Errorf("step %d, want 9: the one before has no manifest", got)
	}
}

func TestUploaderForgetsOldCheckpoints(t *testing.T) {
	ctx, store, dir := context.Background(), artifact.NewMemory("mainspring"), t.TempDir()
	u := &checkpointUploader{store: store, prefix: "checkpoints/k/", dir: dir}
	for step := int64(1); step <= 6; step++ {
		path := filepath.Join(dir, stepName(step))
		if err := errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "w"), []byte("w"), 0o600), os.Mkdir(filepath.Join(dir, "step-99.tmp"+stepName(step)), 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := u.upload(ctx); err != nil {
			t.Fatal(err)
		}
	}
	local, err := localSteps(dir)
	if diff := cmp.Diff([]int64{5, 6}, local); diff != "" || err != nil {
		t.Error(diff, err)
	}
	remote, err := listCheckpoints(ctx, store, u.prefix)
	if err != nil || len(remote) != keepRemote || remote[0].step != 4 || remote[2].step != 6 {
		t.Errorf("got %+v, %v", remote, err)
	}
	if u.newest.Load() != 6 {
		t.Errorf("newest is %d", u.newest.Load())
	}
}

func TestSignatureInspector(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "MLmodel"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("signature:\n  inputs: '[{\"name\": \"a\", \"type\": \"long\"}, {\"name\": \"b\", \"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"str\", \"shape\": [-1, 1]}}]'\n")
	inputs, outputs, err := SignatureInspector{}.Inspect(context.Background(), dir)
	want := []models.ModelPort{{Name: "a", Datatype: "INT64", Shape: []int64{-1}}, {Name: "b", Datatype: "BYTES", Shape: []int64{-1, 1}}}
	if diff := cmp.Diff(want, inputs); diff != "" || len(outputs) != 0 || err != nil {
		t.Error(diff, outputs, err)
	}
	for _, bad := range []string{"flavors: {}\n", "signature: {inputs: 'no json'}\n", "signature:\n  inputs: '[{\"name\": \"a\", \"type\": \"complex64\"}]'\n"} {
		write(bad)
		_, _, err := SignatureInspector{}.Inspect(context.Background(), dir)
		wantKind(t, err, models.KindModelRejected)
	}
}
