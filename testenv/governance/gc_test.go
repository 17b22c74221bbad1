package governance

import (
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// used is a use of ten days ago.
func used(workflow string, retention models.Duration) models.SnapshotUse {
	return models.SnapshotUse{Model: "flight-delay", Workflow: workflow, Run: "r", At: time.Now().UTC().Add(-10 * 24 * time.Hour),
		Retention: retention, Source: "s3://raw/flights/"}
}

// TestCollection: of twelve snapshots, exactly those go that nobody needs.
func TestCollection(t *testing.T) {
	p := openPlace(t)
	over := models.Day // of a use of ten days ago
	type kept struct {
		snapshot string
		texts    []string
		stays    bool
	}
	all := map[string]*kept{}
	add := func(name string, use models.SnapshotUse, texts ...string) string {
		texts = append(texts, "of "+name)
		all[name] = &kept{snapshot: p.publish(use, texts...), texts: texts, stays: true}
		return all[name].snapshot
	}
	registered := add("a registered version", used("lifecycle/1", over), "shared")
	deleted := add("a deleted version", used("lifecycle/2", over), "shared")
	add("a running lifecycle", used("lifecycle/running", over))
	add("a retention that is not over", used("lifecycle/3", 30*models.Day))
	add("nobody", used("lifecycle/4", over))
	add("no retention", used("lifecycle/5", 0))
	elsewhere := used("lifecycle/elsewhere", over)
	elsewhere.Namespace = p.namespace + "-other"
	add("a lifecycle of another namespace", elsewhere)
	steward := add("a version of a steward whose MLflow is another", used("lifecycle/6", over))
	known := add("a version that its steward has and MLflow had", used("lifecycle/7", over))
	training := add("a training that was started alone", used("lifecycle/8", over))
	running := add("a run of MLflow", used("lifecycle/9", over))
	byHand := add("a version that a person registered from a run", used("lifecycle/10", over))
	for _, gone := range []string{"a deleted version", "nobody", "a version that its steward has and MLflow had"} {
		all[gone].stays = false
	}

	experiment, err := p.mlflow.EnsureExperiment(p.ctx, "governance", nil)
	p.must(err)
	run := func(key, snapshot string, status mlflow.RunStatus) string {
		run, err := p.mlflow.EnsureRun(p.ctx, mlflow.EnsureRunRequest{ExperimentID: experiment.ID, Key: artifact.Digest([]byte(key)), Name: key, Start: time.Now()})
		p.must(err)
		p.must(p.mlflow.LogDatasets(p.ctx, run.ID, mlflow.Dataset{Name: "flights", Digest: mlflow.DatasetDigest(snapshot), SourceType: "s3", Source: "{}", Context: "training"}))
		p.must(p.mlflow.UpdateRun(p.ctx, mlflow.UpdateRunRequest{RunID: run.ID, Status: status}))
		return run.ID
	}
	version := func(model, key, runID, snapshot string) string {
		p.must(p.mlflow.EnsureRegisteredModel(p.ctx, model, "", nil))
		tags := map[string]string{}
		if snapshot != "" {
			tags["mainspring.snapshot_sha256"] = snapshot
		}
		v, err := p.mlflow.EnsureModelVersion(p.ctx, mlflow.EnsureModelVersionRequest{Key: artifact.Digest([]byte(key)), Model: model,
			Source: "s3://mainspring/" + key, RunID: runID, Tags: tags})
		p.must(err)
		return v.Version
	}
	version("flight-delay", "one", "", registered)
	p.must(p.mlflow.DeleteModelVersion(p.ctx, "flight-delay", version("flight-delay", "two", "", deleted)))
	version("by-hand", "three", run("finished", byHand, mlflow.RunFinished), "")
	run("running", running, mlflow.RunRunning)
	const owner = "governance/model/flight-delay"
	_, err = p.mlflow.ClaimModel(p.ctx, mlflow.ClaimRequest{Model: "flight-delay", Owner: owner, Now: time.Now()})
	p.must(err)

	stewardOf := func(model, owner string, versions map[string]string) map[string]any {
		status := models.StewardStatus{StewardState: models.StewardState{Model: model, Owner: owner}}
		for version, snapshot := range versions {
			status.Versions = append(status.Versions, models.ModelVersion{Version: version, Candidate: models.Candidate{Snapshot: snapshot}})
		}
		return map[string]any{"status": status}
	}
	p.start(p.temporal, models.ModelStewardWorkflow, models.StewardID("flight-delay"), stewardOf("flight-delay", owner, map[string]string{"1": registered, "99": known}))
	p.start(p.temporal, models.ModelStewardWorkflow, models.StewardID("fares"), stewardOf("fares", "of another MLflow", map[string]string{"1": steward}))
	p.start(p.temporal, models.LifecycleWorkflow, "lifecycle/running", nil)
	p.start(p.open(elsewhere.Namespace), models.LifecycleWorkflow, "lifecycle/elsewhere", nil)
	p.start(p.temporal, models.TrainWorkflow, "train/alone", map[string]any{"snapshot": models.Snapshot{Manifest: models.Ref{SHA256: training}}})

	check := func(when string) {
		t.Helper()
		for name, k := range all {
			there, err := p.there(k.snapshot, k.texts...)
			if err != nil || there != k.stays {
				t.Errorf("%s: the snapshot of %s is there: %t; want %t (%v)", when, name, there, k.stays, err)
			}
		}
	}
	stays := func() {
		for _, k := range all {
			k.stays = true
		}
	}
	var gone []*kept
	for _, k := range all {
		if !k.stays {
			gone = append(gone, k)
		}
	}
	stays()
	eventually(t, func() string {
		out, err := p.mainspring(nil, "data", "gc", "--grace", "1s")
		p.must(err)
		return out
	}, "train/alone") // lists of workflows lag behind
	check("after a plan")
	for _, dead := range []string{"TEMPORAL_ADDRESS=127.0.0.1:1", "MLFLOW_TRACKING_URI=http://127.0.0.1:1"} {
		if out, err := p.mainspring([]string{dead}, "data", "gc", "--delete", "--grace", "0s"); err == nil || !strings.Contains(out, "nothing is deleted") {
			t.Errorf("%s: %v", dead, err)
		}
	}
	time.Sleep(1100 * time.Millisecond) // the grace, since they were written
	_, err = p.mainspring(nil, "data", "gc", "--delete", "--grace", "1s")
	p.must(err)
	check("after they were condemned")
	time.Sleep(1100 * time.Millisecond)
	_, err = p.mainspring(nil, "data", "gc", "--delete", "--grace", "1s")
	p.must(err)
	for _, k := range gone {
		k.stays = false
	}
	check("after they were deleted")
	if _, err := p.store.Stat(p.ctx, artifact.ObjectKey(artifact.Digest([]byte("shared")))); err != nil {
		t.Errorf("the file that a kept snapshot shares is gone: %v", err)
	}
	for name := range all {
		if _, err := p.store.Stat(p.ctx, artifact.ObjectKey(artifact.Digest([]byte("of "+name)))); (err == nil) != all[name].stays {
			t.Errorf("the file of %s: %v", name, err)
		}
	}

	p.end("lifecycle/running")
	for range 2 {
		_, err = p.mainspring(nil, "data", "gc", "--delete", "--grace", "0s")
		p.must(err)
	}
	all["a running lifecycle"].stays = false
	check("after the lifecycle had ended")
	out, err := p.mainspring(nil, "data", "gc", "--json")
	p.must(err)
	if strings.Count(out, `"snapshot_sha256"`) != len(all)-4 {
		t.Errorf("the report has %d snapshots", strings.Count(out, `"snapshot_sha256"`))
	}
}

// eventually waits until what is looked at says something.
func eventually(t *testing.T, look func() string, want string) {
	t.Helper()
	for range 60 {
		if strings.Contains(look(), want) {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("nothing says %q", want)
}
