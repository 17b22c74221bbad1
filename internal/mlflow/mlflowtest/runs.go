package mlflowtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

type run struct {
	id         string
	experiment *experiment
	name       string
	status     string
	start, end int64
	deleted    bool
	params     map[string]string
	tags       map[string]string
	metrics    map[string][]point
	datasets   []datasetInput
}

type datasetInput struct {
	Tags    []pair `json:"tags"`
	Dataset struct {
		Name       string `json:"name"`
		Digest     string `json:"digest"`
		SourceType string `json:"source_type"`
		Source     string `json:"source"`
		Schema     string `json:"schema,omitempty"`
		Profile    string `json:"profile,omitempty"`
	} `json:"dataset"`
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (s *Server) artifactURI(r *run) string {
	return fmt.Sprintf("%s/%s/artifacts", s.location(r.experiment), r.id)
}

func (s *Server) runObject(r *run) object {
	var latest []point
	for _, key := range sorted(r.metrics) {
		latest = append(latest, slices.MaxFunc(r.metrics[key], byStepAndTime))
	}
	return object{
		"info": object{"run_id": r.id, "experiment_id": r.experiment.id, "run_name": r.name, "status": r.status,
			"start_time": r.start, "end_time": r.end, "lifecycle_stage": stage(r.deleted), "artifact_uri": s.artifactURI(r)},
		"data":   object{"params": toPairs(r.params), "tags": toPairs(r.tags), "metrics": latest},
		"inputs": object{"dataset_inputs": r.datasets},
	}
}

func (s *Server) run(id string) (*run, *failure) {
	if r, ok := s.runs[id]; ok {
		return r, nil
	}
	return nil, missing("Run with id=%s not found", id)
}

func (s *Server) activeRun(id string) (*run, *failure) {
	r, failed := s.run(id)
	if failed == nil && r.deleted {
		failed = invalid("The run %s must be in the 'active' state. Current state is deleted.", id)
	}
	return r, failed
}

type runID struct {
	ID string `json:"run_id"`
}

func (s *Server) runRoutes() {
	handle(s, "POST runs/create", s.createRun)
	handle(s, "GET runs/get", func(in runID) (object, *failure) {
		r, failed := s.run(in.ID)
		if failed != nil {
			return nil, failed
		}
		return object{"run": s.runObject(r)}, nil
	})
	handle(s, "POST runs/update", s.updateRun)
	handle(s, "POST runs/delete", func(in runID) (object, *failure) { return s.setRunDeleted(in.ID, true) })
	handle(s, "POST runs/restore", func(in runID) (object, *failure) { return s.setRunDeleted(in.ID, false) })
	handle(s, "POST runs/search", s.searchRuns)
	handle(s, "POST runs/log-parameter", s.logParameter)
	handle(s, "POST runs/log-batch", s.logBatch)
	handle(s, "POST runs/log-inputs", s.logInputs)
	handle(s, "GET metrics/get-history", s.history)
	handle(s, "GET artifacts/list", func(in runID) (object, *failure) {
		r, failed := s.run(in.ID)
		if failed != nil {
			return nil, failed
		}
		return object{"root_uri": s.artifactURI(r)}, nil
	})
}

type newRun struct {
	Experiment string `json:"experiment_id"`
	Name       string `json:"run_name"`
	Start      number `json:"start_time"`
	Tags       []pair `json:"tags"`
}

func (s *Server) createRun(in newRun) (object, *failure) {
	e, failed := s.experiment(in.Experiment)
	if failed != nil {
		return nil, failed
	}
	if e.deleted {
		return nil, invalid("The experiment %s must be in the 'active' state. Current state is deleted.", e.id)
	}
	s.serial++
	// Hashing the serial makes the order of IDs differ from that of creation.
	r := &run{id: fmt.Sprintf("%032x", uint64(s.serial)*0x9e3779b97f4a7c15), experiment: e, name: in.Name, status: "RUNNING",
		start: int64(in.Start), params: map[string]string{}, tags: toMap(in.Tags), metrics: map[string][]point{}}
	r.tags["mlflow.runName"] = in.Name
	s.runs[r.id] = r
	return object{"run": s.runObject(r)}, nil
}

type runChange struct {
	ID     string `json:"run_id"`
	Status string `json:"status"`
	End    number `json:"end_time"`
	Name   string `json:"run_name"`
}

func (s *Server) updateRun(in runChange) (object, *failure) {
	r, failed := s.activeRun(in.ID)
	if failed != nil {
		return nil, failed
	}
	if slices.Contains([]string{"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}, in.Status) {
		r.status = in.Status
	}
	if in.End != 0 {
		r.end = int64(in.End)
	}
	if in.Name != "" {
		r.name, r.tags["mlflow.runName"] = in.Name, in.Name
	}
	return object{"run_info": s.runObject(r)["info"]}, nil
}

func (s *Server) setRunDeleted(id string, deleted bool) (object, *failure) {
	r, failed := s.run(id)
	if failed == nil {
		r.deleted = deleted
	}
	return nil, failed
}

type runSearch struct {
	Experiments []string `json:"experiment_ids"`
	Filter      string   `json:"filter"`
	View        string   `json:"run_view_type"`
	MaxResults  number   `json:"max_results"`
	OrderBy     []string `json:"order_by"`
	Token       string   `json:"page_token"`
}

func (s *Server) searchRuns(in runSearch) (object, *failure) {
	terms, failed := parseFilter(in.Filter)
	if failed == nil && (in.MaxResults < 1 || in.MaxResults > 50000) {
		failed = invalid("Invalid value %d for parameter 'max_results' supplied", in.MaxResults)
	}
	if failed == nil && len(in.OrderBy) > 0 {
		failed = invalid("this stand-in orders runs by start time only, not by %q", in.OrderBy)
	}
	if failed != nil {
		return nil, failed
	}
	var found []*run
	for _, r := range s.runs {
		if slices.Contains(in.Experiments, r.experiment.id) && inView(r, in.View) && terms.match(r.field) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *run) int { return cmp.Or(cmp.Compare(b.start, a.start), cmp.Compare(a.id, b.id)) })
	found, next, failed := page(found, in.MaxResults, in.Token)
	if failed != nil {
		return nil, failed
	}
	var objects []object
	for _, r := range found {
		objects = append(objects, s.runObject(r))
	}
	return object{"runs": objects, "next_page_token": next}, nil
}

func inView(r *run, view string) bool {
	switch view {
	case "ALL":
		return true
	case "DELETED_ONLY":
		return r.deleted
	default:
		return !r.deleted
	}
}

// field answers a filter's identifier.
func (r *run) field(kind, key string) (string, bool) {
	switch kind {
	case "tags":
		v, ok := r.tags[key]
		return v, ok
	case "params":
		v, ok := r.params[key]
		return v, ok
	case "attributes", "":
		v, ok := map[string]string{"run_id": r.id, "run_name": r.name, "status": r.status}[key]
		return v, ok
	}
	return "", false
}
