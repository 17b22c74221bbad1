package client

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/mainspring-ml/mainspring/models"
)

func TestTopUp(t *testing.T) {
	const training = testLifecycle + "/train"
	limited := map[string]any{training: models.TrainStatus{Budget: 100, Account: models.GPUAccount{Computing: 100}}}
	types := map[string]string{training: models.TrainWorkflow}
	up := models.TopUp{ID: "one", GPUSeconds: 60}
	for _, id := range []string{testLifecycle, training} {
		server := newFakeServer(scene{status: limited, types: types})
		done, err := newTestClient(t, server).TopUp(t.Context(), id, up)
		want := training + ": 60 GPU-seconds added to a budget of 100, of which its ended attempts have used 100"
		if err != nil || done != want {
			t.Errorf("%s: %q, error %v", id, done, err)
		}
		if len(server.signalled) != 1 || server.signalled[0] != (sentSignal{training, models.SignalTopUp, up}) {
			t.Errorf("%s: signalled %+v", id, server.signalled)
		}
	}
	for name, c := range map[string]struct {
		scene scene
		up    models.TopUp
		want  string
	}{
		"nothing":   {scene{status: limited, types: types}, models.TopUp{}, "give a number above 0"},
		"no budget": {scene{status: map[string]any{training: models.TrainStatus{}}, types: types}, up, "has no budget to add to"},
		"ended":     {scene{status: limited, types: types, ended: true}, up, "has ended"},
		"other":     {scene{typed: models.GPUPoolWorkflow}, up, "is a GPUPool; name a lifecycle or its training"},
		"missing":   {scene{missing: true}, up, "there is no workflow"},
	} {
		server := newFakeServer(c.scene)
		_, err := newTestClient(t, server).TopUp(t.Context(), testLifecycle, c.up)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if len(server.signalled) > 0 {
			t.Errorf("%s: signalled %+v", name, server.signalled)
		}
	}
}

// TestFollowTellsPausesAndFailures: a training that waits, pauses, goes on and
// fails: each is told once, and the account comes last.
func TestFollowTellsPausesAndFailures(t *testing.T) {
	start := time.Now()
	status := models.LifecycleStatus{Stage: models.StageTrain, Spec: testSpec(), Started: map[models.Stage]time.Time{models.StageTrain: start}}
	status.Spec.Train.Resources.Pool = "default"
	failed := status
	failed.Ended = map[models.Stage]time.Time{models.StageTrain: start.Add(9 * time.Second)}
	first := models.AttemptSummary{Attempt: 1, Nodes: []string{"h1"}, To: 14, Began: start, Ended: start.Add(3 * time.Second), Reason: models.ExitPaused, Detail: "used up"}
	second := first
	second.Attempt, second.Reason, second.Detail = 2, models.ExitOutOfMemory, "above 4GiB"
	look := func(s models.LifecycleStatus, train models.TrainStatus) scene {
		return scene{status: map[string]any{testLifecycle: s, testLifecycle + "/train": train, "pool/default": models.PoolStatus{}}}
	}
	server := newFakeServer(
		look(status, models.TrainStatus{State: models.TrainPreparing, Attempt: 1, Waiting: "a host: the pool has none yet"}),
		look(status, models.TrainStatus{State: models.TrainPaused, Attempt: 2, Waiting: "a top-up: `mainspring top-up x`", Attempts: []models.AttemptSummary{first}}),
		look(status, models.TrainStatus{State: models.TrainPaused, Attempt: 2, Waiting: "a top-up: `mainspring top-up x`", Attempts: []models.AttemptSummary{first}}),
		look(status, models.TrainStatus{State: models.TrainRunning, Attempt: 2, Resumed: 14, Attempts: []models.AttemptSummary{first}}),
		look(status, models.TrainStatus{State: models.TrainLeasing, Attempt: 2, Waiting: "a host: the pool has none yet", Attempts: []models.AttemptSummary{first}}),
		look(failed, models.TrainStatus{State: models.TrainFailed, Attempt: 2, Attempts: []models.AttemptSummary{first, second}, Account: models.GPUAccount{Lost: 6}}),
	)
	server.failure = temporal.NewNonRetryableApplicationError("above 4GiB", string(models.KindTrainingFailed), nil)
	var out bytes.Buffer
	if _, err := newTestClient(t, server).Follow(t.Context(), testLifecycle, &out); err == nil {
		t.Fatal("a failed training has a result")
	}
	told := strings.Split(out.String(), "\n")
	checkLines(t, strings.Join(told[2:], "\n"), []string{
		"  train     started",
		"  train     waiting for a host: the pool has none yet",
		"  train     attempt 1 on h1 ended at step 14 after 3.0s: paused: used up",
		"  train     paused; waiting for a top-up: `mainspring top-up x`",
		"  train     attempt 2, from step 14",
		"  train     waiting for a host: the pool has none yet",
		"  train     attempt 2 on h1 ended at step 14 after 3.0s: out of memory: above 4GiB",
		"  train     broke off after 9.0s",
		"  train     6 GPU-seconds leased: starting 0 (0 %), computing 0 (0 %), checkpointing 0 (0 %), lost 6 (100 %); waited for 0 before",
	})
}
