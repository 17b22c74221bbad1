package governance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/namespace"
)

// place is a stack with a namespace and a bucket of the test's own.
type place struct {
	t         *testing.T
	ctx       context.Context
	store     artifact.Store
	catalog   snapshots.Catalog
	mlflow    *mlflow.Client
	temporal  client.Client
	namespace string
	program   string
}

// openPlace needs servers: see the package comment.
func openPlace(t *testing.T) *place {
	t.Helper()
	if os.Getenv("MAINSPRING_TEST_STACK") == "" || testing.Short() {
		t.Skip("no stack: run under testenv/withstack")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	p := &place{t: t, ctx: ctx, namespace: fmt.Sprintf("governance-%d", time.Now().UnixNano())}
	store, err := artifact.NewS3(artifact.ConfigFromEnv(os.Getenv))
	p.must(err)
	p.store = store
	p.catalog = snapshots.Catalog{Store: store}
	p.mlflow, err = mlflow.New(mlflow.ConfigFromEnv(os.Getenv))
	p.must(err)
	p.temporal = p.open(p.namespace)
	p.program = filepath.Join(t.TempDir(), "mainspring")
	build := exec.CommandContext(ctx, "go", "build", "-o", p.program, "github.com/mainspring-ml/mainspring/cmd/mainspring")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return p
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// open makes a namespace with a worker whose workflows only stand in.
func (p *place) open(name string) client.Client {
	p.t.Helper()
	address := os.Getenv("MAINSPRING_TEST_TEMPORAL_ADDRESS")
	p.must(namespace.Open(p.ctx, address, name))
	c, err := client.DialContext(p.ctx, client.Options{HostPort: address, Namespace: name, Logger: namespace.Quiet()})
	p.must(err)
	p.t.Cleanup(c.Close)
	w := worker.New(c, models.TaskQueue, worker.Options{})
	for _, one := range []string{
		models.LifecycleWorkflow, models.TrainWorkflow, models.PrepareDataWorkflow, models.ModelStewardWorkflow, models.MonitorWorkflow,
	} {
		w.RegisterWorkflowWithOptions(standIn, workflow.RegisterOptions{Name: one})
	}
	w.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: "Nothing"})
	p.must(w.Start())
	p.t.Cleanup(w.Stop)
	return c
}

// standIn answers with the status that its input has, and runs until it is told
// to end; then its input's result is its result.
func standIn(ctx workflow.Context, input map[string]any) (any, error) {
	if err := workflow.SetQueryHandler(ctx, models.StatusQuery, func() (any, error) { return input["status"], nil }); err != nil {
		return nil, err
	}
	workflow.GetSignalChannel(ctx, "end").Receive(ctx, nil)
	return input["result"], nil
}

func (p *place) start(c client.Client, workflowType, id string, input map[string]any) client.WorkflowRun {
	p.t.Helper()
	run, err := c.ExecuteWorkflow(p.ctx, client.StartWorkflowOptions{ID: id, TaskQueue: models.TaskQueue}, workflowType, input)
	p.must(err)
	return run
}

// end lets a stand-in end.
func (p *place) end(id string) {
	p.t.Helper()
	p.must(p.temporal.SignalWorkflow(p.ctx, id, "", "end", nil))
	p.must(p.temporal.GetWorkflow(p.ctx, id, "").Get(p.ctx, nil))
}

// mainspring runs the program as a person would.
func (p *place) mainspring(environment []string, args ...string) (string, error) {
	p.t.Helper()
	var out bytes.Buffer
	command := exec.CommandContext(p.ctx, p.program, args...)
	command.Stdout, command.Stderr = &out, &out
	command.Env = append(append(os.Environ(), "TEMPORAL_NAMESPACE="+p.namespace), environment...)
	err := command.Run()
	p.t.Logf("$ mainspring %s\n%s", strings.Join(args, " "), out.String())
	return out.String(), err
}

// publish makes a snapshot of some texts.
func (p *place) publish(use models.SnapshotUse, texts ...string) string {
	p.t.Helper()
	m := models.SnapshotManifest{Format: 1, Columns: []models.Column{{Name: "id", Type: "string", Role: "key"}},
		Train: models.Span{Rows: 1000, From: time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC)},
		Test:  models.Span{Rows: 100, From: time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2013, 3, 15, 0, 0, 0, 0, time.UTC)}}
	for i, text := range texts {
		ref, err := p.catalog.PutObject(p.ctx, []byte(text))
		p.must(err)
		ref.URI = ""
		m.Files = append(m.Files, models.SnapshotFile{Path: fmt.Sprintf("train/%d.parquet", i), Rows: 1, Ref: ref})
	}
	raw, _, err := dataset.Encode(m)
	p.must(err)
	published, err := p.catalog.Publish(p.ctx, snapshots.Publication{Manifest: raw, Use: use})
	p.must(err)
	return published.Manifest.SHA256
}

// state says whether a snapshot is whole or gone; anything between is an error.
func (p *place) there(snapshot string, texts ...string) (bool, error) {
	_, manifest := p.store.Stat(p.ctx, snapshots.ManifestKey(snapshot))
	for _, text := range texts {
		if _, err := p.store.Stat(p.ctx, artifact.ObjectKey(artifact.Digest([]byte(text)))); manifest == nil && err != nil {
			return true, fmt.Errorf("it has a manifest and no file %q: %w", text, err)
		}
	}
	rest, err := p.store.List(p.ctx, snapshots.Prefix+snapshot+"/")
	if manifest != nil && len(rest) > 0 {
		return false, fmt.Errorf("%d objects of it are left, such as %s", len(rest), rest[0].Key)
	}
	return manifest == nil, err
}
