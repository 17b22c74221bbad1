package client

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

const testLifecycle = "lifecycle/delay/2013-03-01"

func testSpec() models.LifecycleSpec {
	return models.LifecycleSpec{
		Model: models.ModelSpec{Name: "delay"},
		Data: models.DataSpec{Source: "s3://b/data/", Time: "t", Key: "k", Label: "y", Features: []string{"x"},
			AsOf: time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC), Window: 60 * models.Day, Holdout: 14 * models.Day},
		Train: models.TrainSpec{Command: []string{"python", "train.py"}},
	}
}

func TestStartLifecycle(t *testing.T) {
	server := newFakeServer()
	c := newTestClient(t, server)
	id, err := c.StartLifecycle(t.Context(), testSpec(), StartOptions{})
	if err != nil || id != testLifecycle {
		t.Fatalf("id %q, error %v", id, err)
	}
	if server.started.ID != testLifecycle || server.started.TaskQueue != "mainspring" ||
		!server.started.WorkflowExecutionErrorWhenAlreadyStarted || server.started.StaticSummary != "delay as of 2013-03-01" {
		t.Errorf("started with %+v", server.started)
	}
	if server.startArgs[0] != "Lifecycle" || server.startArgs[1].(models.LifecycleSpec).Model.Name != "delay" {
		t.Errorf("started %v", server.startArgs)
	}

	id, err = c.StartLifecycle(t.Context(), testSpec(), StartOptions{ID: "mine"})
	if err != nil || id != "mine" || server.started.ID != "mine" {
		t.Errorf("id %q, started %q, error %v", id, server.started.ID, err)
	}
}

func TestStartLifecycleRefuses(t *testing.T) {
	server := newFakeServer()
	c := newTestClient(t, server)
	spec := testSpec()
	spec.Data.Source = "data/"
	_, err := c.StartLifecycle(t.Context(), spec, StartOptions{})
	var problems models.Problems
	if !errors.As(err, &problems) || problems[0].Path != "data.source" || server.started.ID != "" {
		t.Errorf("unresolved spec: error %v, started %q", err, server.started.ID)
	}

	server.startErr = serviceerror.NewWorkflowExecutionAlreadyStarted("x", "", "")
	_, err = c.StartLifecycle(t.Context(), testSpec(), StartOptions{})
	want := "a lifecycle with the ID lifecycle/delay/2013-03-01 is running already: " +
		"follow it with `mainspring status --follow lifecycle/delay/2013-03-01`, or choose another with --id"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
}

func TestDefaultIDWithoutAsOf(t *testing.T) {
	spec := testSpec()
	spec.Data.AsOf = time.Time{}
	if got, want := defaultID(spec, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), "lifecycle/delay/2026-01-02T03-04-05"; got != want {
		t.Errorf("id = %s, want %s", got, want)
	}
}

func TestDialNothingThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TEMPORAL_CONFIG_FILE", t.TempDir()+"/none.toml")

	t.Setenv("TEMPORAL_ADDRESS", "")
	_, err = Dial(t.Context(), DialOptions{Address: address, Timeout: time.Second})
	want := "no Temporal server answers at " + address + " (of the running stack): start a stack with `mainspring dev`, or set TEMPORAL_ADDRESS: "
	if !errors.Is(err, ErrNotReachable) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error = %v\nwant prefix %s", err, want)
	}

	t.Setenv("TEMPORAL_ADDRESS", address)
	_, err = Dial(t.Context(), DialOptions{Address: "127.0.0.1:1", Timeout: time.Second})
	if err == nil || !strings.Contains(err.Error(), address+" (from TEMPORAL_ADDRESS or temporal.toml)") {
		t.Errorf("error = %v, want the address of TEMPORAL_ADDRESS", err)
	}
}

func TestFollow(t *testing.T) {
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	training := models.LifecycleStatus{Stage: models.StageTrain, WaitingFor: "training", Spec: testSpec(),
		Snapshot: &models.Snapshot{Manifest: models.Ref{SHA256: "0123456789abcdef"}, Train: models.Span{Rows: 900}, Test: models.Span{Rows: 100}},
		Started:  map[models.Stage]time.Time{models.StagePrepare: at(0), models.StageTrain: at(2)},
		Ended:    map[models.Stage]time.Time{models.StagePrepare: at(2)}}
	training.Spec.Train.Resources.Pool = "default"
	pool := models.PoolStatus{
		Waiting: []models.PoolRequest{{LeaseRequest: models.LeaseRequest{RequestID: "r", Holder: testLifecycle + "/train"}}},
		Reasons: map[string]string{"r": "no node has 2 free devices"},
	}
	rollingOut := training
	rollingOut.Stage, rollingOut.WaitingFor = models.StageRollout, ""
	rollingOut.Training = &models.TrainResult{Steps: 40, Devices: []string{"a", "b"}, Restarts: 1,
		Account: models.GPUAccount{Waiting: 3, Starting: 2, Computing: 12, Checkpointing: 1, Lost: 5}}
	rollingOut.Started = map[models.Stage]time.Time{models.StagePrepare: at(0), models.StageTrain: at(2), models.StageRollout: at(9)}
	rollingOut.Ended = map[models.Stage]time.Time{models.StagePrepare: at(2), models.StageTrain: at(9)}

	trainID, stewardID, rolloutID := testLifecycle+"/train", "model/delay", "model/delay/rollout-3"
	server := newFakeServer(
		scene{err: serviceerror.NewUnavailable("down")},
		scene{err: serviceerror.NewUnavailable("down")},
		scene{status: map[string]any{testLifecycle: training, trainID: models.TrainStatus{Waiting: "2 devices"}, "pool/default": pool}},
		scene{status: map[string]any{testLifecycle: training}}, // the child is not there for a moment
		scene{status: map[string]any{testLifecycle: training, trainID: models.TrainStatus{Attempt: 2, Resumed: 10, State: models.TrainRunning,
			Skipped:  []string{"step-12: damaged"},
			Attempts: []models.AttemptSummary{{Attempt: 1, Nodes: []string{"h1", "h2"}, To: 14, Began: at(2), Ended: at(5), Reason: models.ExitHang, Detail: "no\nprogress"}}}},
			ranks: map[string]any{trainID: models.RankProgress{Phase: "training", Step: 20, Of: 40, Metrics: map[string]float64{"loss": 0.41}}}},
		scene{status: map[string]any{testLifecycle: rollingOut,
			stewardID: models.StewardStatus{StewardState: models.StewardState{Challenger: "3"}},
			rolloutID: models.RolloutStatus{Version: "3", Waiting: "30 more requests", RolloutState: models.RolloutState{Steps: []models.CanaryStep{{
				Weight: 0.1, Canary: models.ArmCounts{Requests: 500, Errors: 1}, Champion: models.ArmCounts{Requests: 4500, Errors: 9},
				Verdict: models.CanaryVerdict{Verdict: models.VerdictInconclusive, Harm: 0.5, Safe: 7, HarmThreshold: 200, SafeThreshold: 40}}}}}}},
	)
	server.result = models.LifecycleResult{Model: "delay", Version: "3", Promoted: true, Reason: "better by 0.07",
		Gate: models.GateVerdict{Verdict: models.VerdictPass, Reason: "all checks passed", Checks: []models.GateCheck{
			{Name: "log_loss against champion", Verdict: models.VerdictPass, Figure: models.Estimate{Value: 0.07, Low: 0.03, High: 0.1}, Limit: "gain > 0"}}}}

	var out bytes.Buffer
	result, err := newTestClient(t, server).Follow(t.Context(), testLifecycle, &out)
	if err != nil || !result.Promoted || result.Version != "3" {
		t.Fatalf("result %+v, error %v", result, err)
	}
	want := []string{
		"following lifecycle/delay/2013-03-01",
		"  http://127.0.0.1:8233/namespaces/default/workflows/lifecycle%2Fdelay%2F2013-03-01",
		"            query lifecycle/delay/2013-03-01: down; the lifecycle is unaffected, looking again",
		"  prepare   started",
		"  prepare   ended after 2.0s: 900 training rows, 100 held out, snapshot 0123456789ab",
		"  train     started",
		"  train     waiting for training",
		"  train     no devices yet: no node has 2 free devices",
		"  train     attempt 1 on h1, h2 ended at step 14 after 3.0s: hang: no progress",
		"  train     checkpoint passed over: step-12: damaged",
		"  train     attempt 2, from step 10",
		"  train     training, [##########..........] step 20 of 40, loss 0.41",
		"  train     ended after 7.0s: 40 steps on 2 devices, 1 restart",
		"  train     20 GPU-seconds leased: starting 2 (10 %), computing 12 (60 %), checkpointing 1 (5 %), lost 5 (25 %); waited for 3 before",
		"  rollout   started",
		"  rollout   waiting for 30 more requests",
		"  rollout   canary at 10%: 500 requests, 1 errors (champion 4500, 9); harm 0.5 of 200, safe 7 of 40",
		"          gate: pass: all checks passed",
		"            log_loss against champion    pass         0.0700 [0.0300, 0.1000]    gain > 0",
		"  done      delay version 3 promoted: better by 0.07",
	}
	checkLines(t, out.String(), want)
}

// checkLines compares lines but for the elapsed time in front, which depends
// on when a test looks.
func checkLines(t *testing.T, text string, want []string) {
	t.Helper()
	got := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("line %d is missing: %q", i, want[i])
		case i >= len(want):
			t.Errorf("line %d is unexpected: %q", i, got[i])
		case !strings.HasSuffix(got[i], want[i]):
			t.Errorf("line %d:\n got %q\nwant …%q", i, got[i], want[i])
		}
	}
}

func TestFollowTellsWhatIsTriedAgain(t *testing.T) {
	status := models.LifecycleStatus{Stage: models.StageEvaluate, Spec: testSpec(),
		Started: map[models.Stage]time.Time{models.StageEvaluate: time.Now()}}
	evaluating := map[string]any{testLifecycle: status}
	down := map[string]string{testLifecycle + "/evaluate": "S3 does not answer"}
	server := newFakeServer(scene{status: evaluating, failing: down}, scene{status: evaluating, failing: down}, scene{status: evaluating})
	server.failure = temporal.NewCanceledError()
	var out bytes.Buffer
	if _, err := newTestClient(t, server).Follow(t.Context(), testLifecycle, &out); err == nil {
		t.Fatal("a cancelled lifecycle has a result")
	}
	told := strings.Split(out.String(), "\n")
	checkLines(t, strings.Join(told[2:], "\n"), []string{"  evaluate  started",
		"  evaluate  PredictRows waits and is tried again: S3 does not answer", "  evaluate  PredictRows goes on"})
}

func TestGateIsToldOnce(t *testing.T) {
	now := time.Now()
	result := models.LifecycleResult{Model: "delay", Reason: "worse", Gate: models.GateVerdict{Verdict: models.VerdictFail, Reason: "worse"}}
	status := models.LifecycleStatus{Stage: models.StageDone, Result: &result, Gate: &result.Gate,
		Started: map[models.Stage]time.Time{models.StageEvaluate: now}, Ended: map[models.Stage]time.Time{models.StageEvaluate: now}}
	story := newNarrator(now)
	lines := append(story.tell(observation{Status: status}, now), story.tellResult(result, now)...)
	checkLines(t, strings.Join(lines, "\n"), []string{"  evaluate  started", "  evaluate  ended after 0.0s",
		"  gate: fail: worse", "  done      delay not promoted: worse"})
}

func TestFollowFailure(t *testing.T) {
	server := newFakeServer(scene{status: map[string]any{testLifecycle: models.LifecycleStatus{Stage: models.StagePrepare}}})
	cause := temporal.NewNonRetryableApplicationError("column hour: missing (add it)", string(models.KindInvalidSpec), nil)
	server.failure = temporal.NewApplicationErrorWithOptions("stage failed", "Stage", temporal.ApplicationErrorOptions{Cause: cause})
	_, err := newTestClient(t, server).Follow(t.Context(), testLifecycle, &bytes.Buffer{})
	var failure *Failure
	if !errors.As(err, &failure) || failure.Kind != models.KindInvalidSpec {
		t.Fatalf("error %v", err)
	}
	want := "lifecycle lifecycle/delay/2013-03-01 failed (InvalidSpec):\n  column hour: missing (add it)"
	if err.Error() != want {
		t.Errorf("error = %s\nwant    %s", err, want)
	}
}

func TestFollowCancelled(t *testing.T) {
	server := newFakeServer(scene{status: map[string]any{testLifecycle: models.LifecycleStatus{}}})
	server.failure = temporal.NewCanceledError()
	_, err := newTestClient(t, server).Follow(t.Context(), testLifecycle, &bytes.Buffer{})
	if want := "lifecycle lifecycle/delay/2013-03-01 failed:\n  it was cancelled"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestFollowUnknown(t *testing.T) {
	server := newFakeServer(scene{})
	server.failure = serviceerror.NewNotFound("nope")
	_, err := newTestClient(t, server).Follow(t.Context(), testLifecycle, &bytes.Buffer{})
	want := "there is no lifecycle lifecycle/delay/2013-03-01: list them with `temporal workflow list --query 'WorkflowType=\"Lifecycle\"'`"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestStopFollowing(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	server := newFakeServer(scene{}, scene{})
	var out bytes.Buffer
	_, err := newTestClient(t, server).Follow(stopped, testLifecycle, &out)
	if !errors.Is(err, ErrStoppedFollowing) {
		t.Errorf("error = %v", err)
	}
	for _, want := range []string{"mainspring status --follow lifecycle/delay/2013-03-01\n",
		"temporal workflow cancel --address 127.0.0.1:7233 --namespace default --workflow-id lifecycle/delay/2013-03-01\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestPrintStatus(t *testing.T) {
	started := time.Now().Add(-time.Minute)
	server := newFakeServer(scene{status: map[string]any{testLifecycle: models.LifecycleStatus{Stage: models.StagePrepare,
		WaitingFor: "rows", Started: map[models.Stage]time.Time{models.StagePrepare: started}}}}, scene{})
	var out bytes.Buffer
	if err := newTestClient(t, server).PrintStatus(t.Context(), testLifecycle, &out); err != nil {
		t.Fatal(err)
	}
	checkLines(t, out.String(), []string{"  prepare   started", "  prepare   waiting for rows"})
}

// TestPrintStatusOfWhatHasEnded: the outcome is what somebody looks for.
func TestPrintStatusOfWhatHasEnded(t *testing.T) {
	over := scene{ended: true, status: map[string]any{testLifecycle: models.LifecycleStatus{Stage: models.StageDone}}}
	server := newFakeServer(over)
	server.result = models.LifecycleResult{Model: "delay", Version: "3", Promoted: true, Reason: "it was better"}
	var out bytes.Buffer
	if err := newTestClient(t, server).PrintStatus(t.Context(), testLifecycle, &out); err != nil {
		t.Fatal(err)
	}
	checkLines(t, out.String(), []string{"  done      delay version 3 promoted: it was better"})

	out.Reset()
	server = newFakeServer(over)
	server.failure = errors.New("no devices")
	if err := newTestClient(t, server).PrintStatus(t.Context(), testLifecycle, &out); err != nil {
		t.Fatal(err)
	}
	checkLines(t, out.String(), []string{"lifecycle " + testLifecycle + " failed:", "  no devices"})
}

// TestStatusSurvivesAWorkerThatDied: the server gives up on it once.
func TestStatusSurvivesAWorkerThatDied(t *testing.T) {
	late := scene{err: serviceerror.NewDeadlineExceeded("late")}
	good := scene{status: map[string]any{testLifecycle: models.LifecycleStatus{Version: "3"}}}
	status, err := newTestClient(t, newFakeServer(late, late, good)).Status(t.Context(), testLifecycle)
	if err != nil || status.Version != "3" {
		t.Errorf("%+v, %v", status, err)
	}
	_, err = newTestClient(t, newFakeServer(late, late, late, good)).Status(t.Context(), testLifecycle)
	if err == nil || !strings.Contains(err.Error(), "no worker answers for "+testLifecycle) {
		t.Errorf("error = %v", err)
	}
}

func TestPrintStatusOfOthers(t *testing.T) {
	server := newFakeServer(scene{typed: "GPUPool", status: map[string]any{"pool/default": map[string]any{"pool": "default"}}})
	var out bytes.Buffer
	if err := newTestClient(t, server).PrintStatus(t.Context(), "pool/default", &out); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"pool\": \"default\"\n}\n"; out.String() != want {
		t.Errorf("printed %s, want %s", out.String(), want)
	}

	server = newFakeServer(scene{missing: true})
	err := newTestClient(t, server).PrintStatus(t.Context(), "pool/none", &out)
	if want := "there is no workflow pool/none at 127.0.0.1:7233: list them with `temporal workflow list`"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestProgressIsThinned(t *testing.T) {
	began := time.Now()
	story := newNarrator(began)
	seen := observation{Status: models.LifecycleStatus{Stage: models.StageTrain, Started: map[models.Stage]time.Time{models.StageTrain: began}}}
	var lines []string
	for second := range 11 {
		seen.Ranks = &models.RankProgress{Step: int64(second + 1)}
		lines = append(lines, story.tell(seen, began.Add(time.Duration(second)*time.Second))...)
	}
	checkLines(t, strings.Join(lines, "\n"), []string{
		"    0.0s  train     started", "    0.0s  train     step 1", "    5.0s  train     step 6", "   10.0s  train     step 11"})
}
