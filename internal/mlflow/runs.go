package mlflow

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// RunStatus is where a run stands.
type RunStatus string

// The statuses of a run.
const (
	RunRunning   RunStatus = "RUNNING"
	RunScheduled RunStatus = "SCHEDULED"
	RunFinished  RunStatus = "FINISHED"
	RunFailed    RunStatus = "FAILED"
	RunKilled    RunStatus = "KILLED"
)

// known guards against typing errors: the server ignores a status it does not
// know and answers with success.
func (s RunStatus) known() bool {
	switch s {
	case RunRunning, RunScheduled, RunFinished, RunFailed, RunKilled:
		return true
	}
	return false
}

// Run is one training as MLflow knows it.
type Run struct {
	ID           string
	ExperimentID string
	Name         string
	Status       RunStatus
	Start, End   time.Time // End is zero while it runs
	ArtifactURI  string    // root of its artifacts
	Deleted      bool
	Params       map[string]string
	Tags         map[string]string
	Metrics      map[string]Metric // newest point of each
	Datasets     []Dataset
}

// UnmarshalJSON implements json.Unmarshaler for MLflow's run object.
func (r *Run) UnmarshalJSON(b []byte) error {
	var w struct {
		Info struct {
			ID           string    `json:"run_id"`
			ExperimentID string    `json:"experiment_id"`
			Name         string    `json:"run_name"`
			Status       RunStatus `json:"status"`
			Start        integer   `json:"start_time"`
			End          integer   `json:"end_time"`
			ArtifactURI  string    `json:"artifact_uri"`
			Lifecycle    string    `json:"lifecycle_stage"`
		} `json:"info"`
		Data struct {
			Params  []tag    `json:"params"`
			Tags    []tag    `json:"tags"`
			Metrics []Metric `json:"metrics"`
		} `json:"data"`
		Inputs struct {
			Datasets []wireDatasetInput `json:"dataset_inputs"`
		} `json:"inputs"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*r = Run{
		ID: w.Info.ID, ExperimentID: w.Info.ExperimentID, Name: w.Info.Name, Status: w.Info.Status,
		Start: instant(w.Info.Start), End: instant(w.Info.End), ArtifactURI: w.Info.ArtifactURI,
		Deleted: w.Info.Lifecycle == "deleted", Params: tagMap(w.Data.Params), Tags: tagMap(w.Data.Tags),
		Metrics: make(map[string]Metric, len(w.Data.Metrics)),
	}
	for _, m := range w.Data.Metrics {
		r.Metrics[m.Key] = m
	}
	for _, d := range w.Inputs.Datasets {
		r.Datasets = append(r.Datasets, d.dataset())
	}
	return nil
}

// GetRun returns a run, deleted ones included.
func (c *Client) GetRun(ctx context.Context, runID string) (Run, error) {
	var out struct {
		Run Run `json:"run"`
	}
	err := c.do(ctx, get("get run", runID, "runs/get", url.Values{"run_id": {runID}}), &out)
	return out.Run, err
}

// UpdateRunRequest changes a run; zero fields stay as they are.
type UpdateRunRequest struct {
	RunID  string
	Status RunStatus
	End    time.Time
	Name   string
}

// UpdateRun changes a run's status, end or name.
func (c *Client) UpdateRun(ctx context.Context, req UpdateRunRequest) error {
	const op = "update run"
	body := map[string]any{"run_id": req.RunID}
	if req.Status != "" {
		if !req.Status.known() {
			return refuse(op, req.RunID, "unknown status "+string(req.Status),
				"use RUNNING, SCHEDULED, FINISHED, FAILED or KILLED")
		}
		body["status"] = req.Status
	}
	if !req.End.IsZero() {
		body["end_time"] = millis(req.End)
	}
	if req.Name != "" {
		body["run_name"] = req.Name
	}
	return c.do(ctx, post(op, req.RunID, "runs/update", body), nil)
}

// DeleteRun soft-deletes a run; deleting twice is success.
func (c *Client) DeleteRun(ctx context.Context, runID string) error {
	return c.do(ctx, post("delete run", runID, "runs/delete", map[string]any{"run_id": runID}), nil)
}

// RestoreRun undoes DeleteRun; an active run stays as it is.
func (c *Client) RestoreRun(ctx context.Context, runID string) error {
	return c.do(ctx, post("restore run", runID, "runs/restore", map[string]any{"run_id": runID}), nil)
}

// RunView selects active or deleted runs.
type RunView string

// The views of a search.
const (
	ViewActive  RunView = "ACTIVE_ONLY" // the default
	ViewDeleted RunView = "DELETED_ONLY"
	ViewAll     RunView = "ALL"
)

// SearchRunsRequest selects runs. Filter is MLflow's grammar: comparisons
// joined by AND; strings in it can't be escaped.
type SearchRunsRequest struct {
	ExperimentIDs []string
	Filter        string
	View          RunView  // empty: active runs
	OrderBy       []string // empty: newest start first, then by run ID
	Limit         int      // 0: all
}

// SearchRuns returns the selected runs. It reads page after page: runs created
// meanwhile may be missed or seen twice.
func (c *Client) SearchRuns(ctx context.Context, req SearchRunsRequest) ([]Run, error) {
	const page = 1000
	var found []Run
	body := map[string]any{"experiment_ids": req.ExperimentIDs, "filter": req.Filter, "max_results": page}
	if req.View != "" {
		body["run_view_type"] = req.View
	}
	if len(req.OrderBy) > 0 {
		body["order_by"] = req.OrderBy
	}
	for {
		if req.Limit > 0 {
			body["max_results"] = min(page, req.Limit-len(found))
		}
		var out struct {
			Runs []Run  `json:"runs"`
			Next string `json:"next_page_token"`
		}
		search := post("search runs", req.Filter, "runs/search", body)
		search.read = true
		if err := c.do(ctx, search, &out); err != nil {
			return nil, err
		}
		found = append(found, out.Runs...)
		if out.Next == "" || len(out.Runs) == 0 || (req.Limit > 0 && len(found) >= req.Limit) {
			return found, nil
		}
		body["page_token"] = out.Next
	}
}
