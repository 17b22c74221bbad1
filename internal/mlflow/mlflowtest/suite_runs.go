package mlflowtest

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
)

func testPing(t *testing.T, s suite) { ok(t, s.c.Ping(s.ctx)) }

func testExperiments(t *testing.T, s suite) {
	name := unique("experiment")
	_, err := s.c.ExperimentByName(s.ctx, name)
	wantClass(t, err, mlflow.ErrNotFound)
	made, err := s.c.EnsureExperiment(s.ctx, name, map[string]string{"owner": "suite"})
	ok(t, err)
	again, err := s.c.EnsureExperiment(s.ctx, name, map[string]string{"owner": "other"})
	ok(t, err)
	equal(t, "ID of the second call", again.ID, made.ID)
	equal(t, "tag of the second call", again.Tags["owner"], "suite")
	ok(t, s.c.DeleteExperiment(s.ctx, made.ID))
	gone, err := s.c.ExperimentByName(s.ctx, name)
	ok(t, err)
	equal(t, "deleted", gone.Deleted, true)
	restored, err := s.c.EnsureExperiment(s.ctx, name, nil)
	ok(t, err)
	equal(t, "restored experiment", fmt.Sprint(restored.ID, restored.Deleted), fmt.Sprint(made.ID, false))
	_, err = s.c.EnsureExperiment(s.ctx, "", nil)
	wantClass(t, err, mlflow.ErrInvalid)
}

func testExperimentRace(t *testing.T, s suite) {
	name := unique("race")
	for _, e := range race(t, func() (mlflow.Experiment, error) { return s.c.EnsureExperiment(s.ctx, name, nil) }) {
		if e.ID == "" || e.Name != name {
			t.Fatalf("answer %+v", e)
		}
	}
}

func testEnsureRun(t *testing.T, s suite) {
	req := mlflow.EnsureRunRequest{ExperimentID: s.experiment(t), Key: newKey(), Name: "july", Start: startTime(),
		Tags: map[string]string{"stage": "train"}}
	first := must2(s.c.EnsureRun(s.ctx, req))(t)
	second := must2(s.c.EnsureRun(s.ctx, req))(t)
	equal(t, "second run's ID", second.ID, first.ID)
	got := must2(s.c.GetRun(s.ctx, first.ID))(t)
	equal(t, "name", got.Name, "july")
	equal(t, "status", got.Status, mlflow.RunRunning)
	equal(t, "start", got.Start, startTime())
	equal(t, "tag", got.Tags["stage"], "train")
	equal(t, "key", got.Tags[mlflow.KeyTag], req.Key)
	if !strings.Contains(got.ArtifactURI, got.ID) {
		t.Errorf("artifact URI %q does not contain the run's ID", got.ArtifactURI)
	}
	other := req
	other.Key = newKey()
	if third := must2(s.c.EnsureRun(s.ctx, other))(t); third.ID == first.ID {
		t.Error("another key got the same run")
	}
	for _, key := range []string{"", "short", "NOTLOWERHEX00", "' OR '1'='1"} {
		other.Key = key
		_, err := s.c.EnsureRun(s.ctx, other)
		wantClass(t, err, mlflow.ErrInvalid)
	}
	other.Key, other.ExperimentID = newKey(), "999999999"
	_, err := s.c.EnsureRun(s.ctx, other)
	wantClass(t, err, mlflow.ErrNotFound)
}

func testEnsureRunRace(t *testing.T, s suite) {
	req := mlflow.EnsureRunRequest{ExperimentID: s.experiment(t), Key: newKey(), Name: "raced", Start: startTime()}
	runs := race(t, func() (mlflow.Run, error) { return s.c.EnsureRun(s.ctx, req) })
	for _, r := range runs {
		equal(t, "run", r.ID, runs[0].ID)
	}
	s.oneActive(t, req.ExperimentID, runs[0].ID)
}

// oneActive checks that an experiment has exactly this active run.
func (s suite) oneActive(t *testing.T, experimentID, runID string) {
	t.Helper()
	active := must2(s.c.SearchRuns(s.ctx, mlflow.SearchRunsRequest{ExperimentIDs: []string{experimentID}}))(t)
	equal(t, "number of active runs", len(active), 1)
	equal(t, "active run", active[0].ID, runID)
}

// testEnsureRunSettles leaves undecided runs with one key behind, as callers
// that died between creating a run and settling do.
func testEnsureRunSettles(t *testing.T, s suite) {
	experiment, key := s.experiment(t), newKey()
	for _, hours := range []int{3, 1, 2} {
		s.rawRun(t, experiment, key, startTime().Add(time.Duration(hours)*time.Hour))
	}
	req := mlflow.EnsureRunRequest{ExperimentID: experiment, Key: key, Name: "wanted", Start: startTime()}
	runs := race(t, func() (mlflow.Run, error) { return s.c.EnsureRun(s.ctx, req) })
	for _, r := range runs {
		equal(t, "run", r.ID, runs[0].ID)
		equal(t, "start of the earliest", r.Start, startTime().Add(time.Hour))
	}
	s.oneActive(t, experiment, runs[0].ID)
	// One that turns up after the decision is deleted, although it is earlier.
	s.rawRun(t, experiment, key, startTime())
	equal(t, "run of a later call", must2(s.c.EnsureRun(s.ctx, req))(t).ID, runs[0].ID)
	s.oneActive(t, experiment, runs[0].ID)
}

// rawRun creates a run with a key without settling it.
func (s suite) rawRun(t *testing.T, experimentID, key string, start time.Time) {
	t.Helper()
	body := fmt.Sprintf(`{"experiment_id":%q,"start_time":%d,"run_name":"raw","tags":[{"key":%q,"value":%q}]}`,
		experimentID, start.UnixMilli(), mlflow.KeyTag, key)
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.c.BaseURL()+"/api/2.0/mlflow/runs/create", strings.NewReader(body))
	ok(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	ok(t, err)
	ok(t, resp.Body.Close())
	equal(t, "status", resp.StatusCode, http.StatusOK)
}

func testEnsureRunRestores(t *testing.T, s suite) {
	req := mlflow.EnsureRunRequest{ExperimentID: s.experiment(t), Key: newKey(), Name: "deleted", Start: startTime()}
	made := must2(s.c.EnsureRun(s.ctx, req))(t)
	ok(t, s.c.DeleteRun(s.ctx, made.ID))
	ok(t, s.c.DeleteRun(s.ctx, made.ID))
	equal(t, "deleted", must2(s.c.GetRun(s.ctx, made.ID))(t).Deleted, true)
	again := must2(s.c.EnsureRun(s.ctx, req))(t)
	equal(t, "run", again.ID, made.ID)
	s.oneActive(t, req.ExperimentID, made.ID)
}

func testUpdateRun(t *testing.T, s suite) {
	run := s.ensureRun(t)
	end := startTime().Add(time.Hour)
	change := mlflow.UpdateRunRequest{RunID: run.ID, Status: mlflow.RunFinished, End: end, Name: "renamed"}
	ok(t, s.c.UpdateRun(s.ctx, change))
	ok(t, s.c.UpdateRun(s.ctx, change))
	got := must2(s.c.GetRun(s.ctx, run.ID))(t)
	equal(t, "status", got.Status, mlflow.RunFinished)
	equal(t, "end", got.End, end)
	equal(t, "name", got.Name, "renamed")
	wantClass(t, s.c.UpdateRun(s.ctx, mlflow.UpdateRunRequest{RunID: run.ID, Status: "DONE"}), mlflow.ErrInvalid)
	ok(t, s.c.DeleteRun(s.ctx, run.ID))
	wantClass(t, s.c.UpdateRun(s.ctx, change), mlflow.ErrInvalid)
}

func testSearchRuns(t *testing.T, s suite) {
	experiment := s.experiment(t)
	for i := range 3 {
		_ = must2(s.c.EnsureRun(s.ctx, mlflow.EnsureRunRequest{ExperimentID: experiment, Key: newKey(),
			Name: fmt.Sprint("run ", i), Start: startTime().Add(time.Duration(i) * time.Hour),
			Tags: map[string]string{"parity": fmt.Sprint(i % 2)}}))(t)
	}
	search := func(req mlflow.SearchRunsRequest) string {
		req.ExperimentIDs = []string{experiment}
		var names []string
		for _, r := range must2(s.c.SearchRuns(s.ctx, req))(t) {
			names = append(names, r.Name)
		}
		return strings.Join(names, ", ")
	}
	equal(t, "all", search(mlflow.SearchRunsRequest{}), "run 2, run 1, run 0")
	equal(t, "limited", search(mlflow.SearchRunsRequest{Limit: 2}), "run 2, run 1")
	equal(t, "filtered", search(mlflow.SearchRunsRequest{Filter: "tags.parity = '0'"}), "run 2, run 0")
	equal(t, "deleted", search(mlflow.SearchRunsRequest{View: mlflow.ViewDeleted}), "")
	_, err := s.c.SearchRuns(s.ctx, mlflow.SearchRunsRequest{ExperimentIDs: []string{experiment}, Filter: "nonsense =="})
	wantClass(t, err, mlflow.ErrInvalid)
}

func testLogBatch(t *testing.T, s suite) {
	run := s.ensureRun(t)
	batch := mlflow.Batch{RunID: run.ID,
		Metrics: []mlflow.Metric{
			{Key: "loss", Value: 0.25, Time: startTime().Add(2 * time.Minute), Step: 2},
			{Key: "loss", Value: 0.5, Time: startTime().Add(time.Minute), Step: 1}},
		Params: map[string]string{"depth": "6"}, Tags: map[string]string{"node": "a"}}
	ok(t, s.c.LogBatch(s.ctx, batch))
	ok(t, s.c.LogBatch(s.ctx, batch)) // a retry leaves no second point
	history := must2(s.c.MetricHistory(s.ctx, run.ID, "loss"))(t)
	equal(t, "history", fmt.Sprint(history), fmt.Sprint([]mlflow.Metric{batch.Metrics[1], batch.Metrics[0]}))
	got := must2(s.c.GetRun(s.ctx, run.ID))(t)
	equal(t, "newest loss", got.Metrics["loss"].Value, 0.25)
	equal(t, "parameter", got.Params["depth"], "6")
	equal(t, "tag", got.Tags["node"], "a")
	ok(t, s.c.SetRunTags(s.ctx, run.ID, map[string]string{"node": "b"}))
	equal(t, "new tag", must2(s.c.GetRun(s.ctx, run.ID))(t).Tags["node"], "b")
	wantClass(t, s.c.LogBatch(s.ctx, mlflow.Batch{RunID: run.ID, Params: map[string]string{"depth": "7"}}), mlflow.ErrInvalid)
	for _, key := range []string{"", "a//b", "/a", "../a", "a*b", strings.Repeat("k", 251)} {
		err := s.c.LogBatch(s.ctx, mlflow.Batch{RunID: run.ID, Metrics: []mlflow.Metric{{Key: key}}})
		wantClass(t, err, mlflow.ErrInvalid)
		equal(t, "the error names the metric", strings.Contains(err.Error(), fmt.Sprintf("metric %q", key)), true)
	}
	wantClass(t, s.c.SetRunTags(s.ctx, run.ID, map[string]string{"k": strings.Repeat("v", 8001)}), mlflow.ErrInvalid)
	equal(t, "unknown metric", len(must2(s.c.MetricHistory(s.ctx, run.ID, "unknown"))(t)), 0)
}

func testLogLargeBatch(t *testing.T, s suite) {
	run := s.ensureRun(t)
	batch := mlflow.Batch{RunID: run.ID, Params: map[string]string{}, Tags: map[string]string{}}
	for i := range 2100 {
		at := startTime().Add(time.Duration(i) * time.Second)
		batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: "loss", Value: float64(i), Time: at, Step: int64(i)})
	}
	for i := range 150 {
		batch.Params[fmt.Sprint("p", i)] = "1"
		batch.Tags[fmt.Sprint("t", i)] = "1"
	}
	sent := maps.Clone(batch.Params)
	ok(t, s.c.LogBatch(s.ctx, batch))
	history := must2(s.c.MetricHistory(s.ctx, run.ID, "loss"))(t)
	equal(t, "points", len(history), 2100)
	for i, m := range history {
		equal(t, "step", m.Step, int64(i))
	}
	got := must2(s.c.GetRun(s.ctx, run.ID))(t)
	delete(got.Params, mlflow.KeyTag)
	if !maps.Equal(got.Params, sent) {
		t.Errorf("%d parameters arrived; want %d", len(got.Params), len(sent))
	}
	for i := range 150 {
		equal(t, "tag", got.Tags[fmt.Sprint("t", i)], "1")
	}
}

// testLogHeavyBatch has more bytes than one request may have.
func testLogHeavyBatch(t *testing.T, s suite) {
	run := s.ensureRun(t)
	batch := mlflow.Batch{RunID: run.ID, Params: map[string]string{}, Tags: map[string]string{}}
	for i := range 100 {
		batch.Params[fmt.Sprint("p", i)] = strings.Repeat("\"", 6000)
		batch.Tags[fmt.Sprint("t", i)] = strings.Repeat("x", 8000)
	}
	var largest atomic.Int64
	c := s.connect(t, transport(func(r *http.Request) (*http.Response, error) {
		largest.Store(max(largest.Load(), r.ContentLength))
		return http.DefaultTransport.RoundTrip(r)
	}))
	ok(t, c.LogBatch(s.ctx, batch))
	equal(t, "every request is below a megabyte", largest.Load() < 1_000_000 && largest.Load() > 500_000, true)
	got := must2(s.c.GetRun(s.ctx, run.ID))(t)
	for i := range 100 {
		equal(t, "parameter", got.Params[fmt.Sprint("p", i)], strings.Repeat("\"", 6000))
		equal(t, "tag", len(got.Tags[fmt.Sprint("t", i)]), 8000)
	}
}

func testSpecialValues(t *testing.T, s suite) {
	run := s.ensureRun(t)
	batch := mlflow.Batch{RunID: run.ID, Metrics: []mlflow.Metric{
		{Key: "x", Value: math.NaN(), Time: startTime(), Step: 1},
		{Key: "x", Value: math.Inf(1), Time: startTime(), Step: 2},
		{Key: "x", Value: math.Inf(-1), Time: startTime(), Step: 3},
		{Key: "x", Value: 1e-300, Time: startTime(), Step: 4},
		{Key: "broken", Value: math.NaN(), Time: startTime(), Step: 1}}}
	for range 2 { // a retry leaves no second point of these either
		ok(t, s.c.LogBatch(s.ctx, batch))
	}
	equal(t, "NaN as the newest value", math.IsNaN(must2(s.c.GetRun(s.ctx, run.ID))(t).Metrics["broken"].Value), true)
	got := must2(s.c.MetricHistory(s.ctx, run.ID, "x"))(t)
	equal(t, "points", len(got), 4)
	equal(t, "NaN survives", math.IsNaN(got[0].Value), true)
	equal(t, "infinity stays huge", got[1].Value >= math.MaxFloat64, true)
	equal(t, "negative infinity stays huge", got[2].Value <= -math.MaxFloat64, true)
	equal(t, "small value", got[3].Value, 1e-300)
}

func testDatasets(t *testing.T, s suite) {
	run := s.ensureRun(t)
	d := mlflow.Dataset{Name: "flights", Digest: mlflow.DatasetDigest(strings.Repeat("ab", 32)), SourceType: "s3",
		Source: `{"uri":"s3://mainspring/snapshots/x"}`, Profile: `{"num_rows":3}`, Context: "training"}
	ok(t, s.c.LogDatasets(s.ctx, run.ID, d))
	ok(t, s.c.LogDatasets(s.ctx, run.ID, d))
	ok(t, s.c.LogDatasets(s.ctx, run.ID))
	got := must2(s.c.GetRun(s.ctx, run.ID))(t).Datasets
	equal(t, "number of datasets", len(got), 1)
	equal(t, "dataset", got[0], d)
	d.Digest = strings.Repeat("ab", 32)
	wantClass(t, s.c.LogDatasets(s.ctx, run.ID, d), mlflow.ErrInvalid)
}

func testArtifacts(t *testing.T, s suite) {
	run := s.ensureRun(t)
	list := must2(s.c.ListArtifacts(s.ctx, run.ID, ""))(t)
	equal(t, "root", list.RootURI, run.ArtifactURI)
	equal(t, "files", len(list.Files), 0)
}
