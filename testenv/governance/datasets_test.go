package governance

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/models"
)

// readInputs reads a run's inputs as a Python program does.
const readInputs = `
import json, sys, mlflow
from mlflow.types import Schema
for i in mlflow.get_run(sys.argv[1]).inputs.dataset_inputs:
    spec = json.loads(i.dataset.schema)["mlflow_colspec"]
    schema = Schema.from_json(json.dumps(spec))
    print(i.tags[0].value, i.dataset.digest, json.loads(i.dataset.profile)["num_rows"], json.loads(i.dataset.source)["uri"],
          [(c.name, c.type.name, c.required) for c in schema.inputs])
`

// TestDatasetInputs: both sides of a snapshot are inputs of its run, with our own
// digest, and MLflow's own client reads their schema.
func TestDatasetInputs(t *testing.T) {
	p := openPlace(t)
	side := func(rows, nulls int64) profile.SideProfile {
		return profile.SideProfile{Rows: rows, Columns: []profile.Column{
			{Name: "id", Type: "string", Role: "key", Rows: rows},
			{Name: "at", Type: "timestamp", Role: "time", Rows: rows},
			{Name: "distance", Type: "float64", Role: "feature", Rows: rows, Nulls: nulls},
			{Name: "late", Type: "bool", Role: "label", Rows: rows},
			{Name: "seats", Type: "int64", Role: "feature", Rows: rows, Nulls: 1, Sensitive: true},
		}}
	}
	raw, err := json.Marshal(profile.Profile{Format: 1, Train: side(52341, 0), Test: side(9120, 7)})
	p.must(err)
	ref, err := artifact.PutObjectBytes(p.ctx, p.store, raw)
	p.must(err)
	sha := artifact.Digest([]byte("a manifest"))
	snapshot := models.Snapshot{Manifest: models.Ref{URI: "s3://mainspring/snapshots/" + sha + "/manifest.json", SHA256: sha}, Profile: ref,
		Train: models.Span{Rows: 52341}, Test: models.Span{Rows: 9120}}
	for _, c := range side(1, 0).Columns {
		snapshot.Columns = append(snapshot.Columns, models.Column{Name: c.Name, Type: c.Type, Role: c.Role})
	}
	tracking := &activities.Tracking{MLflow: p.mlflow, Store: p.store}
	request := models.CreateRunRequest{Key: artifact.Digest([]byte("inputs")), Experiment: "inputs", Name: "inputs", StartTime: time.Now(), Snapshot: snapshot}
	var run models.Run
	for range 2 { // a retried activity logs nothing twice
		run, err = tracking.CreateRun(p.ctx, request)
		p.must(err)
	}
	python := exec.CommandContext(p.ctx, os.Getenv("MAINSPRING_TEST_MLFLOW_PYTHON"), "-c", readInputs, run.RunID)
	out, err := python.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	const columns = " [('id', 'string', True), ('at', 'datetime', True), ('distance', 'double', NULLS), ('late', 'boolean', True), ('seats', 'long', False)]"
	for _, want := range []string{
		"training " + mlflow.DatasetDigest(sha) + " 52341 " + snapshot.Manifest.URI + strings.Replace(columns, "NULLS", "True", 1),
		"evaluation " + mlflow.DatasetDigest(sha) + " 9120 " + snapshot.Manifest.URI + strings.Replace(columns, "NULLS", "False", 1),
	} {
		if strings.Count(string(out), want) != 1 {
			t.Errorf("the inputs lack %s", want)
		}
	}
	found, err := p.mlflow.GetRun(p.ctx, run.RunID)
	p.must(err)
	if len(found.Datasets) != 2 || strings.Contains(found.Datasets[0].Profile, `"seats":{"nulls":1,`) || !strings.Contains(found.Datasets[0].Profile, `"seats":{"nulls":1}`) {
		t.Errorf("%d datasets; profile %s", len(found.Datasets), found.Datasets[0].Profile)
	}
}
