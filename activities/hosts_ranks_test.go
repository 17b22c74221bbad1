package activities

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

func TestRunRanksLeavesModelMetricsAndCheckpoints(t *testing.T) {
	b := newHostBench(t)
	req := b.request("steps=6", "every=2", "model=distance", "until="+filepath.Join(b.dir, "go"))
	done := make(chan error, 1)
	var result models.RanksResult
	go func() {
		var err error
		result, err = b.RunRanks(context.Background(), req)
		done <- err
	}()
	b.eventually("the newest checkpoint is stored", func() bool { return b.stored("checkpoints/abc123/step-6/step") == "6" })
	if err := os.WriteFile(filepath.Join(b.dir, "go"), []byte("go"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if result.Steps != 6 || result.Metrics["loss"] != 1.0/6 || result.Reattached {
		t.Errorf("got %+v", result)
	}
	model := result.Artifact
	if model == nil || model.Source != "s3://mainspring/mlflow/1/run1/artifacts/model" || model.Inputs[0].Name != "distance" ||
		model.Inputs[0].Datatype != "INT64" || model.Outputs[0].Datatype != "FP32" {
		t.Fatalf("got %+v", model)
	}
	if _, err := artifact.ReadTree(context.Background(), b.memory, model.Manifest); err != nil {
		t.Error(err)
	}
	if b.stored("mlflow/1/run1/artifacts/model/model.onnx") != "weights" {
		t.Error("the model's files are not where MLflow shows them")
	}
	if result.OutOfFold == nil || b.stored("objects/"+result.OutOfFold.SHA256) != "predictions" {
		t.Errorf("out-of-fold predictions: %+v", result.OutOfFold)
	}
	if want := (mlflow.Metric{Key: "loss", Value: 0.5, Step: 2, Time: req.Run.StartTime.Add(2 * time.Millisecond)}); b.metrics.count() != 6 || !b.metrics.has(want) {
		t.Errorf("got %v, want 6 points, among them %v", b.metrics.points, want)
	}
	b.noneLeft(req)
	checkContract(t, b)
}

// checkContract reads the ranks' own account of their environment.
func checkContract(t *testing.T, b *hostBench) {
	log := b.stored("mlflow/1/run1/artifacts/logs/rank-1.log")
	for _, want := range []string{
		"RANK=1", "LOCAL_RANK=1", "WORLD_SIZE=2", "LOCAL_WORLD_SIZE=2", "GROUP_RANK=0", "GROUP_WORLD_SIZE=1",
		"MASTER_ADDR=127.0.0.1", "MASTER_PORT=4711", "TORCHELASTIC_USE_AGENT_STORE=False", "TORCHELASTIC_RESTART_COUNT=0",
		"OMP_NUM_THREADS=1", "CUDA_VISIBLE_DEVICES=", "MAINSPRING_VISIBLE_DEVICES=VIRT-n-0,VIRT-n-1",
		`MAINSPRING_PARAMS={"rounds":3}`, "MLFLOW_RUN_ID=run1", "AWS_REGION=here", "PATH=/usr/bin:/bin",
		"MLFLOW_TRACKING_URI=http://mlflow.test",
	} {
		if !strings.Contains("\n"+log, "\n"+want+"\n") {
			t.Errorf("rank 1 lacks %s", want)
		}
	}
	for _, hidden := range []string{"OTHER=", "API_TOKEN", "MAINSPRING_RESUME_DIR"} {
		if strings.Contains(log, hidden) {
			t.Errorf("rank 1 sees %s", hidden)
		}
	}
	_, rest, _ := strings.Cut(log, "MAINSPRING_DATA_DIR=")
	data, _, _ := strings.Cut(rest, "\n")
	for _, path := range []string{"train/a.parquet", "test/a.parquet"} {
		if got := readText(filepath.Join(data, path)); got != path {
			t.Errorf("%s holds %q", path, got)
		}
	}
	if readText(filepath.Join(data, "manifest.json")) == "" {
		t.Error("the snapshot has no manifest")
	}
}

func TestAnswerThatGotLostIsGivenAgain(t *testing.T) {
	b := newHostBench(t)
	req := b.request("steps=1", "model=distance")
	first, err := b.RunRanks(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.RunRanks(context.Background(), req)
	if err != nil || !second.Reattached || second.Artifact == nil || second.Artifact.Manifest != first.Artifact.Manifest {
		t.Errorf("got %+v, %v", second, err)
	}
}

func TestNextAttemptAttachesToRunningRanks(t *testing.T) {
	b := newHostBench(t)
	starts, gate := filepath.Join(b.dir, "starts"), filepath.Join(b.dir, "go")
	req := b.request("steps=3", "model=distance", "until="+gate)
	// A wrapper that counts how often the ranks were started.
	req.Train.Command = append([]string{"/bin/sh", "-c", `echo $RANK >> "$0"; exec "$@"`, starts}, req.Train.Command...)

	attempt, timeOut := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.RunRanks(attempt, req)
		done <- err
	}()
	b.eventually("the ranks run and report", func() bool { return b.metrics.count() == 3 })
	before, _ := b.job(req)
	timeOut(errors.New("the attempt timed out"))
	wantKind(t, <-done, models.KindUnavailable, "goes on")

	next := &Hosts{ // the next agent knows nothing but the directories
		Node: b.Node, Address: b.Address, Store: b.Store, Metrics: b.metrics, Inspector: b.Inspector,
		Runner: b.Runner, Environments: b.Environments, Cache: b.Cache, Environ: b.Environ,
	}
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = os.WriteFile(gate, []byte("go"), 0o600)
	}()
	result, err := next.RunRanks(context.Background(), req)
	if err != nil || !result.Reattached || result.Steps != 3 || result.Artifact == nil {
		t.Fatalf("got %+v, %v", result, err)
	}
	after, _ := b.job(req)
	if before.Shim != after.Shim || len(strings.Fields(readText(starts))) != 2 {
		t.Errorf("the ranks were started again: %q", readText(starts))
	}
	if b.metrics.count() != 3 {
		t.Errorf("%d points, want 3", b.metrics.count())
	}
}

func TestCancellationEndsTheGangAndKeepsItsCheckpoint(t *testing.T) {
	b := newHostBench(t)
	req := b.request("steps=2", "until="+filepath.Join(b.dir, "never"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.RunRanks(ctx, req)
		done <- err
	}()
	b.eventually("the ranks report", func() bool { return b.metrics.count() == 2 })
	cancel()
	err := <-done
	var asked *temporal.CanceledError
	if !errors.As(err, &asked) {
		t.Fatalf("got %v", err)
	}
	b.noneLeft(req)
	found, err := (&Checkpoints{Store: b.memory}).FindCheckpoint(context.Background(), models.FindCheckpointRequest{RunKey: "abc123"})
	if err != nil || found.Step != 3 {
		t.Errorf("got %+v, %v; want the checkpoint that was written on SIGTERM", found, err)
	}
}

func TestResumeFromTheNewestCheckpointThatVerifies(t *testing.T) {
	b := newHostBench(t)
	ctx := context.Background()
	for _, step := range []string{"2", "4"} {
		dir := filepath.Join(b.dir, "old-"+step)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "step"), []byte(step), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := artifact.PutTree(ctx, b.memory, dir, "checkpoints/abc123/step-"+step); err != nil {
			t.Fatal(err)
		}
	}
	// Damage of the same size, which only the digest shows.
	if _, err := artifact.PutBytes(ctx, b.memory, "checkpoints/abc123/step-4/step", []byte("9"), artifact.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	finder := &Checkpoints{Store: b.memory}
	req := b.request("steps=5", "model=distance")
	var err error
	if req.Resume, err = finder.FindCheckpoint(ctx, models.FindCheckpointRequest{RunKey: "abc123"}); err != nil || req.Resume.Step != 4 {
		t.Fatalf("got %+v, %v", req.Resume, err)
	}
	_, err = b.RunRanks(ctx, req)
	wantKind(t, err, models.KindRankLost, "step 4 is damaged")

	if req.Resume, err = finder.FindCheckpoint(ctx, models.FindCheckpointRequest{RunKey: "abc123"}); err != nil || req.Resume.Step != 2 {
		t.Fatalf("got %+v, %v", req.Resume, err)
	}
	req.Token, req.Restart = 6, 1
	result, err := b.RunRanks(ctx, req)
	if err != nil || result.Steps != 5 {
		t.Fatalf("got %+v, %v", result, err)
	}
	if b.metrics.count() != 3 { // steps 3 to 5
		t.Errorf("%d points; the training did not resume after step 2", b.metrics.count())
	}
	if b.stored("mlflow/1/run1/artifacts/logs/restart-1/rank-0.log") == "" {
		t.Error("the restart's log is missing")
	}
}

func TestFailuresSayWhoseFaultItWas(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*models.RunRanksRequest)
		args   []string
		kind   models.ErrorKind
		says   []string
	}{
		"exit 1":     {args: []string{"steps=1", "exit=3"}, kind: models.KindTrainingFailed, says: []string{"exit status 3", "reason 29", "reason 10"}},
		"killed":     {args: []string{"die=1"}, kind: models.KindRankLost, says: []string{"rank-1"}},
		"no model":   {args: []string{"steps=1"}, kind: models.KindModelRejected, says: []string{"left no model"}},
		"misfit":     {args: []string{"steps=1", "model=colour"}, kind: models.KindModelRejected, says: []string{"colour", "distance"}},
		"no program": {change: func(r *models.RunRanksRequest) { r.Train.Command = []string{"trian", "--fast"} }, kind: models.KindTrainingFailed, says: []string{"command not found", "trian", "PATH"}},
		"no interpreter": {change: func(r *models.RunRanksRequest) {
			r.Train.Command, r.Train.Environment.Python = []string{"python", "x.py"}, "python9"
		}, kind: models.KindEnvironmentFailed, says: []string{"python9"}},
		"no secret": {change: func(r *models.RunRanksRequest) { r.Train.Env["TOKEN"] = "env:NOT_SET" }, kind: models.KindEnvironmentFailed, says: []string{"train.env.TOKEN", "NOT_SET"}},
		"too long": {change: func(r *models.RunRanksRequest) { r.Train.Timeout = models.Duration(time.Second) },
			args: []string{"steps=1", "until=/nowhere"}, kind: models.KindTrainingFailed, says: []string{"train.timeout"}},
		"no code": {change: func(r *models.RunRanksRequest) {
			r.Train.Code = models.Source{URI: "s3://mainspring/objects/gone", SHA256: strings.Repeat("0", 64), Size: 3}
		}, kind: models.KindInvalidSpec, says: []string{"objects/gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newHostBench(t)
			req := b.request(c.args...)
			if c.change != nil {
				c.change(&req)
			}
			_, err := b.RunRanks(context.Background(), req)
			wantKind(t, err, c.kind, c.says...)
			if strings.Contains(err.Error(), "reason 9\n") {
				t.Error("the whole log is in the error")
			}
		})
	}
}

func TestOlderLeaseIsRefused(t *testing.T) {
	b := newHostBench(t)
	newer := b.request("steps=1", "model=distance")
	if _, err := b.RunRanks(context.Background(), newer); err != nil {
		t.Fatal(err)
	}
	older := newer
	older.RunKey, older.Token = "def456", 4
	_, err := b.RunRanks(context.Background(), older)
	wantKind(t, err, models.KindStaleFence, "VIRT-n-0")
}

func TestSecretReachesTheProgramAndNoFile(t *testing.T) {
	b := newHostBench(t)
	file := filepath.Join(b.dir, "secret")
	if err := os.WriteFile(file, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	req := b.request()
	req.Train.Command = []string{"/bin/sh", "-c", `test "$A$B" = "hush""-hushfrom""-a-file" && exit 7`}
	req.Train.Env = map[string]string{"A": "env:API_TOKEN", "B": "file:" + file}
	_, err := b.RunRanks(context.Background(), req)
	wantKind(t, err, models.KindTrainingFailed, "exit status 7")
	err = filepath.WalkDir(b.Runner.Root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if text := readText(path); strings.Contains(text, "hush-hush") || strings.Contains(text, "from-a-file") {
			t.Errorf("%s holds a secret", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestMLflowBeingDownHoldsNothingUp(t *testing.T) {
	b := newHostBench(t)
	b.metrics.broken = 2
	if _, err := b.RunRanks(context.Background(), b.request("steps=4", "model=distance")); err != nil {
		t.Fatal(err)
	}
	if b.metrics.count() != 4 {
		t.Errorf("%d points arrived, want 4", b.metrics.count())
	}
}

func TestProgressIsThereForHeartbeats(t *testing.T) {
	b := newHostBench(t)
	gate := filepath.Join(b.dir, "go")
	g := newGang(b.Hosts, b.request("steps=100", "every=100", "model=distance", "until="+gate))
	handle, err := g.start(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := g.see(context.Background(), handle)
		done <- err
	}()
	var last models.RankProgress
	b.eventually("a heartbeat would tell everything", func() bool {
		detail, version := g.read()
		last = detail
		return version > 100 && detail.Step == 100 && len(detail.PIDs) == 2 && detail.Checkpoint == 100
	})
	if last.Phase != phaseTraining || last.Of != 100 || last.Metrics["loss"] != 0.01 || len(last.Curve) < maxCurve/2 || len(last.Curve) > maxCurve {
		t.Errorf("got %+v", last)
	}
	if err := os.WriteFile(gate, []byte("go"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The first beat of an attempt must not wait: the server's clock is running.
func TestPulseBeatsAtOnceAndThenOnChange(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	beats := make(chan int, 10)
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var detail int
		if details.Get(&detail) == nil {
			beats <- detail
		}
	})
	env.RegisterActivity(pulseOnce)
	if _, err := env.ExecuteActivity(pulseOnce); err != nil {
		t.Fatal(err)
	}
	if got := <-beats; got != 7 {
		t.Errorf("got %d", got)
	}
}

func pulseOnce(ctx context.Context) error {
	read := make(chan bool, 1)
	stop := pulse(ctx, func() (int, int) { read <- true; return 7, 0 })
	<-read
	stop()
	return nil
}
