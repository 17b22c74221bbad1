package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// lineageWorld has one snapshot that two lifecycles used: version 1 came of the
// first, and version 2 of a retraining of version 1 on another snapshot.
func lineageWorld(t *testing.T) (server *fakeServer, sources LineageSources, snapshot string) {
	t.Helper()
	store := artifact.NewMemory("data")
	raw, snapshot, err := dataset.Encode(models.SnapshotManifest{Format: 1, Train: models.Span{Rows: 52341}})
	if err != nil {
		t.Fatal(err)
	}
	for _, workflow := range []string{"lifecycle/1", "lifecycle/refused"} {
		use := models.SnapshotUse{Model: "flight-delay", Workflow: workflow, Run: "r", At: time.Now(), Source: "s3://raw/flights/", Baseline: "7"}
		if _, err := (snapshots.Catalog{Store: store}).Publish(t.Context(), snapshots.Publication{Manifest: raw, Use: use}); err != nil {
			t.Fatal(err)
		}
	}
	version := func(number, lifecycle, run, of string) models.ModelVersion {
		return models.ModelVersion{Version: number, Spec: models.LifecycleSpec{Model: models.ModelSpec{Name: "flight-delay"}, Deploy: &models.DeploySpec{Endpoint: "flights"}},
			Candidate: models.Candidate{Lifecycle: lifecycle, RunID: run, Snapshot: of}}
	}
	status := models.StewardStatus{StewardState: models.StewardState{Model: "flight-delay", Champion: "2", Previous: "1",
		Versions: []models.ModelVersion{version("1", "lifecycle/1", "run-1", snapshot), version("2", "lifecycle/2", "run-2", sha("2"))},
		Retrainings: []models.Retraining{{RequestID: "alarm", LifecycleID: "lifecycle/2", Champion: "1", Version: "2",
			Trigger: models.Trigger{Kind: models.TriggerAlarm, Reason: "the loss has risen"}}},
		Records: []models.Record{{Sequence: 1, Action: models.ActionPromoted, Version: "1"}},
	}}
	server = newFakeServer(scene{status: map[string]any{"model/flight-delay": status}})
	server.listed = []string{"model/flight-delay"}
	server.closed = map[string]bool{"lifecycle/1": true, "lifecycle/refused": true}
	close(server.over)
	server.result = models.LifecycleResult{RunID: "run-refused", Reason: "the gate refused it", Gate: models.GateVerdict{Verdict: models.VerdictFail}}
	return server, LineageSources{Store: store, Tracking: &fakeTracking{
		registered: []mlflow.ModelVersion{{Model: "flight-delay", Version: "1", RunID: "run-1", Tags: map[string]string{snapshotTag: snapshot}}},
		all:        []mlflow.Run{{ID: "by-hand", Datasets: []mlflow.Dataset{{Digest: mlflow.DatasetDigest(snapshot)}}}},
	}}, snapshot
}

// edgesOf are a graph's edges as sentences.
func edgesOf(graph models.LineageGraph) []string {
	var all []string
	for _, e := range graph.Edges {
		all = append(all, e.From+" "+e.Relation+" "+e.To)
	}
	slices.Sort(all)
	return all
}

func TestLineageOfASnapshot(t *testing.T) {
	server, sources, snapshot := lineageWorld(t)
	graph, err := newTestClient(t, server).Lineage(t.Context(), sources, snapshot[:9])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"lifecycle:lifecycle/1 trained as run:run-1",
		"lifecycle:lifecycle/2 registered model version:flight-delay/2",
		"lifecycle:lifecycle/refused trained as run:run-refused",
		"model version:flight-delay/1 decayed trigger:alarm alarm",
		"model version:flight-delay/1 served on endpoint:flights",
		"run:run-1 registered as model version:flight-delay/1",
		"snapshot:" + snapshot + " input of run:by-hand",
		"snapshot:" + snapshot + " used by lifecycle:lifecycle/1",
		"snapshot:" + snapshot + " used by lifecycle:lifecycle/refused",
		"source:s3://raw/flights/ prepared into snapshot:" + snapshot,
		"trigger:alarm alarm started lifecycle:lifecycle/2",
	}
	got := edgesOf(graph)
	// The fake gives all lifecycles the same result.
	got = slices.DeleteFunc(got, func(e string) bool { return e == "lifecycle:lifecycle/1 trained as run:run-refused" })
	if !slices.Equal(got, want) {
		t.Errorf("the edges are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if baseline := graph.Nodes[0].Facts[len(graph.Nodes[0].Facts)-1]; baseline.Value != "the profile of flight-delay/7" {
		t.Errorf("the last fact is %v", baseline)
	}
	if graph.Root != "snapshot:"+snapshot || len(graph.Missing) != 0 {
		t.Errorf("root %s, missing %q", graph.Root, graph.Missing)
	}
}

func TestLineageOfAVersion(t *testing.T) {
	server, sources, snapshot := lineageWorld(t)
	for _, target := range []string{"flight-delay/1", "flight-delay@previous"} {
		graph, err := newTestClient(t, server).Lineage(t.Context(), sources, target)
		if err != nil {
			t.Fatal(err)
		}
		edges := strings.Join(edgesOf(graph), "\n")
		if graph.Root != "model version:flight-delay/1" || !strings.Contains(edges, "snapshot:"+snapshot+" used by lifecycle:lifecycle/1") {
			t.Errorf("%s: root %s, edges\n%s", target, graph.Root, edges)
		}
		if strings.Contains(edges, "refused") {
			t.Errorf("%s: another lifecycle's use of the snapshot is no lineage of the version:\n%s", target, edges)
		}
	}
}

// A spec without a deploy section registers models that nothing serves.
func TestLineageOfAnUnservedVersion(t *testing.T) {
	server, sources, snapshot := lineageWorld(t)
	status := server.scenes[0].status["model/flight-delay"].(models.StewardStatus)
	status.Versions[0].Spec.Deploy = nil
	for _, target := range []string{"flight-delay/1", snapshot} {
		graph, err := newTestClient(t, server).Lineage(t.Context(), sources, target)
		if err != nil || strings.Contains(strings.Join(edgesOf(graph), "\n"), "flight-delay/1 served on") {
			t.Errorf("%s: %v, edges\n%s", target, err, strings.Join(edgesOf(graph), "\n"))
		}
	}
}

func TestLineageWithoutMLflow(t *testing.T) {
	server, sources, snapshot := lineageWorld(t)
	sources.Tracking = &fakeTracking{down: "all"}
	for _, target := range []string{"flight-delay/1", snapshot} {
		graph, err := newTestClient(t, server).Lineage(t.Context(), sources, target)
		if err != nil || len(graph.Edges) < 6 || len(graph.Missing) != 1 || !strings.Contains(graph.Missing[0], "MLflow does not answer") {
			t.Errorf("%s: %d edges, missing %q, %v", target, len(graph.Edges), graph.Missing, err)
		}
	}
}

// halfSilent answers about the first experiments and about no others.
type halfSilent struct {
	*fakeTracking
	asked int
}

func (h *halfSilent) SearchExperiments(context.Context) ([]mlflow.Experiment, error) {
	return make([]mlflow.Experiment, experimentsAtOnce+1), nil
}

func (h *halfSilent) SearchRuns(ctx context.Context, request mlflow.SearchRunsRequest) ([]mlflow.Run, error) {
	if h.asked++; h.asked > 1 {
		return nil, errDown
	}
	return h.fakeTracking.SearchRuns(ctx, request)
}

// What MLflow has said before it became silent is told.
func TestLineageWhenMLflowBecomesSilent(t *testing.T) {
	server, sources, snapshot := lineageWorld(t)
	sources.Tracking = &halfSilent{fakeTracking: sources.Tracking.(*fakeTracking)}
	graph, err := newTestClient(t, server).Lineage(t.Context(), sources, snapshot)
	edges := strings.Join(edgesOf(graph), "\n")
	if err != nil || !strings.Contains(edges, "input of run:by-hand") || len(graph.Missing) != 1 {
		t.Errorf("missing %q, %v, edges\n%s", graph.Missing, err, edges)
	}
}

func TestLineageOfTheUnknown(t *testing.T) {
	server, sources, snapshot := lineageWorld(t)
	for target, want := range map[string]string{
		"flight-delay/9":               "did you mean flight-delay/1?",
		"flight-delay@chalenger":       "has no version with the alias chalenger",
		"flight-delay@champions":       "did you mean flight-delay@champion?",
		"flight-delay":                 "did you mean flight-delay@champion?",
		flip(snapshot[:8]):             "did you mean " + snapshot[:8],
		"not a version":                "neither a model version",
		strings.ToUpper(snapshot[1:9]): "neither a model version",
	} {
		_, err := newTestClient(t, server).Lineage(t.Context(), sources, target)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", target, err, want)
		}
	}
}

func flip(digest string) string {
	last := byte('0')
	if digest[len(digest)-1] == '0' {
		last = '1'
	}
	return fmt.Sprintf("%s%c", digest[:len(digest)-1], last)
}
