package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/telemetry"
	"github.com/mainspring-ml/mainspring/models"
)

// The test binary also plays the agent and its shims.
func TestMain(m *testing.M) {
	part := ""
	if len(os.Args) > 1 {
		part = os.Args[1]
	}
	var err error
	switch part {
	case "agent":
		err = playAgent(os.Args[2], os.Args[3], os.Args[4] == "end jobs")
	case "shim":
		err = runner.RunShim(context.Background(), os.Args[3], os.Stdin)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func playAgent(node, dir string, endJobs bool) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() { <-asked; stop() }()
	return RunAgent(ctx, AgentConfig{
		Node: node, StateDir: filepath.Join(dir, "state"), CacheDir: filepath.Join(dir, "cache"), VirtualDevices: 1, EndJobs: endJobs,
	})
}

// agentBench is a real Temporal, S3 and MLflow, and one host.
type agentBench struct {
	*testing.T
	temporal client.Client
	store    *artifact.S3
	mlflow   *mlflow.Client
	queue    string
	node     string
	dir      string
}

func newAgentBench(t *testing.T) *agentBench {
	t.Helper()
	if os.Getenv("MAINSPRING_TEST_STACK") == "" {
		t.Skip("NOT TESTED with a real Temporal, S3 and MLflow: MAINSPRING_TEST_STACK is not set (make test sets it)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	outlets, err := telemetry.New(ctx, "test")
	if err != nil {
		t.Fatal(err)
	}
	b := &agentBench{T: t, dir: t.TempDir(), node: fmt.Sprintf("n%d", time.Now().UnixNano())}
	b.queue = "agent-test-" + b.node
	if b.temporal, err = Dial(ctx, outlets); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.temporal.Close)
	if b.store, err = artifact.NewS3(artifact.ConfigFromEnv(os.Getenv)); err == nil {
		err = b.store.EnsureBucket(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	if b.mlflow, err = mlflow.New(mlflow.ConfigFromEnv(os.Getenv)); err != nil {
		t.Fatal(err)
	}
	w := worker.New(b.temporal, b.queue, worker.Options{})
	w.RegisterWorkflow(trainOnce)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := runner.StopAll(ctx, filepath.Join(b.dir, "state")); err != nil {
			t.Error(err)
		}
		_ = b.temporal.TerminateWorkflow(ctx, models.NodeID(b.node), "", "the test is over")
	})
	return b
}

// trainOnce calls the activity as the engine's own workflows do.
func trainOnce(ctx workflow.Context, request models.RunRanksRequest) (models.RanksResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: models.HostQueue(request.Node.Node), ScheduleToStartTimeout: 20 * time.Second, StartToCloseTimeout: time.Hour,
		HeartbeatTimeout: 3 * time.Second, WaitForCancellation: true,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 1},
	})
	var result models.RanksResult
	err := workflow.ExecuteActivity(ctx, models.Hosts.RunRanks, request).Get(ctx, &result)
	return result, err
}

// agent starts an agent; it is killed with the test.
func (b *agentBench) agent(how string) *exec.Cmd {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	agent := exec.Command(self, "agent", b.node, b.dir, how)
	agent.Dir = b.dir
	// The model of these tests is no ONNX: its signature has to do.
	agent.Env = append(os.Environ(), "MAINSPRING_ONNXRUNTIME=")
	log, err := os.OpenFile(filepath.Join(b.dir, "agent.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	agent.Stdout, agent.Stderr = log, log
	err = agent.Start()
	log.Close()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
		if b.Failed() {
			b.Log(runner.Tail(filepath.Join(b.dir, "agent.log"), 40))
		}
	})
	return agent
}

// rank reports three steps and then waits for a file, or SIGTERM.
const rank = `
echo started >> "$0"
for step in 1 2 3; do echo "{\"step\": $step, \"of\": 3, \"loss\": 0.$step}" >> "$MAINSPRING_PROGRESS"; done
while [ ! -e "$1" ]; do sleep 0.05; done
mkdir "$MAINSPRING_MODEL_DIR"
echo "signature: {inputs: '[{\"name\": \"distance\", \"type\": \"long\"}]'}" > "$MAINSPRING_MODEL_DIR/MLmodel"
`

func (b *agentBench) request(token int64) models.RunRanksRequest {
	b.Helper()
	ctx := context.Background()
	snapshot, err := artifact.PutObjectBytes(ctx, b.store, []byte(`{"format":1,"files":[]}`))
	if err != nil {
		b.Fatal(err)
	}
	experiment, err := b.mlflow.EnsureExperiment(ctx, "agent test", nil)
	if err != nil {
		b.Fatal(err)
	}
	run, err := b.mlflow.EnsureRun(ctx, mlflow.EnsureRunRequest{
		ExperimentID: experiment.ID, Key: artifact.Digest(fmt.Append(nil, b.node, token)), Name: b.node, Start: time.Now(),
	})
	if err != nil {
		b.Fatal(err)
	}
	return models.RunRanksRequest{
		RunKey: artifact.Digest(fmt.Append(nil, b.node, token))[:16], Token: token, Groups: 1, WorldSize: 1,
		Node:     models.LeaseNode{Node: b.node, Devices: []models.Device{{UUID: "VIRT-" + b.node + "-0", Vendor: models.VendorVirtual}}},
		Snapshot: snapshot,
		Train: models.TrainSpec{
			Command: []string{"/bin/sh", "-c", rank, b.starts(token), b.gate(token)},
			Grace:   models.Duration(5 * time.Second), Timeout: models.Day,
		},
		Run:      models.Run{RunID: run.ID, ArtifactURI: "s3://" + b.store.Bucket() + "/mlflow/" + run.ID, StartTime: time.Unix(1e9, 0)},
		Features: []models.Column{{Name: "distance", Type: "int64", Role: "feature"}},
	}
}

func (b *agentBench) starts(token int64) string {
	return filepath.Join(b.dir, fmt.Sprintf("starts-%d", token))
}
func (b *agentBench) gate(token int64) string {
	return filepath.Join(b.dir, fmt.Sprintf("gate-%d", token))
}

func (b *agentBench) execute(request models.RunRanksRequest) client.WorkflowRun {
	b.Helper()
	run, err := b.temporal.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{TaskQueue: b.queue}, trainOnce, request)
	if err != nil {
		b.Fatal(err)
	}
	return run
}

// heartbeat waits for the first heartbeat that matches.
func (b *agentBench) heartbeat(run client.WorkflowRun, matches func(attempt int32, p models.RankProgress) bool) models.RankProgress {
	b.Helper()
	var p models.RankProgress
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		description, err := b.temporal.DescribeWorkflowExecution(context.Background(), run.GetID(), run.GetRunID())
		if err != nil {
			b.Fatal(err)
		}
		for _, pending := range description.GetPendingActivities() {
			p = models.RankProgress{}
			if pending.GetHeartbeatDetails() == nil || converter.GetDefaultDataConverter().FromPayloads(pending.GetHeartbeatDetails(), &p) != nil {
				continue
			}
			if matches(pending.GetAttempt(), p) {
				return p
			}
		}
	}
	b.Fatalf("no such heartbeat; the last was %+v", p)
	return p
}

func training(_ int32, p models.RankProgress) bool { return p.Step == 3 && len(p.PIDs) == 1 }

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func (b *agentBench) gone(pid int) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !alive(pid) {
			return
		}
	}
	b.Errorf("process %d still runs", pid)
}

func TestKilledAgentLosesNoTraining(t *testing.T) {
	b := newAgentBench(t)
	request := b.request(1)
	first := b.agent("leave jobs")
	run := b.execute(request)
	before := b.heartbeat(run, training)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()

	b.agent("leave jobs")
	after := b.heartbeat(run, func(attempt int32, p models.RankProgress) bool {
		return attempt > 1 && p.Reattached && training(attempt, p)
	})
	if after.PIDs[0] != before.PIDs[0] {
		t.Errorf("rank %d became %d", before.PIDs[0], after.PIDs[0])
	}
	if err := os.WriteFile(b.gate(1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var result models.RanksResult
	if err := run.Get(context.Background(), &result); err != nil {
		t.Fatal(err)
	}
	starts, err := os.ReadFile(b.starts(1))
	if err != nil || !result.Reattached || result.Steps != 3 || strings.Count(string(starts), "started") != 1 {
		t.Errorf("got %+v, starts %q, %v", result, starts, err)
	}
	history, err := b.mlflow.MetricHistory(context.Background(), request.Run.RunID, "loss")
	if err != nil || len(history) != 3 {
		t.Errorf("MLflow has %v, %v; want each step once", history, err)
	}
}

func TestCancelledWorkflowEndsItsRanksWithinSeconds(t *testing.T) {
	b := newAgentBench(t)
	b.agent("leave jobs")
	run := b.execute(b.request(1))
	p := b.heartbeat(run, training)
	began := time.Now()
	if err := b.temporal.CancelWorkflow(context.Background(), run.GetID(), ""); err != nil {
		t.Fatal(err)
	}
	err := run.Get(context.Background(), nil)
	var cancelled *temporal.CanceledError
	if !errors.As(err, &cancelled) || alive(p.PIDs[0]) {
		t.Errorf("got %v; the rank is alive: %v", err, alive(p.PIDs[0]))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestAgentThatIsToldToEndLeavesOrEndsItsJobs(t *testing.T) {
	b := newAgentBench(t)
	leaving := b.agent("leave jobs")
	run := b.execute(b.request(1))
	p := b.heartbeat(run, training)
	if err := leaving.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := leaving.Wait(); err != nil {
		t.Errorf("the agent did not leave well: %v", err)
	}
	if !alive(p.PIDs[0]) {
		t.Fatal("the rank went with the agent")
	}
	ending := b.agent("end jobs")
	b.heartbeat(run, func(attempt int32, p models.RankProgress) bool { return p.Reattached && training(attempt, p) })
	if err := ending.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := ending.Wait(); err != nil {
		t.Errorf("the agent did not leave well: %v", err)
	}
	b.gone(p.PIDs[0])
	if err := b.temporal.TerminateWorkflow(context.Background(), run.GetID(), "", "the test is over"); err != nil {
		t.Error(err)
	}
}
