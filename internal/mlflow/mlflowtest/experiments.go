package mlflowtest

import "strconv"

type experiment struct {
	id, name string
	deleted  bool
	tags     map[string]string
}

func (s *Server) location(e *experiment) string { return s.artifactRoot + "/" + e.id }

func stage(deleted bool) string {
	if deleted {
		return "deleted"
	}
	return "active"
}

func (s *Server) experimentObject(e *experiment) object {
	return object{"experiment_id": e.id, "name": e.name, "artifact_location": s.location(e),
		"lifecycle_stage": stage(e.deleted), "tags": toPairs(e.tags)}
}

func (s *Server) experiment(id string) (*experiment, *failure) {
	n, err := strconv.Atoi(id)
	if err != nil || n < 0 || n >= len(s.experiments) {
		return nil, missing("No Experiment with id=%s exists", id)
	}
	return s.experiments[n], nil
}

func (s *Server) experimentRoutes() {
	type named struct {
		Name string `json:"name"`
		Tags []pair `json:"tags"`
	}
	handle(s, "POST experiments/create", func(in named) (object, *failure) {
		if in.Name == "" {
			return nil, invalid("Missing value for required parameter 'name'.")
		}
		for _, e := range s.experiments {
			if e.name == in.Name {
				return nil, taken("Experiment(name=%s) already exists. Error: UNIQUE constraint failed\n[SQL: INSERT]", in.Name)
			}
		}
		e := &experiment{id: strconv.Itoa(len(s.experiments)), name: in.Name, tags: toMap(in.Tags)}
		s.experiments = append(s.experiments, e)
		return object{"experiment_id": e.id}, nil
	})
	type byName struct {
		Name string `json:"experiment_name"`
	}
	handle(s, "GET experiments/get-by-name", func(in byName) (object, *failure) {
		for _, e := range s.experiments {
			if e.name == in.Name {
				return object{"experiment": s.experimentObject(e)}, nil
			}
		}
		return nil, missing("Could not find experiment with name '%s'", in.Name)
	})
	type limited struct {
		MaxResults number `json:"max_results"`
	}
	handle(s, "GET experiments/search", func(in limited) (object, *failure) {
		if in.MaxResults < 1 {
			return nil, invalid("Invalid value 0 for parameter 'max_results' supplied")
		}
		var found []object
		for _, e := range s.experiments {
			if !e.deleted && len(found) < int(in.MaxResults) {
				found = append(found, s.experimentObject(e))
			}
		}
		return object{"experiments": found}, nil
	})
	type byID struct {
		ID string `json:"experiment_id"`
	}
	// Both refuse an experiment that is already in the wanted state.
	setDeleted := func(id string, deleted bool) (object, *failure) {
		e, failed := s.experiment(id)
		if failed == nil && e.deleted == deleted {
			failed = missing("No Experiment with id=%s exists", id)
		}
		if failed != nil {
			return nil, failed
		}
		e.deleted = deleted
		for _, r := range s.runs {
			if r.experiment == e {
				r.deleted = deleted
			}
		}
		return nil, nil
	}
	handle(s, "POST experiments/delete", func(in byID) (object, *failure) { return setDeleted(in.ID, true) })
	handle(s, "POST experiments/restore", func(in byID) (object, *failure) { return setDeleted(in.ID, false) })
}
