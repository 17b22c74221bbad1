package governance

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// TestLineage: two lifecycles use one snapshot; one candidate is registered and
// decays, the other is refused by the gate; a retraining follows.
func TestLineage(t *testing.T) {
	p := openPlace(t)
	at := time.Date(2013, 4, 1, 12, 0, 0, 0, time.UTC)
	listing, err := json.Marshal([]models.Partition{{URI: "s3://raw/flights/2013-01.parquet", Size: 20 << 20}, {URI: "s3://raw/flights/2013-02.parquet", Size: 22 << 20}})
	p.must(err)
	listed, err := artifact.PutObjectBytes(p.ctx, p.store, listing)
	p.must(err)
	use := func(workflow, run string, at time.Time) models.SnapshotUse {
		return models.SnapshotUse{Model: "flight-delay", Workflow: workflow, Run: run, At: at, Namespace: p.namespace,
			Source: "s3://raw/flights/", Raw: listed, Listing: listed, CodeSHA256: artifact.Digest([]byte("join_weather.py"))}
	}
	experiment, err := p.mlflow.EnsureExperiment(p.ctx, "flight-delay", nil)
	p.must(err)
	run := func(lifecycle, snapshot, gate, reason string) string {
		run, err := p.mlflow.EnsureRun(p.ctx, mlflow.EnsureRunRequest{ExperimentID: experiment.ID, Key: artifact.Digest([]byte(lifecycle)), Name: lifecycle,
			Start: at, Tags: map[string]string{"mainspring.lifecycle": lifecycle, "mainspring.snapshot_sha256": snapshot, "mainspring.gate": gate, "mainspring.gate_reason": reason}})
		p.must(err)
		p.must(p.mlflow.LogDatasets(p.ctx, run.ID, mlflow.Dataset{Name: "flights", Digest: mlflow.DatasetDigest(snapshot), SourceType: "s3", Source: "{}", Context: "training"}))
		p.must(p.mlflow.UpdateRun(p.ctx, mlflow.UpdateRunRequest{RunID: run.ID, Status: mlflow.RunFinished, End: at.Add(time.Hour)}))
		return run.ID
	}
	lifecycle := func(id string, result models.LifecycleResult) string {
		started := p.start(p.temporal, models.LifecycleWorkflow, id, map[string]any{"result": result})
		p.end(id)
		return started.GetRunID()
	}
	const first, refused, second = "lifecycle/flight-delay/2013-04-01", "lifecycle/flight-delay/2013-04-02", "lifecycle/flight-delay/2013-06-01"
	// The snapshot's digest does not depend on who uses it.
	snapshot := p.publish(use(first, lifecycle(first, models.LifecycleResult{Reason: "version 1 is the champion", Gate: models.GateVerdict{Verdict: models.VerdictPass}}), at), "january", "february")
	refusedRun := run(refused, snapshot, "fail", "log loss 0.61 is above 0.55")
	p.publish(use(refused, lifecycle(refused, models.LifecycleResult{RunID: refusedRun, Reason: "the gate refused the candidate: log loss 0.61 is above 0.55",
		Gate: models.GateVerdict{Verdict: models.VerdictFail}, RefusedBy: models.RefusedByGate}), at.Add(24*time.Hour)), "january", "february")
	later := p.publish(use(second, "", at.Add(60*24*time.Hour)), "march", "april")
	report, err := json.Marshal(models.CheckReport{Format: 1, Checks: []models.CheckResult{{Check: "rows", Passed: true},
		{Check: "null_rise", Column: "distance", Severity: models.SeverityWarn, Message: "nulls rose from 0.01 to 0.08; the limit is 0.05"}, {Check: "skew", Skipped: "there is no champion yet"}}})
	p.must(err)
	_, err = artifact.PutBytes(p.ctx, p.store, snapshots.ReportKey(snapshot), report, artifact.PutOptions{})
	p.must(err)

	candidate := func(lifecycle, runID, snapshot string, loss float64) models.Candidate {
		return models.Candidate{Lifecycle: lifecycle, RunID: runID, Snapshot: snapshot, CodeSHA256: artifact.Digest([]byte("train.py")), CodeCommit: "3f9c2a71d0aa",
			Metrics: map[models.Metric]models.Estimate{models.LogLoss: {Value: loss, Low: loss - 0.01, High: loss + 0.01}},
			Gate:    models.GateVerdict{Verdict: models.VerdictPass, Reason: "all checks passed"}}
	}
	spec := models.LifecycleSpec{Model: models.ModelSpec{Name: "flight-delay"}, Deploy: &models.DeploySpec{Endpoint: "flights"}}
	records := []models.Record{}
	for _, r := range []models.Record{
		{At: at, Action: models.ActionRegistered, Version: "1"}, {At: at, Action: models.ActionRolloutStarted, Version: "1"},
		{At: at.Add(time.Hour), Action: models.ActionPromoted, Version: "1", Aliases: map[string]string{models.AliasChampion: "1"}},
		{At: at.Add(61 * 24 * time.Hour), Action: models.ActionPromoted, Version: "2", Aliases: map[string]string{models.AliasChampion: "2", models.AliasPrevious: "1"}},
	} {
		sequence, hash := int64(0), ""
		if n := len(records); n > 0 {
			sequence, hash = records[n-1].Sequence, records[n-1].Hash
		}
		records = append(records, r.Follow(sequence, hash))
	}
	status := models.StewardStatus{StewardState: models.StewardState{Model: "flight-delay", Champion: "2", Previous: "1", Records: records,
		Versions: []models.ModelVersion{
			{Version: "1", RegisteredAt: at.Add(time.Hour), Spec: spec, Candidate: candidate(first, run(first, snapshot, "pass", "all checks passed"), snapshot, 0.43)},
			{Version: "2", RegisteredAt: at.Add(61 * 24 * time.Hour), Spec: spec, Candidate: candidate(second, run(second, later, "pass", "all checks passed"), later, 0.41)},
		},
		Retrainings: []models.Retraining{{RequestID: "alarm-1", LifecycleID: second, Champion: "1", Version: "2", Ended: true, Promoted: true, Endpoint: "flights", AsOf: at.Add(60 * 24 * time.Hour),
			Trigger: models.Trigger{Kind: models.TriggerAlarm, Reason: "the loss has risen since 2013-05-20"}, Outcome: models.RetrainPromoted, Reason: "version 2 is the champion"}}}}
	p.start(p.temporal, models.ModelStewardWorkflow, models.StewardID("flight-delay"), map[string]any{"status": status})

	expect := func(target string, environment []string, wanted ...string) {
		t.Helper()
		out, err := p.mainspring(environment, "lineage", target)
		if err != nil {
			t.Errorf("lineage %s: %v", target, err)
		}
		for _, want := range wanted {
			if !strings.Contains(out, want) {
				t.Errorf("lineage %s does not say %q", target, want)
			}
		}
	}
	expect("flight-delay@previous", nil, "model version flight-delay/1", "stage: previous", "log_loss: 0.43", "snapshot "+snapshot[:12],
		"s3://raw/flights/", "2 files, 42.0 MiB", "preparing program", "warning: null_rise of distance", "served on: endpoint flights",
		"the loss has risen", "model version flight-delay/2")
	expect("flight-delay/2", nil, "serves on: endpoint flights", "trigger alarm alarm-1 → started", "model version flight-delay/1")
	expect(snapshot[:8], nil, "model version flight-delay/1", first, refused, refusedRun, "fail: log loss 0.61 is above 0.55")
	expect(snapshot, []string{"MLFLOW_TRACKING_URI=http://127.0.0.1:1"}, "model version flight-delay/1", "MLflow does not answer", refused, "the gate refused the candidate")
	for target, want := range map[string]string{
		"flight-delay/7": "did you mean flight-delay/", "flight-delai/1": "did you mean flight-delay?", snapshot[:7] + "x": "neither a model version",
		flipped(snapshot[:8]): "did you mean " + snapshot[:8],
	} {
		if out, err := p.mainspring(nil, "lineage", target); err == nil || !strings.Contains(out, want) {
			t.Errorf("lineage %s does not say %q", target, want)
		}
	}
	var graph models.LineageGraph
	out, err := p.mainspring(nil, "lineage", snapshot, "--json")
	p.must(err)
	p.must(json.Unmarshal([]byte(out), &graph))
	if len(graph.Nodes) < 9 || len(graph.Edges) < 9 || graph.Root != "snapshot:"+snapshot {
		t.Errorf("%d nodes and %d edges from %s", len(graph.Nodes), len(graph.Edges), graph.Root)
	}
}

// flipped is another digest that is hard to tell apart.
func flipped(digest string) string {
	last := "0"
	if strings.HasSuffix(digest, "0") {
		last = "1"
	}
	return digest[:len(digest)-1] + last
}
