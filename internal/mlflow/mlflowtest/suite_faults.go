package mlflowtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
)

// transport makes a function an http.RoundTripper.
type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// testTurnedAway meets a limiter in front of the server: it turns the first
// request of every operation away, before the server sees it.
func testTurnedAway(t *testing.T, s suite) {
	var seen sync.Map
	var away atomic.Int64
	c := s.connect(t, transport(func(r *http.Request) (*http.Response, error) {
		if _, again := seen.LoadOrStore(r.Method+r.URL.Path, true); again {
			return http.DefaultTransport.RoundTrip(r)
		}
		away.Add(1)
		return &http.Response{StatusCode: http.StatusTooManyRequests, Request: r, Header: http.Header{"Retry-After": {"0"}},
			Body: io.NopCloser(strings.NewReader(`{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"slow down"}`))}, nil
	}))
	run := must2(c.EnsureRun(s.ctx, mlflow.EnsureRunRequest{ExperimentID: s.experiment(t), Key: newKey(), Name: "patient", Start: startTime()}))(t)
	ok(t, c.LogBatch(s.ctx, mlflow.Batch{RunID: run.ID, Params: map[string]string{"a": "b"}}))
	model := unique("limited")
	ok(t, c.EnsureRegisteredModel(s.ctx, model, "", nil))
	req := mlflow.EnsureModelVersionRequest{Key: newKey(), Model: model, Source: "s3://mainspring/mlflow/m"}
	equal(t, "version", must2(c.EnsureModelVersion(s.ctx, req))(t).Version, "1")
	ok(t, c.SetAlias(s.ctx, model, "champion", "1"))
	equal(t, "versions", s.versionsOf(t, model), "[1]")
	if away.Load() < 8 {
		t.Errorf("%d requests were turned away: the limiter was not met", away.Load())
	}
}

// errLost is what a client sees of a connection that is reset.
var errLost = errors.New("connection reset by peer")

// testLostAnswers loses the answer of every write after the server has carried
// it out, then makes the same call again. That must succeed, and find what the
// first call has left.
func testLostAnswers(t *testing.T, s suite) {
	run, model := s.ensureRun(t), s.model(t)
	one, two := s.newVersion(t, model), s.newVersion(t, model)
	gone := s.newVersion(t, model)
	ok(t, s.c.SetModelTag(s.ctx, model, "old", "1"))
	ok(t, s.c.SetModelVersionTags(s.ctx, model, one.Version, map[string]string{"old": "1"}))
	ok(t, s.c.SetAlias(s.ctx, model, "previous", one.Version))
	fresh, experiment, runKey, versionKey := unique("fresh"), unique("experiment"), newKey(), newKey()
	point := mlflow.Metric{Key: "loss", Value: 0.5, Time: startTime(), Step: 1}
	data := mlflow.Dataset{Name: "flights", Digest: "abc", SourceType: "s3", Source: "{}", Context: "training"}
	claim := mlflow.ClaimRequest{Model: fresh + "-claimed", Owner: owner("a", 1), Now: startTime()}
	writes := []struct {
		name  string
		write func(*mlflow.Client) error
	}{
		{"create experiment", func(c *mlflow.Client) error { _, err := c.EnsureExperiment(s.ctx, experiment, nil); return err }},
		{"create run", func(c *mlflow.Client) error {
			_, err := c.EnsureRun(s.ctx, mlflow.EnsureRunRequest{ExperimentID: run.ExperimentID, Key: runKey, Name: "b", Start: startTime()})
			return err
		}},
		{"batch", func(c *mlflow.Client) error {
			return c.LogBatch(s.ctx, mlflow.Batch{RunID: run.ID, Metrics: []mlflow.Metric{point}, Params: map[string]string{"p": "1"}, Tags: map[string]string{"t": "1"}})
		}},
		{"datasets", func(c *mlflow.Client) error { return c.LogDatasets(s.ctx, run.ID, data) }},
		{"update run", func(c *mlflow.Client) error {
			return c.UpdateRun(s.ctx, mlflow.UpdateRunRequest{RunID: run.ID, Status: mlflow.RunFinished, End: startTime().Add(time.Hour)})
		}},
		{"create model", func(c *mlflow.Client) error { return c.EnsureRegisteredModel(s.ctx, fresh, "", nil) }},
		{"claim model", func(c *mlflow.Client) error { _, err := c.ClaimModel(s.ctx, claim); return err }},
		{"create version", func(c *mlflow.Client) error {
			_, err := c.EnsureModelVersion(s.ctx, mlflow.EnsureModelVersionRequest{Key: versionKey, Model: fresh, Source: "s3://b/m"})
			return err
		}},
		{"set alias", func(c *mlflow.Client) error { return c.SetAlias(s.ctx, model, "champion", two.Version) }},
		{"delete alias", func(c *mlflow.Client) error { return c.DeleteAlias(s.ctx, model, "previous") }},
		{"set model tag", func(c *mlflow.Client) error { return c.SetModelTag(s.ctx, model, "new", "1") }},
		{"delete model tag", func(c *mlflow.Client) error { return c.DeleteModelTag(s.ctx, model, "old") }},
		{"set version tag", func(c *mlflow.Client) error {
			return c.SetModelVersionTags(s.ctx, model, one.Version, map[string]string{"new": "1"})
		}},
		{"delete version tag", func(c *mlflow.Client) error { return c.DeleteModelVersionTag(s.ctx, model, one.Version, "old") }},
		{"describe version", func(c *mlflow.Client) error { return c.DescribeModelVersion(s.ctx, model, one.Version, "told") }},
		{"delete version", func(c *mlflow.Client) error { return c.DeleteModelVersion(s.ctx, model, gone.Version) }},
	}
	for _, w := range writes {
		s.writeTwice(t, w.name, w.write)
	}

	history := must2(s.c.MetricHistory(s.ctx, run.ID, "loss"))(t)
	equal(t, "points", len(history), 1)
	after := must2(s.c.GetRun(s.ctx, run.ID))(t)
	equal(t, "run", fmt.Sprint(after.Params["p"], after.Tags["t"], len(after.Datasets), after.Status), "111FINISHED")
	got := must2(s.c.GetRegisteredModel(s.ctx, model))(t)
	equal(t, "aliases", fmt.Sprint(got.Aliases), "map[champion:2]")
	equal(t, "model's tags", fmt.Sprint(got.Tags), "map[kind:test new:1]")
	equal(t, "versions", s.versionsOf(t, model), "[1 2]")
	equal(t, "versions of the new model", s.versionsOf(t, fresh), "[1]")
	facts := must2(s.c.GetModelVersion(s.ctx, model, one.Version))(t)
	equal(t, "version", fmt.Sprint(facts.Description, facts.Tags["new"], facts.Tags["old"]), "told1")
	equal(t, "owner", must2(s.c.GetRegisteredModel(s.ctx, claim.Model))(t).Owner(), claim.Owner)
	made := must2(s.c.SearchRuns(s.ctx, mlflow.SearchRunsRequest{ExperimentIDs: []string{run.ExperimentID}, View: mlflow.ViewActive}))(t)
	equal(t, "runs", len(made), 2)
}

// writeTwice makes a call whose first write loses its answer, and then the call
// again in peace.
func (s suite) writeTwice(t *testing.T, name string, write func(*mlflow.Client) error) {
	t.Helper()
	var lost atomic.Bool
	c := s.connect(t, transport(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		reads := r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "/search")
		if err != nil || reads || lost.Swap(true) {
			return resp, err
		}
		return nil, errors.Join(errLost, resp.Body.Close())
	}))
	if err := write(c); err != nil && !errors.Is(err, mlflow.ErrUnavailable) {
		t.Fatalf("%s with a lost answer: %v; want success or unavailable", name, err)
	}
	if !lost.Load() {
		t.Fatalf("%s: no answer was lost", name)
	}
	if err := write(s.c); err != nil {
		t.Fatalf("%s again: %v", name, err)
	}
}
